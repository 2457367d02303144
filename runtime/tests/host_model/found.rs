//! What the random cases found, alone.

use foldline::projection::poison::OnPoison;
use foldline::source::memory::MemorySource;
use foldline::supervisor::Command;

use crate::case::STREAM;
use crate::host::{Host, MODULES, Settings};
use crate::model::Module;

const SETTINGS: Settings = Settings {
    strategies: [OnPoison::Hold; 2],
    batch_events: 10,
    commit_events: 10,
    batches_per_instance: 0,
    cache_mib: 1,
};

async fn applied(host: &Host, sequence: u64) {
    let is_applied = |host: &Host| host.entry().live.status.borrow().checkpoint == sequence;
    host.until("the event is applied", is_applied).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_module_that_came_during_a_pause_is_the_one_that_is_shown() {
    let (folder, source) = (tempfile::tempdir().unwrap(), MemorySource::new());
    source.create_stream(STREAM, &["orders.>"]).unwrap();
    let host = Host::start(folder.path(), SETTINGS, &source, Module::Broken).await;
    source.publish(STREAM, "orders.k0.Noted", b"", b"fine");
    applied(&host, 1).await;
    host.command(Command::Pause).await.unwrap();
    host.put(Module::Mended).await;
    host.command(Command::Resume).await.unwrap();
    source.publish(STREAM, "orders.k0.Noted", b"", b"reject");
    applied(&host, 2).await;
    let status = host.entry().status();
    assert_eq!(status.digest, MODULES.digest(Module::Mended));
    assert_eq!((status.reloads, status.dead_letters), (1, 0));
    host.stop().await;
}

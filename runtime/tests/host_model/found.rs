//! What the random cases found, alone.

use foldline::catalog::GenerationState;
use foldline::projection::State;
use foldline::projection::poison::OnPoison;
use foldline::source::memory::MemorySource;
use foldline::supervisor::Command;

use crate::alone;
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

#[test]
fn a_module_that_came_during_a_pause_is_the_one_that_is_shown() {
    alone(async {
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
    });
}

/// A host whose live read model has an event set aside, and whose rebuild has failed at it.
async fn with_a_failed_build(data: &std::path::Path, source: &MemorySource) -> Host {
    source.create_stream(STREAM, &["orders.>"]).unwrap();
    let strategies = [OnPoison::Hold, OnPoison::Fail];
    let settings = Settings {
        strategies,
        ..SETTINGS
    };
    let host = Host::start(data, settings, source, Module::Broken).await;
    source.publish(STREAM, "orders.k0.Noted", b"", b"reject");
    applied(&host, 1).await;
    host.command(Command::Rebuild { from: None }).await.unwrap();
    is(&host, 2, GenerationState::Failed).await;
    host
}

async fn is(host: &Host, number: u32, state: GenerationState) {
    let is = |host: &Host| {
        let generation = host.generation(number);
        generation.is_some_and(|generation| generation.record.state == state)
    };
    host.until(&format!("generation {number} is {state}"), is)
        .await;
}

#[test]
fn a_build_that_failed_stays_failed_and_is_built_again_when_an_operator_says_so() {
    alone(async {
        let (folder, source) = (tempfile::tempdir().unwrap(), MemorySource::new());
        let host = with_a_failed_build(folder.path(), &source).await;
        host.stop().await;
        let host = Host::start(folder.path(), SETTINGS, &source, Module::Broken).await;
        is(&host, 2, GenerationState::Failed).await;
        host.command(Command::Rebuild { from: None }).await.unwrap();
        is(&host, 3, GenerationState::Live).await;
        host.stop().await;
    });
}

#[test]
fn a_failed_rebuild_is_begun_anew_with_a_module_that_comes_during_a_pause() {
    alone(async {
        let (folder, source) = (tempfile::tempdir().unwrap(), MemorySource::new());
        let host = with_a_failed_build(folder.path(), &source).await;
        host.command(Command::Pause).await.unwrap();
        host.put(Module::Mended).await;
        let anew = host.generation(3).expect("it is begun anew");
        assert_eq!(anew.status.borrow().status, State::Paused);
        host.command(Command::Resume).await.unwrap();
        is(&host, 3, GenerationState::Live).await;
        let status = host.entry().status();
        assert_eq!(status.digest, MODULES.digest(Module::Mended));
        assert_eq!(status.dead_letters, 0);
        host.stop().await;
    });
}

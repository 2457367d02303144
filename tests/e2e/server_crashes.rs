//! The nats-server is killed while events are replayed, while they are published, and while nothing happens.

use foldline_tests::host::Host;
use foldline_tests::model::Model;
use foldline_tests::nats::NatsServer;
use foldline_tests::orders::Orders;
use foldline_tests::seed;
use foldline_tests::stream::Stream;
use foldline_tests::wait::wait_until;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::examples::{ALL, assert_each_event_once_in_order, assert_rows};

/// Events that are in the stream before the host starts.
const PAST: usize = 20_000;
/// And with those that are published while it runs.
const LIVE: usize = 26_000;
/// And with those published after the idle crash.
const ALL_EVENTS: usize = 26_100;

#[test]
fn a_nats_server_killed_five_times_gives_the_rows_of_a_clean_run() {
    let seed = seed();
    let history = Orders::new(seed).events(ALL_EVENTS);
    let mut random = StdRng::seed_from_u64(seed);
    let mut nats = NatsServer::start_synced();
    let stream = Stream::of_orders(&nats.url());
    stream.publish(&history[..PAST]);
    let mut host = Host::start(&nats.url(), &ALL);

    for _ in 0..2 {
        crash_after(&host, &mut nats, random.random_range(100..4_000));
    }
    host.wait_applied("ledger", PAST as u64);
    std::thread::scope(|scope| {
        let live = scope.spawn(|| stream.publish_through_crashes(&history[..LIVE]));
        for _ in 0..2 {
            crash_after(&host, &mut nats, random.random_range(100..2_000));
        }
        assert_eq!(live.join().expect("everything was published"), LIVE as u64);
    });
    host.wait_applied("ledger", LIVE as u64);
    host.restart();
    host.wait_state("ledger", "live");
    nats.restart();
    let last = stream.publish_through_crashes(&history);

    let stored = stream.read_back();
    assert_eq!(stored.len() as u64, last);
    assert!(
        stored == history,
        "the stream holds what was published, in that order"
    );
    assert_rows(&host, &Model::of(&stored), last);
    assert_each_event_once_in_order(&host, last);
}

/// Kills and restarts the server once the ledger has applied this many more events.
fn crash_after(host: &Host, nats: &mut NatsServer, events: u64) {
    let moment = host.checkpoint("ledger") + events;
    wait_until(&format!("the ledger has applied event {moment}"), || {
        (host.checkpoint("ledger") >= moment).then_some(())
    });
    nats.restart();
}

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
const PAST: usize = 60_000;
/// And with those that are published while it runs.
const LIVE: usize = 66_000;
/// And with those published after the idle crash.
const ALL_EVENTS: usize = 66_100;

#[test]
fn a_nats_server_killed_five_times_gives_the_rows_of_a_clean_run() {
    let seed = seed();
    let history = Orders::new(seed).events(ALL_EVENTS);
    let mut random = StdRng::seed_from_u64(seed);
    let mut nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    stream.publish(&history[..PAST]);
    nats.restart_synced();
    stream.publish_through_crashes(&history[..PAST]);
    let mut host = Host::start(&nats.url(), &ALL);

    for _ in 0..2 {
        crash_after(&host, &mut nats, random.random_range(100..4_000), PAST);
    }
    host.wait_applied("ledger", PAST as u64);
    std::thread::scope(|scope| {
        let live = scope.spawn(|| stream.publish_through_crashes(&history[..LIVE]));
        for _ in 0..2 {
            crash_after(&host, &mut nats, random.random_range(100..2_000), LIVE);
        }
        assert_eq!(live.join().expect("everything was published"), LIVE as u64);
    });
    host.wait_applied("ledger", LIVE as u64);
    crash_while_idle_after_a_resume(&mut host, &mut nats, &stream);
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

/// Kills and restarts the server once the ledger has applied this many more events, or all up to `end`.
fn crash_after(host: &Host, nats: &mut NatsServer, events: u64, end: usize) {
    let moment = (host.checkpoint("ledger") + events).min(end as u64);
    let what = format!("the ledger has applied event {moment}");
    let crashed_at = wait_until(&what, || {
        Some(host.checkpoint("ledger")).filter(|&checkpoint| checkpoint >= moment)
    });
    eprintln!("the server crashes after event {crashed_at} of {end}");
    nats.restart();
}

/// Restarts the host, and kills the server once the host reads again and has got nothing yet: a client that goes
/// by the last message it has seen would begin with the first one again.
fn crash_while_idle_after_a_resume(host: &mut Host, nats: &mut NatsServer, stream: &Stream) {
    host.kill();
    let before = stream.consumers();
    host.restart();
    wait_until("the host reads from its checkpoint", || {
        (!stream.consumers().is_subset(&before)).then_some(())
    });
    for name in ALL {
        host.wait_state(name, "live");
    }
    nats.restart();
}

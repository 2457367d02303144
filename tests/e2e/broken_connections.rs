//! The way to the server breaks, or the server goes: the projection is back within 3 seconds of it, with every event
//! once and in order.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use foldline_tests::guests::module;
use foldline_tests::host::Host;
use foldline_tests::nats::NatsServer;
use foldline_tests::orders::{Event, Orders};
use foldline_tests::proxy::Proxy;
use foldline_tests::stream::Stream;
use foldline_tests::wait::wait_until;

use crate::examples::assert_each_event_once_in_order;

/// It takes under 3 s where nothing else runs; on a busy machine the bound only tells "soon" from "after some timeout"
/// (the client's own pings need half a minute).
const BACK_WITHIN: Duration = Duration::from_secs(10);

/// Waits until the ledger has applied more than it had, and says how long that took.
#[track_caller]
fn assert_back_soon(host: &Host, back: Instant, before: u64) {
    wait_until("the ledger goes on", || {
        (host.checkpoint("ledger") > before).then_some(())
    });
    let took = back.elapsed();
    eprintln!("the ledger went on {took:?} after the server was back");
    assert!(took < BACK_WITHIN, "{took:?}");
}

/// A host that reaches its server through a proxy, and has applied the first `count` events.
fn behind_a_proxy(nats: &NatsServer, history: &[Event]) -> (Proxy, Stream, Host) {
    let stream = Stream::of_orders(&nats.url());
    let proxy = Proxy::start(&nats.url());
    let host = Host::start(&proxy.url(), &["ledger"]);
    host.wait_applied("ledger", stream.publish(history));
    (proxy, stream, host)
}

#[test]
fn a_connection_that_died_without_a_sign_is_left_within_seconds() {
    let nats = NatsServer::start();
    let history = Orders::new(1).events(2_000);
    let (proxy, stream, host) = behind_a_proxy(&nats, &history[..1_000]);
    for end in [1_500, 2_000] {
        let (dead, before) = (Instant::now(), host.checkpoint("ledger"));
        proxy.forget_connections();
        let last = stream.publish(&history[end - 500..end]);
        assert_back_soon(&host, dead, before);
        assert_each_event_once_in_order(&host, last);
    }
}

/// The server hangs up on a host that does not take what it sends.
#[test]
fn a_host_too_slow_for_its_server_is_back_within_seconds() {
    let nats = NatsServer::start_with(
        "jetstream: enabled, max_payload: 64KB, max_pending: 512KB, write_deadline: \"200ms\"",
    );
    let (proxy, stream, host) = behind_a_proxy(&nats, &Orders::new(1).events(100));
    proxy.freeze();
    let padding = "x".repeat(48 * 1024);
    let mut last = 0;
    // More than what lies between the two can hold.
    for _ in 0..600 {
        last = stream.publish_one("stock.p-1.Counted", "", &[("padding", &padding)]);
    }
    wait_until("the server hangs up", || {
        (!nats.log_lines_with("Slow Consumer").is_empty()).then_some(())
    });
    let (back, before) = (Instant::now(), host.checkpoint("ledger"));
    proxy.thaw();
    assert_back_soon(&host, back, before);
    assert_each_event_once_in_order(&host, last);
}

/// Restarts the server in some way while events are published and read, again and again.
fn assert_rides_out(mut nats: NatsServer, restart: impl Fn(&mut NatsServer)) {
    let history = Orders::new(1).events(200_000);
    let stream = Stream::of_orders(&nats.url());
    let host = Host::start(&nats.url(), &["ledger"]);
    let enough = AtomicBool::new(false);
    let last = std::thread::scope(|scope| {
        let publishing = scope.spawn(|| publish_until(&stream, &history, &enough));
        for _ in 0..3 {
            let begun = host.checkpoint("ledger");
            wait_until("the ledger is in the middle of it", || {
                (host.checkpoint("ledger") > begun).then_some(())
            });
            restart(&mut nats);
            let back = Instant::now();
            assert_back_soon(&host, back, host.checkpoint("ledger"));
        }
        enough.store(true, Ordering::Relaxed);
        publishing.join().expect("it publishes")
    });
    assert_each_event_once_in_order(&host, last);
}

/// Publishes a little at a time, and gives the last sequence.
fn publish_until(stream: &Stream, history: &[Event], enough: &AtomicBool) -> u64 {
    let mut ends = (200..=history.len()).step_by(200);
    loop {
        let end = ends.next().expect("the history is long enough");
        let last = stream.publish_through_crashes(&history[..end]);
        if enough.load(Ordering::Relaxed) {
            return last;
        }
    }
}

#[test]
fn a_server_killed_and_restarted_under_load_costs_no_event_and_no_order() {
    assert_rides_out(NatsServer::start_synced(), NatsServer::restart);
}

#[test]
fn a_server_that_is_replaced_in_lame_duck_mode_under_load_costs_no_event_and_no_order() {
    let nats = NatsServer::start_with(
        "jetstream { sync_interval: always }\nlame_duck_duration: \"30s\", lame_duck_grace_period: \"1s\"",
    );
    assert_rides_out(nats, |nats| {
        nats.lame_duck();
        nats.wait_until_ended();
        nats.restart();
    });
}

/// However long it was away, nobody waits for the longest back-off.
#[test]
fn a_server_that_was_away_for_long_is_found_again_within_seconds() {
    let mut nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let mut host = Host::new(&nats.url()).with_variable("FOLDLINE_LOG", "foldline=debug");
    host.drop_module("ledger.wasm", &module("ledger"));
    host.restart();
    let history = Orders::new(1).events(200);
    let before = stream.publish(&history[..100]);
    host.wait_applied("ledger", before);
    nats.kill();
    // Until the attempts are as far apart as they get.
    wait_until("the ledger has tried for long", || {
        (host.log().lines_with(&["still: ", "does not answer"]).len() > 2).then_some(())
    });
    nats.restart();
    let back = Instant::now();
    // By a new connection: that of the first events also waits before it tries again.
    let last = stream.publish_through_crashes(&history);
    assert_back_soon(&host, back, before);
    assert_each_event_once_in_order(&host, last);
}

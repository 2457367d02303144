//! Killed while it reads: behind, at the end of the stream, and while modules are reloaded.

use std::thread;
use std::time::Duration;

use foldline_tests::guests::{module, rebuilt};
use foldline_tests::host::Host;
use foldline_tests::nats::NatsServer;
use foldline_tests::orders::Orders;
use foldline_tests::stream::Stream;
use foldline_tests::wait::wait_until;
use serde_json::Value;

use super::expected::Expected;
use super::steady::Steady;
use super::{Came, Instants, Phase, time};
use crate::examples::ALL;

/// Many commits, so that there is something to come between.
const SMALL_COMMITS: &str = "[store]\ncommit_events = 500\n";

/// Events that last for ten minutes: a test is stopped after that, however slow the machine is.
const MORE_THAN_ENOUGH: usize = 120_000;

/// Those that get new modules; the others go on beside them.
const RELOADED: [&str; 2] = ["order-summary", "ledger"];

/// A host with all examples and the ledger that is not started.
fn host(nats: &NatsServer) -> Host {
    let host = Host::new(&nats.url()).configured(SMALL_COMMITS);
    for name in ALL {
        host.drop_module(&format!("{name}.wasm"), &module(name));
    }
    host
}

/// Everything on the disk is right; the smallest checkpoint.
fn assert_all(expected: &Expected, host: &Host, published: u64) -> u64 {
    let reached = ALL.map(|name| {
        let found = expected.assert_on_disk(host, name, published);
        found.first().map_or(0, |one| one.sequence)
    });
    reached.into_iter().min().unwrap()
}

fn wait_all(host: &Host, sequence: u64) {
    ALL.iter()
        .for_each(|name| host.wait_applied(name, sequence));
}

#[test]
fn a_host_killed_while_it_catches_up_has_each_event_once() {
    let phase = Phase::new("catching up", 25);
    let expected = Expected::of(Orders::new(1).events(30_000));
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let last = stream.publish(&expected.history);
    let mut host = host(&nats);
    host.restart();
    let whole = time(|| wait_all(&host, last));

    phase.run_replays(&mut host, whole, last, |host| {
        assert_all(&expected, host, last)
    });
    host.restart();
    wait_all(&host, last);
    host.kill();
    assert_eq!(assert_all(&expected, &host, last), last);
}

/// Runs a phase while events keep coming: each round begins with a host that is live.
fn while_live(
    phase: Phase,
    mut round: impl FnMut(&mut Instants, &mut Host, &Expected, &Steady) -> Came,
) {
    let expected = Expected::of(Orders::new(2).events(MORE_THAN_ENOUGH));
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let mut host = host(&nats);
    let steady = Steady::after(0);
    thread::scope(|scope| {
        let ended = steady.until_dropped();
        scope.spawn(|| steady.publish(&stream, &expected.history));
        phase.run(|instants| {
            host.restart();
            let reached = steady.published();
            wait_all(&host, reached);
            let came = round(instants, &mut host, &expected, &steady);
            host.kill();
            assert_all(&expected, &host, steady.published());
            came
        });
        drop(ended);
    });
    host.restart();
    wait_all(&host, stream.last_sequence());
    host.kill();
    let last = stream.last_sequence();
    assert_eq!(assert_all(&expected, &host, last), last);
}

#[test]
fn a_host_killed_while_it_is_live_has_each_event_once() {
    while_live(Phase::new("live", 25), |instants, host, _, steady| {
        let published = steady.published();
        let checkpoint = host.checkpoint("ledger");
        instants.wait(Duration::from_millis(300));
        // It is live when it has what was published a moment ago.
        let is_live = checkpoint + 100 >= published && host.status("ledger")["status"] == "live";
        if is_live { Came::Inside } else { Came::After }
    });
}

#[test]
fn a_host_killed_while_modules_are_reloaded_has_each_event_once() {
    let mut build = 0;
    let mut whole = None;
    while_live(Phase::new("reloading", 20), |instants, host, _, _| {
        let reload = |host: &Host, build: usize| {
            for name in RELOADED {
                let next = rebuilt(&module(name), &build.to_string());
                host.drop_module(&format!("{name}.wasm"), &next);
            }
        };
        let digests = |host: &Host| RELOADED.map(|name| host.status(name)["digest"].clone());
        let all_new = |before: &[Value], host: &Host| {
            let now = digests(host);
            now.iter()
                .zip(before)
                .all(|(now, before)| now != before && now.is_string())
        };
        build += 1;
        let whole = *whole.get_or_insert_with(|| {
            let before = digests(host);
            time(|| {
                reload(host, 0);
                wait_until("all are reloaded", || all_new(&before, host).then_some(()));
            })
        });
        let before = digests(host);
        reload(host, build);
        instants.wait(whole);
        if all_new(&before, host) {
            Came::After
        } else {
            Came::Inside
        }
    });
}

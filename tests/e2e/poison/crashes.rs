//! The host is killed while events are held, and while they are applied after all.

use foldline_tests::guests::rebuilt;
use foldline_tests::seed;
use foldline_tests::wait::wait_until;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::*;

const KILLS: usize = 12;
const CHUNK: usize = 1_500;

/// Most looks at the status before a kill: some kills come before the drain begins, some within it, some after it.
const LOOKS_MAX: usize = 25;

#[test]
fn a_host_killed_while_it_holds_and_drains_applies_each_event_once_and_in_order() {
    let mut random = StdRng::seed_from_u64(seed());
    let (_nats, stream, mut host) = start("");
    let mut history = Vec::new();
    for kill in 0..KILLS {
        let chunk: Vec<_> = (0..CHUNK).map(|_| any_event(&mut random)).collect();
        let moment = (history.len() + random.random_range(1..=CHUNK)) as u64;
        std::thread::scope(|scope| {
            scope.spawn(|| stream.publish(&chunk));
            wait_until("some of the chunk is applied", || {
                (host.checkpoint("scribe") >= moment).then_some(())
            });
            host.kill();
        });
        history.extend(chunk);
        // Each build is another digest, so that everything held is tried with it.
        let name = ["scribe", "scribe-mended"][kill % 2];
        let next = rebuilt(&module(name), &kill.to_string());
        if random.random_bool(0.5) {
            host.restart();
            host.drop_module("scribe.wasm", &next);
        } else {
            host.drop_module("scribe.wasm", &next);
            host.restart();
        }
        for _ in 0..random.random_range(0..=LOOKS_MAX) {
            host.status("scribe");
        }
        host.kill();
        host.restart();
    }
    host.drop_module("scribe.wasm", &rebuilt(&module("scribe-mended"), "last"));
    host.wait_applied("scribe", history.len() as u64);
    wait_set_aside(&host, 0, 0);
    assert_notes(&host, "everything", &notes(numbered(&history)));
}

/// Few keys, so that many events wait behind a poison event.
fn any_event(random: &mut StdRng) -> Event {
    let payload = match random.random_range(0..400) {
        0 => "reject",
        1 => "panic",
        _ => "fine",
    };
    event(&format!("k{}", random.random_range(0..40)), payload)
}

//! Killed while events are held, and while they are applied or given up after all.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use foldline_tests::data::{self, Generation};
use foldline_tests::guests::module;
use foldline_tests::host::{Host, send};
use foldline_tests::nats::NatsServer;
use foldline_tests::orders::Event;
use foldline_tests::rows;
use foldline_tests::scribe::{Scribe, event, fails, key, notes, numbered};
use foldline_tests::stream::Stream;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::{Came, Phase, time};
use crate::examples::number;

const NAME: &str = "scribe";
const FILE: &str = "scribe.wasm";
const EVENTS: usize = 12_000;
const KEYS: u32 = 300;

/// One event in so many fails.
const POISON: u32 = 60;

/// With fewer dead letters left, retrying and discarding them would be over too soon.
const FEW_LETTERS: usize = 60;

/// What so many take at least.
const ASKING: Duration = Duration::from_millis(60);

fn history() -> Vec<Event> {
    let mut random = StdRng::seed_from_u64(4);
    let mut any = || {
        let payload = match random.random_range(0..2 * POISON) {
            0 => "reject",
            1 => "panic",
            _ => "fine",
        };
        event(&format!("k{}", random.random_range(0..KEYS)), payload)
    };
    (0..EVENTS).map(|_| any()).collect()
}

fn start(history: &[Event]) -> (NatsServer, Stream, Host) {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    stream.publish(history);
    let mut host = Host::new(&nats.url()).configured("[store]\ncommit_events = 200\n");
    host.drop_module(FILE, &module(NAME));
    host.restart();
    (nats, stream, host)
}

fn on_disk(host: &Host) -> Option<Generation> {
    let mut found = data::generations(&host.data(), NAME);
    assert!(found.len() <= 1, "{found:?}");
    found.pop()
}

/// What `scribe` holds is right to the last event; its checkpoint.
#[track_caller]
fn assert_held(host: &Host, history: &[Event]) -> u64 {
    let Some(one) = on_disk(host) else { return 0 };
    let events = &history[..usize::try_from(one.sequence).unwrap()];
    let model = Scribe::of(events);
    assert_eq!(one.held_events(), model.held);
    assert_letters(&one, history, |first| {
        Some(first) == model.held.get(key(&history[first[0] as usize - 1]))
    });
    assert_eq!(one.dead_letters().len(), model.held.len());
    let applied = numbered(events).filter(|(sequence, _)| model.applied.contains(sequence));
    rows::assert_equal(
        "what is not held",
        &one.rows("notes", "key"),
        &notes(applied),
    );
    one.sequence
}

/// Each dead letter is that of the first held event of its key.
#[track_caller]
fn assert_letters(one: &Generation, history: &[Event], is_right: impl Fn(&Vec<u64>) -> bool) {
    let held = one.held_events();
    for (sequence, letter) in one.dead_letters() {
        let event = &history[sequence as usize - 1];
        assert_eq!(
            (letter.key.as_deref(), letter.held),
            (Some(key(event)), true)
        );
        assert_eq!(
            (&letter.subject, &letter.payload),
            (&event.subject, &event.payload)
        );
        assert!(fails(event), "{event:?}");
        let held = held.get(key(event));
        assert!(
            held.is_some_and(|held| held[0] == sequence && is_right(held)),
            "{sequence}: {held:?}"
        );
    }
}

#[test]
fn a_host_killed_while_it_holds_events_has_each_behind_its_dead_letter() {
    let phase = Phase::new("holding", 25);
    let history = history();
    let (_nats, _stream, mut host) = start(&history);
    let last = history.len() as u64;
    let whole = time(|| host.wait_applied(NAME, last));
    phase.run_replays(&mut host, whole, last, |host| assert_held(host, &history));
    host.restart();
    host.wait_applied(NAME, last);
    host.kill();
    assert_eq!(assert_held(&host, &history), last);
}

/// What is held is the end of what the key was given, what is not held was applied in its order, or given up where
/// `may_be_given_up` says so. Gives the number of held events.
#[track_caller]
fn assert_partly_settled(
    host: &Host,
    history: &[Event],
    may_be_given_up: impl Fn(u64) -> bool,
) -> usize {
    let one = on_disk(host).expect("there is a read model");
    assert_eq!(one.sequence, history.len() as u64);
    let (held, before) = (one.held_events(), Scribe::of(history).held);
    for (key, held) in &held {
        assert!(
            before[key].ends_with(held),
            "{key}: {held:?} of {:?}",
            before[key]
        );
    }
    assert_letters(&one, history, |_| true);
    let is_held =
        |sequence: u64, event: &Event| held.get(key(event)).is_some_and(|held| held[0] <= sequence);
    let applied = numbered(history)
        .filter(|(sequence, event)| !is_held(*sequence, event) && !may_be_given_up(*sequence));
    rows::assert_equal(
        "what is not held",
        &one.rows("notes", "key"),
        &notes(applied),
    );
    held.values().map(Vec::len).sum()
}

/// Copies a folder's files over those of another.
fn restore(from: &Path, to: &Path) {
    let _none = fs::remove_dir_all(to);
    data::copy_folder(from, to);
}

#[test]
fn a_host_killed_while_it_applies_what_it_held_goes_on_in_order() {
    let phase = Phase::new("applying what was held", 25);
    let history = history();
    let (_nats, _stream, mut host) = start(&history);
    host.wait_applied(NAME, history.len() as u64);
    host.end_with("TERM");
    let all = assert_partly_settled(&host, &history, |_| false);
    let kept = tempfile::tempdir().unwrap();
    restore(&host.data(), kept.path());
    let nothing_held = |host: &Host| {
        let status = host.status(NAME);
        status["held_keys"] == 0 && status["dead_letters"] == 0 && status["status"] == "live"
    };
    // Another digest than the one that failed: everything held is tried again as soon as it runs.
    host.drop_module(FILE, &module("scribe-mended"));
    host.restart();
    let whole =
        time(|| drop(host.wait_status(NAME, "has applied everything", |_| nothing_held(&host))));
    host.kill();
    assert_eq!(assert_partly_settled(&host, &history, |_| false), 0);

    let mut left = 0.0;
    phase.run(|instants| {
        if left == 0.0 {
            restore(kept.path(), &host.data());
            left = 1.0;
        }
        host.restart();
        instants.wait(whole.mul_f64(left));
        host.kill();
        let held = assert_partly_settled(&host, &history, |_| false);
        left = held as f64 / all as f64;
        if held > 0 { Came::Inside } else { Came::After }
    });
    host.restart();
    host.wait_status(NAME, "has applied everything", |_| nothing_held(&host));
    host.kill();
    assert_eq!(assert_partly_settled(&host, &history, |_| false), 0);
}

#[test]
fn a_host_killed_while_dead_letters_are_discarded_has_given_up_those_and_no_other() {
    let phase = Phase::new("retrying and discarding", 20);
    let history = history();
    let (_nats, _stream, mut host) = start(&history);
    host.wait_applied(NAME, history.len() as u64);
    host.end_with("TERM");
    let kept = tempfile::tempdir().unwrap();
    restore(&host.data(), kept.path());
    let mut given_up = BTreeSet::new();
    phase.run(|instants| {
        if on_disk(&host).unwrap().dead_letters().len() < FEW_LETTERS {
            restore(kept.path(), &host.data());
            given_up.clear();
        }
        host.restart();
        host.wait_state(NAME, "live");
        let path = format!("/v1/projections/{NAME}/dead-letters");
        let letters = host.get(&path).body;
        let letters = letters.as_array().unwrap().iter();
        let letters: Vec<_> = letters.map(|letter| number(&letter["sequence"])).collect();
        let (done, asked) = thread::scope(|scope| {
            let pid = host.pid();
            let asking = scope.spawn(|| ask(&host, &letters));
            instants.wait(ASKING);
            send("KILL", pid);
            asking.join().unwrap()
        });
        host.kill();
        let remaining = on_disk(&host).unwrap().dead_letters();
        for sequence in &done {
            assert!(
                !remaining.contains_key(sequence),
                "{sequence} was discarded"
            );
        }
        // What was asked for when it was killed is done or not.
        given_up.extend(done);
        given_up.extend(asked.filter(|asked| !remaining.contains_key(asked)));
        assert_partly_settled(&host, &history, |sequence| given_up.contains(&sequence));
        if asked.is_some() {
            Came::Inside
        } else {
            Came::After
        }
    });
}

/// Retries and discards one letter after the other until nobody answers: those that were discarded, and the one that
/// nothing was heard of.
fn ask(host: &Host, letters: &[u64]) -> (Vec<u64>, Option<u64>) {
    let mut done = Vec::new();
    for (i, sequence) in letters.iter().enumerate() {
        let what = ["retry", "discard"][i % 2];
        let path = format!("/v1/projections/{NAME}/dead-letters/{sequence}/{what}");
        match host.post(&path) {
            Some(answer) if what == "discard" && answer.code < 500 => done.push(*sequence),
            Some(_) => {}
            None => return (done, Some(*sequence)),
        }
    }
    (done, None)
}

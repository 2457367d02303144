//! Poison events: what cannot be applied is set aside with what belongs to it, nothing is lost and nothing comes twice.

use std::collections::BTreeMap;

use foldline_tests::guests::module;
use foldline_tests::host::Host;
use foldline_tests::nats::NatsServer;
use foldline_tests::orders::Event;
use foldline_tests::rows;
use foldline_tests::scribe::{event, notes, numbered};
use foldline_tests::stream::Stream;
use serde_json::{Value, json};

use crate::examples::number;

mod commands;
mod crashes;
mod discards;
mod generations;
mod stopped;

/// A host that runs `scribe` in a folder of its own, over an empty stream.
fn start(config: &str) -> (NatsServer, Stream, Host) {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let mut host = Host::new(&nats.url()).configured(config);
    host.drop_module("scribe.wasm", &module("scribe"));
    host.restart();
    (nats, stream, host)
}

#[track_caller]
fn assert_notes(host: &Host, what: &str, expected: &BTreeMap<String, Value>) {
    let found = rows::all(host, "scribe", "notes", "key");
    rows::assert_equal(what, &found, expected);
}

#[track_caller]
fn wait_set_aside(host: &Host, letters: u64, keys: u64) {
    host.wait_status(
        "scribe",
        &format!("{letters} dead letters, {keys} held keys"),
        |status| {
            (
                number(&status["dead_letters"]),
                number(&status["held_keys"]),
            ) == (letters, keys)
        },
    );
}

#[test]
fn a_poison_event_holds_its_key_and_no_other_and_a_mended_module_applies_what_is_held_in_order() {
    let (_nats, stream, host) = start("");
    let history = [
        event("a", "1"),
        event("b", "2"),
        event("a", "reject this"),
        event("a", "4"),
        event("b", "5"),
        event("c", "panic now"),
        event("c", "7"),
        event("a", "8"),
        event("b", "9"),
    ];
    let last = stream.publish(&history);
    host.wait_applied("scribe", last);
    wait_set_aside(&host, 2, 2);
    let passed = [1, 2, 5, 9];
    let applied = || numbered(&history).filter(|(sequence, _)| passed.contains(sequence));
    assert_notes(&host, "what is not held", &notes(applied()));

    // Later events of a held key are held, too.
    let more = [event("a", "10"), event("b", "11")];
    let last = stream.publish(&more);
    host.wait_applied("scribe", last);
    let with_last = applied().chain([(11, &more[1])]);
    assert_notes(&host, "what is still not held", &notes(with_last));

    host.drop_module("scribe.wasm", &module("scribe-mended"));
    wait_set_aside(&host, 0, 0);
    let all = [history.to_vec(), more.to_vec()].concat();
    assert_notes(&host, "everything", &notes(numbered(&all)));
    host.wait_state("scribe", "live");
}

/// A host gives them in pages of a thousand.
#[test]
fn the_command_line_shows_all_dead_letters_also_where_there_are_many() {
    let limit = "[recovery]\ndead_letters = 2000\n";
    let skip = format!("{limit}[projection.scribe]\non_poison = \"skip\"\n");
    let (_nats, stream, host) = start(&skip);
    let history: Vec<_> = (0..1_001).map(|_| event("a", "reject this")).collect();
    host.wait_applied("scribe", stream.publish(&history));
    let listed = host
        .cli(&["dead-letters", "list", "scribe", "--json"])
        .json();
    let sequences = listed.as_array().into_iter().flatten();
    let sequences = sequences.filter_map(|letter| letter["sequence"].as_u64());
    assert!(sequences.eq(1..=1_001), "{listed}");
}

#[test]
fn skipping_passes_over_the_poison_event_alone() {
    let (_nats, stream, host) = start("[projection.scribe]\non_poison = \"skip\"\n");
    let history = [
        event("a", "1"),
        event("a", "reject this"),
        event("a", "3"),
        event("b", "panic now"),
        event("b", "5"),
    ];
    let last = stream.publish(&history);
    host.wait_applied("scribe", last);
    wait_set_aside(&host, 2, 0);
    let applied = numbered(&history).filter(|(sequence, _)| ![2, 4].contains(sequence));
    assert_notes(&host, "all but two", &notes(applied));
}

//! A server has lost one of the files in which it keeps a stream, or a part of one. It says nothing of that to a consumer:
//! the events do not come, as if they had been deleted one by one.

use std::path::{Path, PathBuf};

use super::*;

/// Events of a stream that fills three files and a part of a fourth, 32,000 bytes each.
const EVENTS: usize = 250;

/// A server that has nothing in memory of a stream whose events are in several files.
fn in_blocks() -> (NatsServer, Stream) {
    in_blocks_of(Config::default())
}

fn in_blocks_of(config: Config) -> (NatsServer, Stream) {
    let mut nats = NatsServer::start();
    let config = Config {
        name: "ORDERS".into(),
        subjects: vec!["orders.>".into(), "stock.>".into()],
        // It makes files of a size that depends on this.
        max_bytes: 126_000,
        ..config
    };
    let stream = Stream::with_config(&nats.url(), config);
    let last = stream.publish(&Orders::new(1).events(EVENTS));
    assert_eq!(last, EVENTS as u64);
    nats.restart();
    (nats, stream)
}

/// The stream's files, oldest first.
fn blocks(nats: &NatsServer) -> Vec<PathBuf> {
    let folder = nats.store().join("jetstream/$G/streams/ORDERS/msgs");
    let files = std::fs::read_dir(folder).unwrap();
    let mut blocks: Vec<_> = files
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "blk"))
        .collect();
    blocks.sort();
    blocks
}

/// Takes away a file, and gives where it is kept.
fn take_away(block: &Path) -> PathBuf {
    let away = block.with_extension("away");
    std::fs::rename(block, &away).unwrap();
    away
}

/// Damages one event in the middle of a file, and gives what the file was.
fn damage(block: &Path) -> Vec<u8> {
    let whole = std::fs::read(block).unwrap();
    let mut damaged = whole.clone();
    let middle = whole.len() / 2;
    damaged[middle..middle + 20].fill(0xff);
    std::fs::write(block, damaged).unwrap();
    whole
}

/// Waits until the projection has stopped before lost events, and gives the first and the last of them.
#[track_caller]
fn wait_lost(host: &Host) -> (u64, u64) {
    let status = host.wait_status("ledger", "has stopped before lost events", |status| {
        status["last_error"]["code"] == "events_lost"
    });
    let lost = &status["last_error"]["lost"];
    let (first, last) = (
        lost["first"].as_u64().unwrap(),
        lost["last"].as_u64().unwrap(),
    );
    assert_eq!(status["checkpoint"], first - 1, "{status}");
    let lost = match first == last {
        true => format!("event {first} of stream ORDERS is gone"),
        false => format!("events {first} to {last} of stream ORDERS are gone"),
    };
    assert_says(host, "failed", &lost, "foldline accept");
    (first, last)
}

/// A status says which events the read model is built without.
#[track_caller]
fn assert_is_without(status: &Value, events: &str) {
    let missing = format!("built without {events}, which the stream had lost");
    let warnings = status["warnings"].as_array().unwrap();
    let warned = |it: &Value| it.as_str().is_some_and(|it| it.contains(&missing));
    assert!(warnings.iter().any(warned), "{status}");
}

#[test]
fn a_file_that_is_gone_from_the_middle_of_a_stream_stops_the_projection_before_it() {
    let (mut nats, stream) = in_blocks();
    let block = blocks(&nats).remove(1);
    let away = take_away(&block);
    let mut host = Host::start(&nats.url(), &["ledger"]);
    let (first, last) = wait_lost(&host);
    assert!(
        first > 50 && last > first + 50 && last < 200,
        "{first} to {last}"
    );
    // No restart brings them back, and none passes over them.
    host.restart();
    assert_eq!(wait_lost(&host), (first, last));

    nats.kill();
    std::fs::rename(&away, &block).unwrap();
    nats.restart();
    host.wait_applied("ledger", EVENTS as u64);
    assert_each_event_once_in_order(&host, stream.publish(&Orders::new(2).events(10)));
    let status = host.wait_state("ledger", "live");
    assert!(!status.to_string().contains("built without"), "{status}");
}

/// A server that is started without what it has lost takes that for deleted.
#[test]
fn what_was_lost_is_lost_also_when_the_server_has_forgotten_it() {
    let (mut nats, stream) = in_blocks();
    take_away(&blocks(&nats)[1]);
    let host = Host::start(&nats.url(), &["ledger"]);
    let (first, last) = wait_lost(&host);
    nats.kill();
    host.wait_status("ledger", "has missed the server", |status| {
        status["last_error"]["code"] == "unreachable"
    });
    nats.restart();
    assert_eq!(wait_lost(&host), (first, last));

    assert_eq!(host.cli(&["accept", "ledger"]).code, 0);
    host.wait_applied("ledger", EVENTS as u64);
    let end = stream.publish(&Orders::new(2).events(10));
    host.wait_applied("ledger", end);
    let head = host.row("ledger", "heads", "head").expect("a row");
    assert_eq!(head["events"], end - (last + 1 - first), "{head}");
}

/// Who turns everything off and on again has not accepted anything.
#[test]
fn what_was_lost_is_lost_also_when_host_and_server_were_started_again() {
    let (mut nats, _stream) = in_blocks();
    take_away(&blocks(&nats)[1]);
    let mut host = Host::start(&nats.url(), &["ledger"]);
    let (first, last) = wait_lost(&host);
    host.kill();
    nats.kill();
    nats.restart();
    host.restart();
    assert_eq!(wait_lost(&host), (first, last));
    host.restart();
    assert_eq!(wait_lost(&host), (first, last));

    assert_eq!(host.cli(&["accept", "ledger"]).code, 0);
    host.wait_applied("ledger", EVENTS as u64);
    host.log().wait_for(&["goes on", "events_lost"]);
    host.restart();
    let status = host.wait_state("ledger", "live");
    assert_eq!(status["lag"], 0, "{status}");
    assert_is_without(&status, &format!("events {first} to {last}"));
    let head = host.row("ledger", "heads", "head").expect("a row");
    assert_eq!(head["events"], EVENTS as u64 - (last + 1 - first), "{head}");
}

#[test]
fn each_loss_of_a_file_is_accepted_for_itself() {
    let (nats, stream) = in_blocks();
    let blocks = blocks(&nats);
    for block in [0, 2] {
        take_away(&blocks[block]);
    }
    let mut host = Host::start(&nats.url(), &["ledger"]);
    let accept = |(first, last)| {
        let accepted = host.cli(&["accept", "ledger"]);
        let goes_on = format!("ledger goes on without events {first} to {last}\n");
        assert_eq!(accepted.stdout, goes_on, "{accepted:?}");
        last + 1 - first
    };
    let (_, beginning) = wait_lost(&host);
    let mut lost = accept((1, beginning));
    host.wait_status("ledger", "has read the second file", |status| {
        status["checkpoint"].as_u64() > Some(beginning)
    });
    lost += accept(wait_lost(&host));
    host.wait_applied("ledger", EVENTS as u64);

    host.restart();
    let last = stream.publish(&Orders::new(2).events(10));
    host.wait_applied("ledger", last);
    let head = host.row("ledger", "heads", "head").expect("a row");
    assert_eq!(head["events"], last - lost, "{head}");
}

#[test]
fn a_file_that_is_gone_from_the_end_of_a_stream_was_not_deleted() {
    let (mut nats, _stream) = in_blocks();
    let block = blocks(&nats).remove(3);
    let away = take_away(&block);
    let host = Host::start(&nats.url(), &["ledger"]);
    let (_, last) = wait_lost(&host);
    assert_eq!(last, EVENTS as u64);

    nats.kill();
    std::fs::rename(&away, &block).unwrap();
    nats.restart();
    host.wait_applied("ledger", EVENTS as u64);
    assert_each_event_once_in_order(&host, EVENTS as u64);
}

/// It answers that it finds no such message, and counts it all the same.
#[test]
fn an_event_that_is_damaged_on_the_servers_disk_is_not_passed_over() {
    let (mut nats, stream) = in_blocks();
    let block = blocks(&nats).remove(1);
    let whole = damage(&block);
    let host = Host::start(&nats.url(), &["ledger"]);
    let (first, last) = wait_lost(&host);
    assert!(first > 77 && first == last, "{first} to {last}");

    nats.kill();
    std::fs::write(&block, &whole).unwrap();
    nats.restart();
    host.wait_applied("ledger", EVENTS as u64);
    assert_each_event_once_in_order(&host, stream.publish(&Orders::new(2).events(10)));
}

#[test]
fn a_damaged_event_can_be_given_up() {
    let (nats, stream) = in_blocks();
    damage(&blocks(&nats)[1]);
    let mut host = Host::start(&nats.url(), &["ledger"]);
    let (first, last) = wait_lost(&host);
    assert_eq!(first, last);
    assert_eq!(host.cli(&["accept", "ledger"]).code, 0);
    host.wait_applied("ledger", EVENTS as u64);
    assert_eq!(host.wait_state("ledger", "live")["lag"], 0);
    host.restart();
    let last = stream.publish(&Orders::new(2).events(10));
    host.wait_applied("ledger", last);
    let head = host.row("ledger", "heads", "head").expect("a row");
    assert_eq!(head["events"], last - 1, "{head}");
}

/// Neither to compare the live one with, nor to take its place: both would be without it anyway.
#[test]
fn what_was_accepted_once_is_not_asked_again_of_what_is_built_beside_it() {
    let (mut nats, _stream) = in_blocks();
    take_away(&blocks(&nats)[1]);
    let host = Host::start(&nats.url(), &["ledger"]);
    let (first, last) = wait_lost(&host);
    assert_eq!(host.cli(&["accept", "ledger"]).code, 0);
    host.wait_applied("ledger", EVENTS as u64);
    host.wait_state("ledger", "live");
    let verified = host.cli(&["verify", "ledger"]);
    assert_eq!(verified.code, 0, "{verified:?}");
    let rebuild = || {
        let rebuilt = host.cli(&["rebuild", "ledger", "--wait"]);
        assert_eq!(rebuilt.code, 0, "{rebuilt:?}");
        let status = host.wait_state("ledger", "live");
        assert_is_without(&status, &format!("events {first} to {last}"));
        let head = host.row("ledger", "heads", "head").expect("a row");
        assert_eq!(head["events"], EVENTS as u64 - (last + 1 - first), "{head}");
    };
    rebuild();

    // From here on the server takes them for deleted.
    nats.kill();
    nats.restart();
    rebuild();
}

/// It drops what follows the damage, and does not say what that was.
#[test]
fn what_a_server_drops_of_a_damaged_file_was_not_deleted_where_nobody_can_delete() {
    let (mut nats, _stream) = in_blocks_of(Config {
        deny_delete: true,
        deny_purge: true,
        ..Config::default()
    });
    nats.kill();
    damage(&blocks(&nats)[1]);
    nats.restart();
    let host = Host::start(&nats.url(), &["ledger"]);
    let (first, last) = wait_lost(&host);
    assert!(first > 77 && last > first + 20, "{first} to {last}");
}

#[test]
fn a_read_model_is_built_again_by_itself_without_what_the_server_has_lost() {
    let (nats, _stream) = in_blocks();
    let settings = "[projection.ledger]\non_lost_events = \"rebuild\"\n";
    damage(&blocks(&nats)[1]);
    let mut host = Host::new(&nats.url()).configured(settings);
    host.drop_module("ledger.wasm", &module("ledger"));
    host.restart();
    host.wait_status("ledger", "was built again", |status| {
        status["generations"][1]["state"] == "live" && status["checkpoint"] == EVENTS
    });
    let head = host.row("ledger", "heads", "head").expect("a row");
    assert_eq!(head["events"], EVENTS - 1, "{head}");
}

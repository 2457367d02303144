//! The stream is not the one that was read, or has lost events: the projection stops with a named reason, keeps its
//! rows, and nothing is passed over unless somebody says so.

use foldline_tests::guests::module;
use foldline_tests::host::Host;
use foldline_tests::nats::NatsServer;
use foldline_tests::orders::Orders;
use foldline_tests::stream::{Config, Stream};
use serde_json::{Value, json};

use crate::bad_streams::assert_says;
use crate::examples::assert_each_event_once_in_order;

mod deleted_end;
mod lost_blocks;
mod rebuild;

/// A host that has applied 500 events of a stream.
fn at_500() -> (NatsServer, Stream, Host) {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let host = Host::start(&nats.url(), &["ledger"]);
    host.wait_applied("ledger", stream.publish(&Orders::new(1).events(500)));
    (nats, stream, host)
}

/// Waits until the projection has stopped for this reason, and looks everywhere a person or a program would.
#[track_caller]
fn assert_halted(host: &Host, code: &str, error: &str, hint: &str) -> Value {
    assert_says(host, "failed", error, hint);
    let status = host.status("ledger");
    assert_eq!(status["last_error"]["code"], code, "{status}");
    let ready = host.get("/readyz").body;
    assert_eq!(ready["reasons"][0]["code"], code, "{ready}");
    host.log().wait_for(&[error, &format!("code=\"{code}\"")]);
    let head = host.row("ledger", "heads", "head");
    let head = head.expect("its rows are still served");
    assert_eq!(
        (&head["last_sequence"], &head["events"]),
        (&json!(500), &json!(500))
    );
    status
}

#[test]
fn a_stream_that_is_gone_stops_the_projection_until_it_is_restored() {
    let (mut nats, stream, host) = at_500();
    let copy = tempfile::tempdir().unwrap();
    nats.kill();
    copy_folder(&nats.store(), copy.path());
    nats.restart();
    host.wait_state("ledger", "live");

    stream.delete();
    assert_halted(
        &host,
        "stream_missing",
        "read up to event 500",
        "restore the stream",
    );
    nats.kill();
    std::fs::remove_dir_all(nats.store()).unwrap();
    copy_folder(copy.path(), &nats.store());
    nats.restart();
    let last = stream.publish_through_crashes(&Orders::new(1).events(600));
    assert_each_event_once_in_order(&host, last);
}

/// It would have less than what it replaces, so nobody but an operator decides that.
#[test]
fn a_rebuild_from_a_stream_without_its_beginning_says_so_and_can_be_told_to_go_on() {
    let (_nats, stream, host) = at_500();
    stream.purge_before(101);
    let built = host.cli(&["rebuild", "ledger", "--wait"]);
    built.assert_explains(1, &["events 1 to 100", "`foldline accept ledger`"]);
    let accepted = host.cli(&["accept", "ledger"]);
    assert_eq!(accepted.code, 0, "{accepted:?}");
    host.wait_status("ledger", "has another generation live", |status| {
        let generations = status["generations"].as_array().into_iter().flatten();
        let mut live = generations.filter(|one| one["state"] == "live");
        live.any(|live| live["number"] == 2) && status["status"] == "live"
    });
}

/// The server takes what its clients cannot read.
#[test]
fn an_event_that_no_client_can_read_is_named_until_it_is_deleted() {
    let (nats, stream, host) = at_500();
    nats.publish_raw("orders.o-1.OrderPlaced", b"NATS/1.0\r\nMy Name: x\r\n\r\n");
    assert_halted(
        &host,
        "event_unreadable",
        "event 501 of stream ORDERS cannot be read: its header name",
        "delete this event",
    );
    stream.delete_message(501);
    let last = stream.publish(&Orders::new(2).events(100));
    host.wait_applied("ledger", last);
}

/// What begins behind everything has nothing to read that would bring its place into the file.
#[test]
fn a_projection_of_an_emptied_stream_is_live_and_makes_way_for_its_next_version() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let last = stream.publish(&Orders::new(1).events(100));
    stream.purge_before(last + 1);
    let name = "order-summary";
    let section = format!("[projection.{name}]\nstart = \"first\"\n");
    let mut host = Host::new(&nats.url()).configured(&section);
    host.drop_module("orders.wasm", &module(name));
    host.restart();
    host.wait_state(name, "live");
    let read = format!("/v1/read-models/{name}/orders?min_sequence={last}");
    assert_eq!(host.get(&read).code, 200);
    host.drop_module("orders.wasm", &module("order-summary-next"));
    host.wait_status(name, "is its next version", |status| {
        status["version"] == 2 && status["status"] == "live"
    });
}

#[test]
fn a_stream_made_anew_stops_the_projection_however_long_it_is() {
    for (count, code, error) in [
        (
            100,
            "stream_went_back",
            "ends at 100, before this read model's checkpoint 500",
        ),
        (
            500,
            "stream_replaced",
            "not the one this read model was built from",
        ),
        (
            900,
            "stream_replaced",
            "not the one this read model was built from",
        ),
    ] {
        let (nats, stream, host) = at_500();
        stream.delete();
        let other = Stream::of_orders(&nats.url());
        other.publish(&Orders::new(2).events(count));
        assert_halted(&host, code, error, "replaced on purpose");
    }
}

#[test]
fn a_stream_replaced_while_the_host_was_away_stops_the_projection() {
    let (nats, stream, mut host) = at_500();
    host.kill();
    stream.delete();
    let other = Stream::of_orders(&nats.url());
    other.publish(&Orders::new(2).events(900));
    // The event by which the stream would be recognised.
    other.delete_message(500);
    host.restart();
    let error = "not the one this read model was built from";
    assert_halted(&host, "stream_replaced", error, "replaced on purpose");
}

#[test]
fn a_stream_restored_from_an_old_copy_stops_the_projection_although_it_grew_again() {
    let (mut nats, stream, host) = at_500();
    let copy = tempfile::tempdir().unwrap();
    nats.kill();
    copy_folder(&nats.store(), copy.path());
    nats.restart();
    host.wait_state("ledger", "live");
    let read = stream.publish_through_crashes(&Orders::new(1).events(600));
    host.wait_applied("ledger", read);
    nats.kill();
    std::fs::remove_dir_all(nats.store()).unwrap();
    copy_folder(copy.path(), &nats.store());
    nats.restart();
    let error = "ends at 500, before this read model's checkpoint 600";
    assert_says(&host, "failed", error, "replaced on purpose");
    stream.publish_through_crashes(&Orders::new(1).events(700));
    let error = "not the one this read model was built from";
    assert_says(&host, "failed", error, "replaced on purpose");
}

fn copy_folder(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy_folder(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).unwrap()),
        }
    }
}

/// Events 501 to 600 are gone before the ledger has read them.
fn lose_events(stream: &Stream, host: &mut Host) {
    host.kill();
    stream.publish(&Orders::new(2).events(500));
    stream.purge_before(601);
    host.restart();
}

/// Everything but the lost events is in the rows.
#[track_caller]
fn assert_goes_on_without_them(host: &Host, stream: &Stream) {
    let last = stream.publish(&Orders::new(3).events(100));
    host.wait_applied("ledger", last);
    let head = host
        .row("ledger", "heads", "head")
        .expect("there is a head");
    assert_eq!(head["last_sequence"], last, "{head}");
    assert_eq!(head["events"], last - 100, "{head}");
    host.log()
        .wait_for(&["the loss of events 501 to 600 is accepted"]);
}

#[test]
fn events_lost_before_they_were_read_stop_the_projection_until_an_operator_accepts_it() {
    let (_nats, stream, mut host) = at_500();
    host.cli(&["accept", "ledger"])
        .assert_explains(1, &["waits for no lost events", "events_lost"]);
    lose_events(&stream, &mut host);
    let status = assert_halted(&host, "events_lost", "events 501 to 600", "foldline accept");
    assert_eq!(
        status["last_error"]["lost"],
        json!({"first": 501, "last": 600})
    );

    let accepted = host.cli(&["accept", "ledger"]);
    assert_eq!(
        accepted.stdout,
        "ledger goes on without events 501 to 600\n"
    );
    assert_goes_on_without_them(&host, &stream);
    host.restart();
    host.wait_state("ledger", "live");
    host.cli(&["accept", "ledger"])
        .assert_explains(1, &["waits for no lost events"]);
    host.cli(&["accept", "nobody"])
        .assert_explains(1, &["nobody"]);
}

#[test]
fn an_accepted_loss_stays_accepted_when_nothing_follows_it() {
    let (_nats, stream, mut host) = at_500();
    host.kill();
    stream.publish(&Orders::new(2).events(100));
    stream.purge_before(601);
    host.restart();
    assert_halted(&host, "events_lost", "events 501 to 600", "foldline accept");
    assert_eq!(host.cli(&["accept", "ledger"]).code, 0);
    host.wait_applied("ledger", 600);
    host.restart();
    host.wait_state("ledger", "live");
    assert_eq!(host.checkpoint("ledger"), 600);
}

#[test]
fn a_projection_configured_to_accept_losses_goes_on_by_itself_and_says_so() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let mut host =
        Host::new(&nats.url()).configured("[projection.ledger]\non_lost_events = \"accept\"\n");
    host.drop_module("ledger.wasm", &foldline_tests::guests::module("ledger"));
    host.restart();
    host.wait_applied("ledger", stream.publish(&Orders::new(1).events(500)));
    lose_events(&stream, &mut host);
    assert_goes_on_without_them(&host, &stream);
}

#[test]
fn events_deleted_from_the_middle_are_passed_over_and_warned_about() {
    let nats = NatsServer::start();
    let stream = Stream::with_config(
        &nats.url(),
        Config {
            name: "ORDERS".into(),
            subjects: vec!["orders.>".into(), "stock.>".into()],
            max_messages_per_subject: 1_000,
            ..Config::default()
        },
    );
    let last = stream.publish(&Orders::new(1).events(500));
    for sequence in 100..110 {
        stream.delete_message(sequence);
    }
    let host = Host::start(&nats.url(), &["ledger"]);
    host.wait_applied("ledger", last);
    let head = host
        .row("ledger", "heads", "head")
        .expect("there is a head");
    assert_eq!(head["events"], last - 10, "{head}");
    let status = host.wait_state("ledger", "live");
    let warnings = status["warnings"].to_string();
    assert!(
        warnings.contains("it keeps 1000 events of each subject"),
        "{warnings}"
    );
    assert!(
        warnings.contains("10 events were deleted from its middle"),
        "{warnings}"
    );
    host.log()
        .wait_for(&["ledger", "10 events were deleted from its middle"]);
    let shown = host.cli(&["status", "ledger"]).stdout;
    assert!(shown.contains("warning"), "{shown}");
}

//! Where the stream is not what it was, the read model is built again from the stream as it is now: because the
//! configuration says so, or an operator.

use foldline_tests::guests::module;
use foldline_tests::host::Host;
use foldline_tests::nats::NatsServer;
use foldline_tests::orders::Orders;
use foldline_tests::stream::Stream;
use serde_json::Value;

use super::{assert_halted, lose_events};
use crate::examples::assert_each_event_once_in_order;

/// A host that has applied 500 events of a stream, and builds again what cannot go on.
fn rebuilding_at_500(settings: &str) -> (NatsServer, Stream, Host) {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let settings = format!("[projection.ledger]\non_lost_events = \"rebuild\"\n{settings}");
    let mut host = Host::new(&nats.url()).configured(&settings);
    host.drop_module("ledger.wasm", &module("ledger"));
    host.restart();
    host.wait_applied("ledger", stream.publish(&Orders::new(1).events(500)));
    (nats, stream, host)
}

/// The generation of this number.
fn generation(status: &Value, number: u64) -> Value {
    let all = status["generations"].as_array().into_iter().flatten();
    let mut found = all.filter(|one| one["number"] == number);
    found.next().cloned().unwrap_or_default()
}

/// Waits until the second generation is live, and the first stands by with the reason for which it stopped.
#[track_caller]
fn wait_taken_over(host: &Host, code: &str) {
    let status = host.wait_status("ledger", "was built again", |status| {
        status["status"] == "live" && generation(status, 2)["state"] == "live"
    });
    let (old, new) = (generation(&status, 1), generation(&status, 2));
    assert_eq!(old["state"], "standby", "{status}");
    assert_eq!(old["status"], "failed", "{status}");
    assert_eq!(old["last_error"]["code"], code, "{status}");
    assert_eq!(new["incident"]["code"], code, "{status}");
    assert_eq!(host.get("/readyz").code, 200);
}

/// Events 501 to 600 are lost and 1 to 500 are not in the stream any more.
#[track_caller]
fn assert_built_from_what_is_left(host: &Host, last: u64) {
    host.wait_applied("ledger", last);
    let head = host
        .row("ledger", "heads", "head")
        .expect("there is a head");
    assert_eq!(head["last_sequence"], last, "{head}");
    assert_eq!(head["events"], last - 600, "{head}");
}

#[test]
fn a_projection_that_lost_events_is_built_again_by_itself_and_serves_its_rows_until_then() {
    let (_nats, stream, mut host) = rebuilding_at_500("promote = \"manual\"\n");
    lose_events(&stream, &mut host);
    let waits = |host: &Host| {
        host.wait_status("ledger", "has built a second generation", |status| {
            let built = generation(status, 2);
            built["state"] == "building" && built["lag"] == 0 && built["checkpoint"] == 1_000
        });
        assert_halted(host, "events_lost", "events 501 to 600", "foldline rebuild")
    };
    waits(&host);
    host.log()
        .wait_for(&["built again from the stream as it is now", "ledger"]);
    // The same incident begins nothing more, however often it is found.
    for _ in 0..2 {
        host.restart();
        let status = waits(&host);
        assert_eq!(status["generations"].as_array().map(Vec::len), Some(2));
    }

    let promoted = host.cli(&["promote", "ledger"]);
    assert_eq!(promoted.code, 0, "{promoted:?}");
    wait_taken_over(&host, "events_lost");
    assert_built_from_what_is_left(&host, stream.publish(&Orders::new(3).events(100)));
    host.cli(&["rollback", "ledger"])
        .assert_explains(1, &["does not come nearer"]);
}

#[test]
fn each_incident_is_answered_by_a_generation_of_its_own() {
    let (_nats, stream, mut host) = rebuilding_at_500("");
    lose_events(&stream, &mut host);
    wait_taken_over(&host, "events_lost");
    assert_built_from_what_is_left(&host, 1_000);
    assert_eq!(
        host.log()
            .lines_with(&["built again from the stream as it is now"])
            .len(),
        1
    );

    host.kill();
    stream.publish(&Orders::new(4).events(100));
    stream.purge_before(1_051);
    host.restart();
    host.wait_status("ledger", "was built a third time", |status| {
        status["status"] == "live" && generation(status, 3)["state"] == "live"
    });
    host.wait_applied("ledger", 1_100);
    let head = host
        .row("ledger", "heads", "head")
        .expect("there is a head");
    assert_eq!(head["events"], 50, "{head}");
}

#[test]
fn a_projection_whose_stream_was_replaced_is_built_again_from_the_new_one() {
    for (count, code) in [
        (100, "stream_went_back"),
        (500, "stream_replaced"),
        (900, "stream_replaced"),
    ] {
        let (nats, stream, mut host) = rebuilding_at_500("");
        host.kill();
        stream.delete();
        let other = Stream::of_orders(&nats.url());
        other.publish(&Orders::new(2).events(count));
        host.restart();
        wait_taken_over(&host, code);
        let last = other.publish(&Orders::new(3).events(100));
        assert_each_event_once_in_order(&host, last);
    }
}

#[test]
fn a_stream_that_is_only_gone_is_waited_for() {
    let (_nats, stream, mut host) = rebuilding_at_500("");
    stream.delete();
    // What had been begun at the first look would be there after a restart at the latest.
    for _ in 0..2 {
        let status = assert_halted(&host, "stream_missing", "read up to event 500", "restore");
        assert_eq!(status["generations"].as_array().map(Vec::len), Some(1));
        host.restart();
    }
}

#[test]
fn an_operator_builds_a_halted_projection_again_from_the_stream_as_it_is_now() {
    let (nats, stream, mut host) = super::at_500();
    host.kill();
    stream.delete();
    let other = Stream::of_orders(&nats.url());
    other.publish(&Orders::new(2).events(100));
    host.restart();
    assert_halted(&host, "stream_went_back", "ends at 100", "foldline rebuild");
    let rebuilt = host.cli(&["rebuild", "ledger"]);
    assert_eq!(rebuilt.code, 0, "{rebuilt:?}");
    wait_taken_over(&host, "stream_went_back");
    let last = other.publish(&Orders::new(3).events(100));
    assert_each_event_once_in_order(&host, last);

    let (_nats, stream, mut host) = super::at_500();
    lose_events(&stream, &mut host);
    assert_halted(
        &host,
        "events_lost",
        "events 501 to 600",
        "foldline rebuild",
    );
    assert_eq!(host.cli(&["rebuild", "ledger"]).code, 0);
    wait_taken_over(&host, "events_lost");
    assert_built_from_what_is_left(&host, 1_000);
}

#[test]
fn what_is_known_of_the_stream_outlives_a_server_that_is_away_when_an_operator_builds_again() {
    let (mut nats, stream, mut host) = super::at_500();
    host.kill();
    stream.delete();
    let other = Stream::of_orders(&nats.url());
    other.publish(&Orders::new(2).events(100));
    host.restart();
    assert_halted(&host, "stream_went_back", "ends at 100", "foldline rebuild");
    // What is not begun is answered at once: nobody settles anything of a read model that does not run.
    let refused = host.cli(&["dead-letters", "discard", "ledger", "1"]);
    refused.assert_explains(1, &["cannot be settled now", "foldline status ledger"]);
    nats.kill();
    // Whoever looks again comes upon the server that is away.
    for word in ["pause", "resume"] {
        let done = host.cli(&[word, "ledger"]);
        assert_eq!(done.code, 0, "{done:?}");
    }
    host.wait_status("ledger", "has lost its server", |status| {
        let code = &status["last_error"]["code"];
        code == "unreachable" || code == "interrupted"
    });
    let rebuilt = host.cli(&["rebuild", "ledger"]);
    assert_eq!(rebuilt.code, 0, "{rebuilt:?}");
    nats.restart();
    let status = host.wait_status("ledger", "was built again", |status| {
        status["status"] == "live" && generation(status, 2)["state"] == "live"
    });
    assert_eq!(
        generation(&status, 2)["incident"]["code"],
        "stream_replaced",
        "{status}"
    );
    let last = other.publish(&Orders::new(3).events(100));
    assert_each_event_once_in_order(&host, last);
}

/// A host whose stream is gone, and that has begun to build its read model again before anybody knew what comes instead:
/// another stream of 100 events.
fn building_before_the_stream_was_replaced(settings: &str) -> (NatsServer, Stream, Host) {
    let (nats, stream, mut host) = super::at_500();
    host = host.configured(settings);
    host.restart();
    stream.delete();
    assert_halted(&host, "stream_missing", "read up to event 500", "restore");
    let rebuilt = host.cli(&["rebuild", "ledger"]);
    assert_eq!(rebuilt.code, 0, "{rebuilt:?}");
    let other = Stream::of_orders(&nats.url());
    other.publish(&Orders::new(2).events(100));
    (nats, other, host)
}

/// It can only be promoted by hand, so nobody waits for more.
#[test]
fn who_waits_for_a_rebuild_is_told_that_it_waits_for_a_promotion() {
    let (nats, stream, host) = super::at_500();
    stream.delete();
    assert_halted(&host, "stream_missing", "read up to event 500", "restore");
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| host.cli(&["rebuild", "ledger", "--wait"]));
        let two = |status: &Value| status["generations"].as_array().map(Vec::len) == Some(2);
        host.wait_status("ledger", "is built again", two);
        // So near to the checkpoint in the old stream that it would be about to reach it.
        let other = Stream::of_orders(&nats.url());
        other.publish(&Orders::new(2).events(450));
        let ended = waits.join().expect("it ends");
        assert_eq!(ended.code, 0, "{ended:?}");
        assert!(
            ended.stdout.contains("`foldline promote ledger`"),
            "{ended:?}"
        );
    });
    let promoted = host.cli(&["promote", "ledger"]);
    assert_eq!(promoted.code, 0, "{promoted:?}");
}

#[test]
fn what_was_begun_before_the_stream_was_replaced_is_promoted_by_hand() {
    let (_nats, other, host) = building_before_the_stream_was_replaced("");
    host.wait_status("ledger", "has built a second generation", |status| {
        let [live, built] = [1, 2].map(|number| generation(status, number));
        live["last_error"]["code"] == "stream_went_back"
            && (&built["state"], &built["checkpoint"]) == (&"building".into(), &100.into())
    });
    // What reads another stream than the live one takes no place by itself.
    host.cli(&["rebuild", "ledger"])
        .assert_explains(1, &["is being built already", "foldline promote ledger"]);
    let promoted = host.cli(&["promote", "ledger"]);
    assert_eq!(promoted.code, 0, "{promoted:?}");
    let last = other.publish(&Orders::new(3).events(100));
    assert_each_event_once_in_order(&host, last);
}

#[test]
fn what_was_begun_before_the_stream_was_replaced_follows_where_the_configuration_says_so() {
    let settings = "[projection.ledger]\non_lost_events = \"rebuild\"\n";
    let (_nats, other, host) = building_before_the_stream_was_replaced(settings);
    host.wait_status("ledger", "has taken over", |status| {
        generation(status, 2)["state"] == "live"
    });
    let last = other.publish(&Orders::new(3).events(100));
    assert_each_event_once_in_order(&host, last);
}

const ORDERS: &str = "order-summary";

/// A host whose live read model has 500 events of a stream in whose place another one has come, and whose next version has
/// read that.
fn next_version_of_another_stream(events: usize) -> (NatsServer, Stream, Host) {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let mut host = Host::start(&nats.url(), &[ORDERS]);
    host.wait_applied(ORDERS, stream.publish(&Orders::new(1).events(500)));
    host.kill();
    stream.delete();
    let other = Stream::of_orders(&nats.url());
    other.publish(&Orders::new(2).events(events));
    host.restart();
    host.wait_status(ORDERS, "is halted", |status| {
        let code = status["last_error"]["code"].as_str().unwrap_or_default();
        ["stream_replaced", "stream_went_back"].contains(&code)
    });
    host.cli(&["verify", ORDERS])
        .assert_explains(1, &["cannot be compared with what its stream gives now"]);
    host.drop_module("order-summary.wasm", &module("order-summary-next"));
    let status = host.wait_status(ORDERS, "has built version 2", |status| {
        generation(status, 2)["awaits_promotion"] == true
    });
    assert_eq!(generation(&status, 2)["checkpoint"], events, "{status}");
    (nats, other, host)
}

fn by_hand(host: &Host, command: &str) -> String {
    let done = host.cli(&[command, ORDERS]);
    assert_eq!(done.code, 0, "{done:?}");
    done.stdout
}

/// Sequences of two streams are no places on one way, however they compare.
#[test]
fn a_version_of_a_longer_stream_takes_the_place_of_a_halted_one_only_by_hand() {
    let (_nats, other, mut host) = next_version_of_another_stream(900);
    // A host that starts does not know yet what the stream is.
    for _ in 0..3 {
        host.restart();
        host.wait_status(ORDERS, "waits again", |status| {
            assert_eq!(status["version"], 1, "{status}");
            generation(status, 2)["awaits_promotion"] == true
        });
    }
    let shown = host.cli(&["status", ORDERS]).stdout;
    let expected = "`foldline promote order-summary` makes it live";
    assert!(shown.contains(expected), "{shown}");
    by_hand(&host, "promote");
    host.wait_applied(ORDERS, other.publish(&Orders::new(3).events(100)));
}

#[test]
fn who_rolls_back_to_what_cannot_go_on_is_told_and_can_go_forward_again() {
    let (_nats, other, host) = next_version_of_another_stream(100);
    by_hand(&host, "promote");
    let back = by_hand(&host, "rollback");
    assert!(back.contains("it does not go on: "), "{back}");
    by_hand(&host, "rollback");
    host.wait_applied(ORDERS, other.publish(&Orders::new(4).events(100)));
}

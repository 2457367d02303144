//! Two read models of one projection are compared at one sequence.

use std::sync::atomic::{AtomicBool, Ordering};

use foldline_tests::guests::module;
use foldline_tests::host::Host;
use foldline_tests::nats::NatsServer;
use foldline_tests::orders::Orders;
use foldline_tests::stream::Stream;
use foldline_tests::wait::wait_until;
use serde_json::Value;

use super::{FILE, NAME, assert_states, command, wait_version};

#[test]
fn a_version_is_compared_with_the_live_one_while_events_come_and_promoted_by_hand() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let mut host =
        Host::new(&nats.url()).configured("[projection.order-summary]\npromote = \"manual\"\n");
    host.drop_module(FILE, &module(NAME));
    host.restart();
    host.wait_applied(NAME, stream.publish(&Orders::new(1).events(2_000)));
    host.drop_module(FILE, &module("order-summary-next"));
    let built = |status: &Value| {
        let next = &status["generations"][1];
        next["state"] == "building" && next["checkpoint"] == 2_000
    };
    host.wait_status(NAME, "has version 2 built", built);

    let (done, mut orders) = (AtomicBool::new(false), Orders::new(2));
    std::thread::scope(|scope| {
        let ends_the_publisher = crate::reload::SetOnDrop(&done);
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                stream.publish(&orders.events(50));
            }
        });
        for _ in 0..5 {
            let found = wait_until("they can be compared", || {
                let done = host.cli(&["diff", NAME, "--json"]);
                (done.code == 0).then(|| done.json())
            });
            assert_eq!(found["equal"], true, "{found}");
            let table = &found["tables"][0];
            assert_eq!(
                table["columns_only_other"],
                serde_json::json!(["paid_at"]),
                "{found}"
            );
            assert_eq!(table["rows_live"], table["rows_other"], "{found}");
        }
        drop(ends_the_publisher);
    });
    assert_states(&host, &[(1, "live"), (2, "building")]);
    command(&host, &["promote", NAME]);
    let shown = command(&host, &["diff", NAME]);
    assert!(
        shown.contains("columns only in the live one: paid_at"),
        "{shown}"
    );
}

#[test]
fn a_read_model_built_again_is_the_same_whatever_the_batches() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let mut host = Host::start(&nats.url(), &[NAME]);
    host.wait_applied(NAME, stream.publish(&Orders::new(1).events(3_000)));
    let first = verified(&host);
    assert_eq!(
        first["tables"][0]["hash_live"],
        first["tables"][0]["hash_other"]
    );
    let rebuilt = command(&host, &["rebuild", NAME, "--wait"]);
    assert!(rebuilt.contains("is live, built again"), "{rebuilt}");

    host.end_with("TERM");
    host = host.configured("[limits]\nbatch_events = 7\n[store]\ncommit_events = 50\n");
    host.restart();
    host.wait_state(NAME, "live");
    let second = verified(&host);
    assert_eq!(
        first["tables"][0]["hash_live"],
        second["tables"][0]["hash_other"]
    );
    assert_eq!(host.status(NAME)["verified"]["equal"], true);
    // What was built for it is gone, the one on standby is not.
    assert_states(&host, &[(1, "standby"), (1, "live")]);
}

/// What a `verify` that finds no difference prints.
#[track_caller]
fn verified(host: &Host) -> Value {
    let found = host.cli(&["verify", NAME, "--json"]);
    assert_eq!(found.code, 0, "{found:?}");
    let found = found.json();
    assert_eq!(found["equal"], true, "{found}");
    assert_eq!(found["sequence"], 3_000, "{found}");
    found
}

#[test]
fn what_is_verified_is_compared_once_whatever_else_happens() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let host = Host::start(&nats.url(), &["ledger"]);
    host.wait_applied("ledger", stream.publish(&Orders::new(1).events(200_000)));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let ends_the_thread = crate::reload::SetOnDrop(&done);
        // Each look at the modules folder is an occasion to begin again.
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                host.drop_module("other.wasm", b"no module");
                host.remove_module("other.wasm");
            }
        });
        assert_eq!(host.cli(&["verify", "ledger"]).code, 0);
        drop(ends_the_thread);
    });
    command(&host, &["rebuild", "ledger", "--wait"]);
    assert_eq!(host.log().lines_with(&["verified:"]).len(), 1);
}

#[test]
fn a_read_model_that_is_not_what_its_module_gives_is_found_and_replaced() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let host = Host::start(&nats.url(), &[NAME]);
    let mut orders = Orders::new(1);
    host.wait_applied(NAME, stream.publish(&orders.events(1_000)));
    // The same version with other code: what was there stays as it is.
    host.drop_module(FILE, &module("order-summary-changed"));
    host.wait_status(NAME, "was reloaded", |status| status["reloads"] == 1);
    host.wait_applied(NAME, stream.publish(&orders.events(100)));

    let found = host.cli(&["verify", NAME]);
    found.assert_explains(1, &["not what its module gives now", "foldline rebuild"]);
    assert!(found.stdout.contains("status is \""), "{found:?}");
    command(&host, &["rebuild", NAME, "--wait"]);
    assert_eq!(host.cli(&["verify", NAME]).code, 0);
    let shown = command(&host, &["diff", NAME, "--examples", "1"]);
    assert!(shown.contains("different"), "{shown}");
    assert_eq!(shown.matches("status is \"").count(), 1, "{shown}");
}

#[test]
fn what_begins_later_says_so_for_ever() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let mut host = Host::start(&nats.url(), &["ledger"]);
    host.wait_applied("ledger", stream.publish(&Orders::new(1).events(500)));
    host.drop_module(FILE, &module(NAME));
    host.wait_applied(NAME, 500);
    wait_version(&host, 1);

    command(&host, &["rebuild", "ledger", "--from", "401", "--wait"]);
    host.restart();
    host.wait_state("ledger", "live");
    let head = host.row("ledger", "heads", "head").expect("a head");
    assert_eq!(head["events"], 100, "{head}");
    let status = host.status("ledger");
    let live = status["generations"].as_array().into_iter().flatten();
    let live: Vec<_> = live.filter(|one| one["state"] == "live").collect();
    assert_eq!(live[0]["started_from"], 401, "{status}");
    let shown = command(&host, &["status", "ledger"]);
    assert!(shown.contains("begins with sequence 401"), "{shown}");
    assert_eq!(host.cli(&["verify", "ledger"]).code, 0);

    // By a time it begins with the first event from then on: with all of them, or with none that is there.
    command(
        &host,
        &[
            "rebuild",
            "ledger",
            "--from",
            "2020-01-01T00:00:00Z",
            "--wait",
        ],
    );
    let head = host.row("ledger", "heads", "head").expect("a head");
    assert_eq!(head["events"], 500, "{head}");
    let later = ["rebuild", "ledger", "--from", "2100-01-01T00:00:00Z"];
    host.cli(&later)
        .assert_explains(1, &["from sequence 501", "at 500"]);
    let unclear = ["rebuild", "ledger", "--from", "yesterday"];
    host.cli(&unclear)
        .assert_explains(1, &["neither a sequence nor a time"]);
}

#[test]
fn a_check_begins_no_later_version_again_that_could_not_be_built() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let host = Host::start(&nats.url(), &[NAME]);
    let order = &Orders::new(1).events(1)[0];
    let payload = String::from_utf8_lossy(&order.payload).into_owned();
    stream.publish_one(&order.subject, &payload, &[("next-panic", "not this one")]);
    host.wait_applied(NAME, stream.publish(&Orders::new(2).events(100)));
    host.drop_module(FILE, &module("order-summary-next"));
    let failed = [(1, "live"), (2, "failed")];
    host.wait_status(NAME, "has a failed version 2", |status| {
        super::states(status) == failed
    });
    let refused = host.cli(&["verify", NAME]);
    refused.assert_explains(
        1,
        &["version 2", "could not be built", "rebuild order-summary"],
    );
    assert_states(&host, &failed);

    host.drop_module(FILE, &module(NAME));
    host.wait_status(NAME, "has version 1 alone", |status| {
        super::states(status) == [(1, "live")]
    });
    command(&host, &["verify", NAME]);
}

#[test]
fn what_the_stream_has_lost_is_not_held_against_a_read_model() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    for on_lost in ["halt", "accept"] {
        let settings = format!("[projection.ledger]\non_lost_events = \"{on_lost}\"\n");
        let mut host = Host::new(&nats.url()).configured(&settings);
        host.drop_module("ledger.wasm", &module("ledger"));
        host.restart();
        if on_lost == "halt" {
            host.wait_applied("ledger", stream.publish(&Orders::new(1).events(500)));
            stream.purge_before(101);
        } else {
            host.wait_state("ledger", "live");
            stream.purge_before(201);
        }
        let verified = host.cli(&["verify", "ledger"]);
        verified.assert_explains(1, &["events 1 to", "says nothing about rows"]);
        // Nobody lets it be compared without them.
        host.cli(&["accept", "ledger"])
            .assert_explains(1, &["waits for no lost events"]);
        host.wait_state("ledger", "live");
    }
}

#[test]
fn nobody_waits_for_what_is_built_in_a_pause() {
    let mut nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let host = Host::start(&nats.url(), &["ledger"]);
    host.wait_applied("ledger", stream.publish(&Orders::new(1).events(10)));
    // Without a server nothing is built to its end.
    nats.kill();
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| host.cli(&["rebuild", "ledger", "--wait"]));
        let two = |status: &Value| status["generations"].as_array().map(Vec::len) == Some(2);
        host.wait_status("ledger", "is built again", two);
        command(&host, &["pause", "ledger"]);
        let ended = waits.join().expect("it ends");
        ended.assert_explains(1, &["ledger is paused", "foldline resume ledger"]);
    });
}

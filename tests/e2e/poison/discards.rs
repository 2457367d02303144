//! What an operator has given up, whatever is built later passes over.

use foldline_tests::orders::Orders;

use super::*;

const VERSION_2: &str = "order-summary-next";

#[track_caller]
fn done(host: &Host, arguments: &[&str]) -> String {
    let done = host.cli(arguments);
    assert_eq!(done.code, 0, "{arguments:?}: {done:?}");
    done.stdout
}

fn live_generation(status: &Value) -> Option<&Value> {
    let mut generations = status["generations"].as_array()?.iter();
    generations.find(|generation| generation["state"] == "live")
}

#[test]
fn a_rebuild_passes_over_what_was_discarded_and_applies_what_was_held_behind_it() {
    let (_nats, stream, mut host) = start("");
    let history = [
        event("a", "1"),
        event("b", "hopeless"),
        event("b", "3"),
        event("c", "hopeless"),
        event("c", "5"),
        event("b", "6"),
    ];
    let last = stream.publish(&history);
    host.wait_applied("scribe", last);
    wait_set_aside(&host, 2, 2);
    // A build stops at what it cannot apply, unless that was given up.
    let rebuilt = host.cli(&["rebuild", "scribe", "--wait"]);
    rebuilt.assert_explains(
        1,
        &["event 2", "dead-letters discard scribe 2 --generation 2"],
    );
    let overview = done(&host, &["status"]);
    for part in [
        "scribe: 2 dead letters, 2 held keys",
        "scribe generation 2 (failed): event 2",
    ] {
        assert!(overview.contains(part), "{overview}");
    }
    let given_up = done(&host, &["dead-letters", "discard", "scribe", "2"]);
    assert!(
        given_up.contains("`foldline rebuild scribe` builds again"),
        "{given_up}"
    );
    done(&host, &["dead-letters", "discard", "scribe", "4"]);
    wait_set_aside(&host, 0, 0);
    let again = host.cli(&["dead-letters", "discard", "scribe", "4"]);
    again.assert_explains(1, &["no dead letter 4", "--discarded"]);
    host.restart();
    host.wait_applied("scribe", last);

    done(&host, &["rebuild", "scribe", "--wait"]);
    let status = host.status("scribe");
    let live = live_generation(&status);
    assert_eq!(
        live.map(|live| &live["number"]),
        Some(&json!(3)),
        "{status}"
    );
    wait_set_aside(&host, 0, 0);
    let applied = numbered(&history).filter(|(sequence, _)| ![2, 4].contains(sequence));
    assert_notes(&host, "all but two", &notes(applied));
    let diff = done(&host, &["diff", "scribe"]);
    assert!(diff.contains("equal at"), "{diff}");

    let listed = done(&host, &["dead-letters", "list", "scribe", "--discarded"]);
    for part in ["SEQUENCE", "orders.b.Noted", "orders.c.Noted"] {
        assert!(listed.contains(part), "{listed}");
    }
    let listed = host.get("/v1/projections/scribe/discards?after=2").body;
    assert_eq!(listed[0]["sequence"], 4, "{listed}");
    let nobody = host.get("/v1/projections/nobody/discards");
    assert_eq!(nobody.code, 404, "{nobody:?}");
}

#[test]
fn an_event_that_stops_a_live_projection_is_given_up_and_the_next_ones_are_applied() {
    let (_nats, stream, host) = start("[projection.scribe]\non_poison = \"fail\"\n");
    let history = [
        event("a", "1"),
        event("a", "hopeless"),
        event("a", "3"),
        event("b", "hopeless"),
        event("b", "5"),
    ];
    let last = stream.publish(&history);
    for sequence in [2, 4] {
        let status = host.wait_status("scribe", "has stopped", |status| {
            status["last_error"]["event"]["sequence"] == sequence
        });
        let hint = status["last_error"]["hint"].to_string();
        let discard = format!("foldline dead-letters discard scribe {sequence} --generation 1`");
        assert!(hint.contains(&discard), "{status}");
        let other = host.cli(&["dead-letters", "discard", "scribe", "3"]);
        other.assert_explains(1, &["no dead letter 3"]);
        // Whatever is asked has it tried again, and what it stands before is known meanwhile.
        let retried = host.cli(&["dead-letters", "retry", "scribe", "1"]);
        retried.assert_explains(1, &["no dead letter 1"]);
        let sequence = sequence.to_string();
        let given_up = done(&host, &["dead-letters", "discard", "scribe", &sequence]);
        assert!(given_up.contains("is tried again"), "{given_up}");
    }
    host.wait_applied("scribe", last);
    host.wait_state("scribe", "live");
    let applied = numbered(&history).filter(|(sequence, _)| ![2, 4].contains(sequence));
    assert_notes(&host, "all but two", &notes(applied));
}

#[test]
fn an_event_that_stops_a_new_version_is_given_up_and_the_version_built_again() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let mut host = Host::start(&nats.url(), &["order-summary"]);
    stream.publish(&Orders::new(1).events(300));
    let order = &Orders::new(2).events(1)[0];
    let payload = String::from_utf8_lossy(&order.payload).into_owned();
    let poison = stream.publish_one(&order.subject, &payload, &[("next-panic", "not this one")]);
    let last = stream.publish(&Orders::new(3).events(300));
    host.wait_applied("order-summary", last);

    host.drop_module("order-summary.wasm", &module(VERSION_2));
    let failed = |status: &Value| status["generations"][1]["state"] == "failed";
    host.wait_status("order-summary", "has a failed version 2", failed);
    // What has stopped it is known for longer than the host that tried.
    host.restart();
    let status = host.wait_status("order-summary", "has a failed version 2", failed);
    let discard = format!("foldline dead-letters discard order-summary {poison} --generation 2");
    let hint = status["generations"][1]["last_error"]["hint"].to_string();
    assert!(hint.contains(&discard), "{status}");

    let of_live = host.cli(&[
        "dead-letters",
        "discard",
        "order-summary",
        &poison.to_string(),
    ]);
    of_live.assert_explains(1, &["no dead letter", "add `--generation 2`"]);

    let arguments: Vec<_> = discard.split(' ').skip(1).collect();
    let wrong = [
        "dead-letters",
        "discard",
        "order-summary",
        "1",
        "--generation",
        "2",
    ];
    host.cli(&wrong)
        .assert_explains(1, &["has stopped at event", &discard]);
    let given_up = done(&host, &arguments);
    assert!(
        given_up.contains("`foldline rebuild order-summary` builds again"),
        "{given_up}"
    );
    done(&host, &["rebuild", "order-summary", "--wait"]);
    let status = host.status("order-summary");
    assert_eq!(status["version"], 2, "{status}");
    assert_eq!(status["dead_letters"], 0, "{status}");
}

/// A module that fails on more than the one before holds an event of which that one had given up a later one.
#[test]
fn what_was_discarded_is_passed_over_also_where_it_was_held_behind_another_event() {
    let settings = "promote = \"manual\"\non_poison_building = \"hold\"\n";
    let (_nats, stream, host) = start(&format!("[projection.scribe]\n{settings}"));
    host.wait_state("scribe", "live");
    host.drop_module("scribe.wasm", &module("scribe-mended"));
    host.wait_status("scribe", "runs the mended module", |status| {
        status["reloads"] == 1
    });
    let history = [
        event("a", "reject this"),
        event("a", "hopeless"),
        event("a", "3"),
    ];
    host.wait_applied("scribe", stream.publish(&history));
    wait_set_aside(&host, 1, 1);
    done(&host, &["dead-letters", "discard", "scribe", "2"]);
    host.drop_module("scribe.wasm", &module("scribe"));
    host.wait_status("scribe", "runs the first module", |status| {
        status["reloads"] == 2
    });

    done(&host, &["rebuild", "scribe", "--wait"]);
    let held = &host.status("scribe")["generations"][1];
    assert_eq!(held["dead_letters"], 1, "{held}");
    let discard = ["discard", "scribe", "1", "--generation", "2"];
    done(&host, &[&["dead-letters"], &discard[..]].concat());
    let built = &host.status("scribe")["generations"][1];
    assert_eq!(built["dead_letters"], 0, "{built}");
    done(&host, &["promote", "scribe"]);
    wait_set_aside(&host, 0, 0);
    let applied = numbered(&history).filter(|(sequence, _)| *sequence == 3);
    assert_notes(&host, "the last one alone", &notes(applied));
}

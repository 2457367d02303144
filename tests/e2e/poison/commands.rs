//! What operators can ask for.

use super::*;

#[test]
fn a_discarded_event_is_given_up_alone_and_a_second_discard_of_it_is_an_error() {
    let (_nats, stream, host) = start("");
    let history = [
        event("a", "hopeless"),
        event("a", "2"),
        event("b", "3"),
        event("a", "hopeless too"),
        event("a", "5"),
    ];
    let last = stream.publish(&history);
    host.wait_applied("scribe", last);
    wait_set_aside(&host, 1, 1);

    let retried = host.cli(&["dead-letters", "retry", "scribe", "1"]);
    retried.assert_explains(
        1,
        &["event 1 of scribe failed", "dead-letters show scribe 1"],
    );
    let discarded = host.cli(&["dead-letters", "discard", "scribe", "1"]);
    discarded.assert_explains(1, &["event 4 of scribe failed"]);
    wait_set_aside(&host, 1, 1);
    let again = host.cli(&["dead-letters", "discard", "scribe", "1"]);
    again.assert_explains(1, &["no dead letter 1", "dead-letters list scribe"]);
    wait_set_aside(&host, 1, 1);
    let done = host.cli(&["dead-letters", "discard", "scribe", "4"]);
    assert_eq!(done.code, 0, "{done:?}");
    wait_set_aside(&host, 0, 0);
    let applied = numbered(&history).filter(|(sequence, _)| ![1, 4].contains(sequence));
    assert_notes(&host, "all but two", &notes(applied));
}

#[test]
fn a_dead_letter_tells_everything_about_the_event_and_why_it_failed() {
    let (_nats, stream, mut host) = start("[recovery]\ndead_letter_kib = 1\n");
    let payload = format!("panic {}", "é".repeat(600));
    let sequence = stream.publish_one("orders.o-1.Noted", &payload, &[("Trace", "t-1")]);
    let last = stream.publish(&[event("o-1", "2"), event("o-2", "3")]);
    host.wait_applied("scribe", last);
    wait_set_aside(&host, 1, 1);

    let listed = host.get("/v1/projections/scribe/dead-letters").body;
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
    let letter = host
        .get(&format!("/v1/projections/scribe/dead-letters/{sequence}"))
        .body;
    let digest = host.status("scribe")["digest"].clone();
    for (field, expected) in [
        ("sequence", json!(sequence)),
        ("subject", json!("orders.o-1.Noted")),
        ("key", json!("o-1")),
        ("held", json!(true)),
        ("held_events", json!(2)),
        ("attempts_made", json!(1)),
        ("digest", digest),
        ("payload_bytes", json!(payload.len())),
        ("cut_off", json!(true)),
    ] {
        assert_eq!(letter[field], expected, "{field} of {letter}");
    }
    assert!(
        letter["headers"].as_str().unwrap().contains("Trace: t-1"),
        "{letter}"
    );
    let attempt = &letter["attempts"][0];
    assert!(
        attempt["error"].as_str().unwrap().contains("panic é"),
        "{attempt}"
    );
    assert!(!attempt["log"].as_array().unwrap().is_empty(), "{attempt}");
    assert!(attempt["backtrace"].is_string(), "{attempt}");
    let shown = host.cli(&["dead-letters", "show", "scribe", &sequence.to_string()]);
    assert!(
        shown.stdout.contains("orders.o-1.Noted") && shown.stdout.contains("cut off"),
        "{shown:?}"
    );

    // It is all still there when the host starts again.
    host.restart();
    wait_set_aside(&host, 1, 1);
    let again = host.get("/v1/projections/scribe/dead-letters").body;
    assert_eq!(again, listed);
}

#[test]
fn an_event_that_is_held_names_the_dead_letter_that_holds_it() {
    let (_nats, stream, host) = start("");
    let history = [
        event("a", "hopeless"),
        event("b", "2"),
        event("a", "3"),
        event("b", "hopeless"),
        event("b", "5"),
    ];
    host.wait_applied("scribe", stream.publish(&history));
    wait_set_aside(&host, 2, 2);

    for (held, holder) in [(3, 1), (5, 4)] {
        for command in ["show", "retry", "discard"] {
            let refused = host.cli(&["dead-letters", command, "scribe", &held.to_string()]);
            let expected = [
                &format!("held behind dead letter {holder}")[..],
                &format!("dead-letters show scribe {holder}"),
            ];
            refused.assert_explains(1, &expected);
        }
    }
    let applied = host.cli(&["dead-letters", "show", "scribe", "2"]);
    applied.assert_explains(1, &["no dead letter 2"]);
}

#[test]
fn at_a_limit_a_projection_stops_by_name_and_goes_on_after_a_discard() {
    let (_nats, stream, host) = start("[recovery]\ndead_letters = 1\n");
    let history = [
        event("a", "hopeless"),
        event("b", "hopeless"),
        event("c", "3"),
    ];
    let last = stream.publish(&history);
    let status = host.wait_state("scribe", "failed");
    assert_eq!(status["last_error"]["code"], "set_aside_full", "{status}");
    assert_eq!(status["checkpoint"], 1, "{status}");
    let discarded = host.cli(&["dead-letters", "discard", "scribe", "1"]);
    assert_eq!(discarded.code, 0, "{discarded:?}");
    host.wait_applied("scribe", last);
    wait_set_aside(&host, 1, 1);
    assert_notes(&host, "the last one", &notes([(3, &history[2])]));
}

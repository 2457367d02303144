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

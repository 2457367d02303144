//! What a generation has set aside that is not served.

use super::*;

/// A live generation and one that is built, each with event 2 set aside and event 3 held behind it.
fn two_generations() -> (NatsServer, Stream, Host) {
    let settings = "promote = \"manual\"\non_poison_building = \"hold\"\n";
    let (nats, stream, host) = start(&format!("[projection.scribe]\n{settings}"));
    let history = [
        event("a", "1"),
        event("b", "hopeless"),
        event("b", "3"),
        event("c", "4"),
    ];
    let last = stream.publish(&history);
    host.wait_applied("scribe", last);
    wait_set_aside(&host, 1, 1);
    let rebuilt = host.cli(&["rebuild", "scribe"]);
    assert_eq!(rebuilt.code, 0, "{rebuilt:?}");
    host.wait_status("scribe", "has built a second generation", |status| {
        let built = &status["generations"][1];
        built["checkpoint"] == last && built["dead_letters"] == 1
    });
    (nats, stream, host)
}

#[track_caller]
fn assert_letters(host: &Host, generation: &str, expected: &[u64]) {
    let listed = host.cli(&[
        "dead-letters",
        "list",
        "scribe",
        "--json",
        "--generation",
        generation,
    ]);
    let listed = listed.json();
    let letters = listed.as_array().into_iter().flatten();
    let sequences: Vec<_> = letters.map(|one| number(&one["sequence"])).collect();
    assert_eq!(sequences, expected, "generation {generation}");
}

#[track_caller]
fn discard_in_the_second(host: &Host) {
    let arguments = ["discard", "scribe", "2", "--generation", "2"];
    let discarded = host.cli(&[&["dead-letters"], &arguments[..]].concat());
    assert_eq!(discarded.code, 0, "{discarded:?}");
}

#[test]
fn what_a_generation_has_set_aside_that_is_built_or_on_standby_can_be_read_and_settled() {
    let (_nats, _stream, host) = two_generations();
    assert_letters(&host, "1", &[2]);
    assert_letters(&host, "2", &[2]);
    let shown = host.cli(&["status", "scribe"]).stdout;
    assert!(
        shown.contains("generation 2: 1 dead letters, 1 held keys"),
        "{shown}"
    );
    let letter = host.cli(&["dead-letters", "show", "scribe", "2", "--generation", "2"]);
    assert!(letter.stdout.contains("hopeless"), "{letter:?}");

    let retried = host.cli(&["dead-letters", "retry", "scribe", "--generation", "2"]);
    retried.assert_explains(1, &["event 2 of scribe failed", "scribe 2 --generation 2"]);
    discard_in_the_second(&host);
    assert_letters(&host, "1", &[2]);
    assert_letters(&host, "2", &[]);

    let promoted = host.cli(&["promote", "scribe"]);
    assert_eq!(promoted.code, 0, "{promoted:?}");
    wait_set_aside(&host, 0, 0);
    assert_letters(&host, "1", &[2]);
    let standby = &host.status("scribe")["generations"][0];
    assert_eq!(
        (&standby["dead_letters"], &standby["held_keys"]),
        (&json!(1), &json!(1))
    );
    let unknown = host.cli(&["dead-letters", "list", "scribe", "--generation", "9"]);
    unknown.assert_explains(1, &["no generation 9"]);
    let unknown = host.cli(&["dead-letters", "retry", "scribe", "2", "--generation", "9"]);
    unknown.assert_explains(1, &["no generation 9", "foldline status scribe"]);
    let wrong = host.get("/v1/projections/scribe/dead-letters?generation=last");
    assert_eq!(wrong.code, 400, "{wrong:?}");
    let both = host.get("/v1/projections/scribe/dead-letters?generation=1&after=2");
    assert_eq!((both.code, both.body), (200, json!([])));
}

#[test]
fn a_comparison_says_that_events_are_set_aside_on_either_side() {
    let (_nats, _stream, host) = two_generations();
    let equal = host.cli(&["diff", "scribe"]).stdout;
    for part in [
        "equal at",
        "the live one (generation 1) has 1 dead letters",
        "the other one (generation 2)",
    ] {
        assert!(equal.contains(part), "{equal}");
    }
    discard_in_the_second(&host);
    let differs = host.cli(&["diff", "scribe"]).stdout;
    assert!(differs.contains("different at"), "{differs}");
    assert!(
        differs.contains("the live one (generation 1) has 1 dead letters and 1 held keys"),
        "{differs}"
    );
    assert!(!differs.contains("the other one"), "{differs}");
}

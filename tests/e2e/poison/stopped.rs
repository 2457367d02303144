//! Where the strategy is to stop: what has stopped a generation can be seen, and a rebuild that would stop there, too, takes
//! nobody's place.

use super::*;

const STOPS: &str = "[projection.scribe]\non_poison = \"fail\"\n";

fn history() -> [Event; 4] {
    [
        event("a", "1"),
        event("b", "panic at this"),
        event("a", "3"),
        event("b", "reject this, too"),
    ]
}

#[track_caller]
fn wait_stopped(host: &Host, sequence: u64) -> Value {
    host.wait_status("scribe", "has stopped", |status| {
        status["last_error"]["event"]["sequence"] == sequence
    })
}

#[track_caller]
fn assert_live(host: &Host, number: u64) {
    let status = host.status("scribe");
    let generations = status["generations"].as_array().into_iter().flatten();
    let live: Vec<_> = generations
        .filter(|generation| generation["state"] == "live")
        .map(|generation| &generation["number"])
        .collect();
    assert_eq!(live, [number], "{status}");
}

#[test]
fn a_rebuild_that_stops_where_the_live_one_has_stopped_never_takes_its_place() {
    let (_nats, stream, host) = start(STOPS);
    stream.publish(&history());
    wait_stopped(&host, 2);
    // Which of the two was first was a matter of chance.
    for _ in 0..5 {
        let rebuilt = host.cli(&["rebuild", "scribe", "--wait"]);
        rebuilt.assert_explains(1, &["cannot be built", "event 2"]);
        assert_live(&host, 1);
    }
}

#[test]
fn a_rebuild_that_passes_what_has_stopped_the_live_one_takes_its_place() {
    let (_nats, stream, host) = start(&format!("{STOPS}on_poison_building = \"skip\"\n"));
    let last = stream.publish(&history());
    wait_stopped(&host, 2);
    let rebuilt = host.cli(&["rebuild", "scribe", "--wait"]);
    assert_eq!(rebuilt.code, 0, "{rebuilt:?}");
    assert_live(&host, 2);
    host.wait_applied("scribe", last);
    wait_set_aside(&host, 2, 0);
}

#[test]
fn what_has_stopped_a_generation_is_shown_as_a_dead_letter_is() {
    let (_nats, stream, mut host) = start(STOPS);
    stream.publish(&history());
    let status = wait_stopped(&host, 2);
    let hint = status["last_error"]["hint"].to_string();
    let show = "`foldline dead-letters show scribe 2 --generation 1`";
    assert!(hint.contains(show), "{status}");
    // A host that is started anew has to fail first.
    for _ in 0..2 {
        let shown = host.cli(&["dead-letters", "show", "scribe", "2", "--generation", "1"]);
        assert_eq!(shown.code, 0, "{shown:?}");
        for part in [
            "generation 1 has stopped at it",
            "orders.b.Noted",
            "key       b",
            "attempts  1",
            "(13 bytes, utf8)",
            "  panic at this",
            "by module",
            "panicking::panic_fmt",
        ] {
            assert!(shown.stdout.contains(part), "{part}: {}", shown.stdout);
        }
        host.restart();
        wait_stopped(&host, 2);
    }
    let listed = host.cli(&["dead-letters", "list", "scribe"]).stdout;
    assert!(listed.contains(show), "{listed}");
    let other = host.cli(&["dead-letters", "show", "scribe", "3"]);
    other.assert_explains(1, &["no dead letter 3"]);
    // What passes the event could never be compared with what stands before it.
    let verify = host.cli(&["verify", "scribe"]);
    let discard = "dead-letters discard scribe 2 --generation 1";
    verify.assert_explains(1, &["has stopped at event 2", discard]);

    // The answer to a discard says what has become of it.
    let given_up = host.cli(&["dead-letters", "discard", "scribe", "2"]);
    let then = "generation 1 is tried again, and stops again: event 4 (orders.b.Noted) failed";
    assert!(given_up.stdout.contains(then), "{given_up:?}");
    let json = host.get("/v1/projections/scribe/dead-letters/4").body;
    assert_eq!(
        (&json["stops"], &json["payload"], &json["attempts_made"]),
        (&json!(1), &json!("reject this, too"), &json!(1)),
        "{json}"
    );
    // Nothing is kept of what was not set aside.
    stream.delete_message(4);
    let gone = host.cli(&["dead-letters", "show", "scribe", "4"]);
    let then = "generation 1 goes on without it by itself";
    gone.assert_explains(1, &["event 4", "not in stream ORDERS any more", then]);
}

#[test]
fn what_has_stopped_a_projection_is_known_also_while_the_server_is_away() {
    let (mut nats, stream, host) = start(STOPS);
    stream.publish(&history());
    wait_stopped(&host, 2);
    assert_eq!(host.cli(&["pause", "scribe"]).code, 0);
    nats.kill();
    assert_eq!(host.cli(&["resume", "scribe"]).code, 0);
    host.wait_status("scribe", "has missed the server", |status| {
        status["last_error"]["code"] == "unreachable"
    });
    let verify = host.cli(&["verify", "scribe"]);
    verify.assert_explains(1, &["has stopped at event 2"]);
    nats.restart();
    wait_stopped(&host, 2);
}

#[test]
fn what_has_stopped_a_build_is_shown_also_where_the_live_one_has_set_it_aside() {
    let (_nats, stream, mut host) = start("");
    let last = stream.publish(&history());
    host.wait_applied("scribe", last);
    let rebuilt = host.cli(&["rebuild", "scribe", "--wait"]);
    rebuilt.assert_explains(1, &["event 2", "dead-letters show scribe 2 --generation 2"]);
    for _ in 0..2 {
        let of_build = host.cli(&["dead-letters", "show", "scribe", "2", "--generation", "2"]);
        for part in ["generation 2 has stopped at it", "panicking::panic_fmt"] {
            assert!(of_build.stdout.contains(part), "{of_build:?}");
        }
        let of_live = host.cli(&["dead-letters", "show", "scribe", "2"]);
        assert!(of_live.stdout.contains("held, 2 events"), "{of_live:?}");
        let listed = host.cli(&["dead-letters", "list", "scribe"]).stdout;
        assert!(
            listed.contains("generation 2 has stopped at event 2"),
            "{listed}"
        );
        let listed = host
            .cli(&["dead-letters", "list", "scribe", "--generation", "1"])
            .stdout;
        assert!(!listed.contains("has stopped"), "{listed}");
        host.restart();
    }
    // What is said of it afterwards is what the answer said.
    let discard = [
        "dead-letters",
        "discard",
        "scribe",
        "2",
        "--generation",
        "2",
    ];
    let given_up = "event 2 is given up: `foldline rebuild scribe` builds again";
    for _ in 0..2 {
        let discarded = host.cli(&discard);
        assert_eq!(discarded.code, 0, "{discarded:?}");
        let shown = host.cli(&["status", "scribe"]).stdout;
        assert!(shown.contains(given_up), "{shown}");
        host.restart();
    }
}

#[test]
fn a_discard_says_which_other_generations_go_on_and_a_retry_why_it_is_none() {
    let (_nats, stream, host) = start(STOPS);
    let last = stream.publish(&history()[..1]);
    host.wait_applied("scribe", last);
    assert_eq!(host.cli(&["rebuild", "scribe", "--wait"]).code, 0);
    let last = stream.publish(&history()[1..3]);
    host.wait_status("scribe", "has two that have stopped", |status| {
        let all = status["generations"].as_array();
        all.is_some_and(|all| all.iter().all(|one| one["status"] == "failed"))
    });
    let retried = host.cli(&["dead-letters", "retry", "scribe", "2"]);
    retried.assert_explains(1, &["has stopped at event 2", "discard scribe 2"]);
    let shown = host.cli(&["dead-letters", "show", "scribe", "2"]);
    assert!(
        shown.stdout.contains("generation 2 has stopped"),
        "{shown:?}"
    );
    let given_up = host.cli(&["dead-letters", "discard", "scribe", "2"]).stdout;
    for part in [
        "generation 2 is tried again, and goes on",
        "; generation 1 is tried again, too",
    ] {
        assert!(given_up.contains(part), "{given_up}");
    }
    host.wait_applied("scribe", last);
}

#[test]
fn a_projection_goes_on_when_the_event_that_has_stopped_it_is_deleted() {
    let (_nats, stream, host) = start(STOPS);
    let last = stream.publish(&history()[..3]);
    wait_stopped(&host, 2);
    stream.delete_message(2);
    host.wait_applied("scribe", last);
    host.wait_state("scribe", "live");
}

//! `foldline status`.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use crate::fake_host::{answer_one, answering, listener, response};
use crate::{foldline, run};

const STATUS: &str = r#"{"name": "order-summary", "version": 2, "digest": "abc", "file": "a.wasm", "status": "catching_up",
  "stream": "ORDERS", "checkpoint": 1200, "last_sequence": 1000000, "lag": 998800, "lag_seconds": 372500.2, "lag_trend": "falling",
  "events_per_second": 51234.4,
  "reloads": 1, "generations": [], "tables": ["orders"], "dead_letters": 0, "held_keys": 0,
  "last_error": {"error": "event 7 \u001b[2J failed", "hint": "mend it", "at": "2026-01-01T00:00:00Z"}}"#;

#[test]
fn status_shows_the_lag_and_what_is_wrong_in_80_columns() {
    let refused = r#"{"file": "bad.wasm", "verdict": "refused", "error": "no Wasm", "hint": "build it", "at": "now"}"#;
    let (host, request) = answering(
        "200 OK",
        &format!(r#"{{"projections": [{STATUS}], "modules": [{refused}]}}"#),
    );
    let (code, stdout, stderr) = run(&["status", "--host", &host]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    assert!(
        request
            .join()
            .unwrap()
            .starts_with("GET /v1/projections HTTP/1.1")
    );
    let mut lines = stdout.lines();
    let words = |line: Option<&str>| {
        line.unwrap()
            .split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        words(lines.next()),
        [
            "NAME",
            "VER",
            "STATUS",
            "CHECKPOINT",
            "LAST",
            "LAG",
            "BEHIND"
        ]
    );
    assert_eq!(
        words(lines.next()),
        [
            "order-summary",
            "2",
            "catching_up",
            "1,200",
            "1,000,000",
            "998,800",
            "4",
            "d",
            "7",
            "h"
        ]
    );
    assert!(stdout.contains(
        "order-summary: event 7 \\u{1b}[2J failed (at 2026-01-01T00:00:00Z)\n  hint: mend it"
    ));
    assert!(stdout.contains("bad.wasm refused: no Wasm (at now)\n  hint: build it"));
    assert!(
        stdout.lines().take(2).all(|line| line.len() <= 80),
        "{stdout}"
    );
    assert!(!stdout.contains('\u{1b}'));
}

#[test]
fn status_of_one_projection_says_more() {
    let (host, request) = answering("200 OK", STATUS);
    let (code, stdout, _) = run(&["status", "order-summary", "--host", &host]);
    assert_eq!(code, Some(0));
    assert!(
        request
            .join()
            .unwrap()
            .starts_with("GET /v1/projections/order%2Dsummary HTTP/1.1")
    );
    for line in [
        "stream        ORDERS",
        "digest        abc",
        "tables        orders",
    ] {
        assert!(stdout.contains(line), "{stdout}");
    }
}

#[test]
fn status_as_json_is_the_hosts_answer_made_safe_to_print() {
    let (host, _) = answering(
        "200 OK",
        "{\"projections\":[],\"modules\":[{\"file\":\"a\u{9b}b\"}]}\n",
    );
    let (code, stdout, _) = run(&["status", "--json", "--host", &host]);
    assert_eq!(code, Some(0));
    assert_eq!(
        stdout,
        "{\"projections\":[],\"modules\":[{\"file\":\"a\\u009bb\"}]}\n"
    );
}

#[test]
fn watching_draws_again_survives_the_host_and_ends_with_ctrl_c() {
    let (listener, host) = listener();
    let folder = tempfile::tempdir().unwrap();
    let mut watch = foldline(
        folder.path(),
        &["status", "--watch", "--json", "--host", &host],
    );
    let piped = watch.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut watch = piped.spawn().unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    for body in ["{\"projections\":[1]}", "{\"projections\":[2]}"] {
        answer_one(&listener, &response("200 OK", body));
        assert_eq!(lines.next().unwrap().unwrap(), body);
    }
    drop(listener);
    let mut gone = String::new();
    BufReader::new(watch.stderr.take().unwrap())
        .read_line(&mut gone)
        .unwrap();
    assert!(gone.starts_with("error: no host answers at "), "{gone}");

    let pid = watch.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &pid])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(watch.wait().unwrap().code(), Some(0));
}

//! `foldline query`.

use std::process::Stdio;

use crate::fake_host::answering;
use crate::{ended, foldline, run};

#[test]
fn query_sends_filters_and_options_and_prints_rows_in_the_hosts_order() {
    let rows = r#"[{"z": "o-1", "a": 10.5, "note": null}, {"z": "o-2\n\u001b[31m", "a": 7, "note": {"x": 1}}]"#;
    let (host, request) = answering("200 OK", rows);
    let (code, stdout, stderr) = run(&[
        "query",
        "order-summary",
        "orders",
        "status=paid",
        "total=gt.5",
        "limit=eq.3",
        "email=a.b@c",
        "--order",
        "z.desc",
        "--limit",
        "2",
        "--offset",
        "1",
        "--select",
        "z,a,note",
        "--min-sequence",
        "9",
        "--timeout",
        "2s",
        "--host",
        &host,
    ]);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    let request = request.join().unwrap();
    let line = request.lines().next().unwrap();
    assert_eq!(
        line,
        "GET /v1/read-models/order%2Dsummary/orders?status=eq%2Epaid&total=gt%2E5&column%2Elimit=eq%2E3\
         &email=eq%2Ea%2Eb%40c&order=z%2Edesc&limit=2&offset=1&select=z%2Ca%2Cnote&min%5Fsequence=9&timeout=2s HTTP/1.1"
    );
    let lines: Vec<_> = stdout.lines().map(str::trim).collect();
    assert_eq!(
        lines[0].split_whitespace().collect::<Vec<_>>(),
        ["z", "a", "note"]
    );
    assert!(lines[1].starts_with("o-1"), "{stdout}");
    assert!(lines[2].starts_with("o-2\\n\\u{1b}[31m"), "{stdout}");
    assert_eq!(*lines.last().unwrap(), "2 rows, at sequence 1,234");
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let rows = (0..20_000)
        .map(|i| format!("{{\"n\": {i}}}"))
        .collect::<Vec<_>>()
        .join(",");
    let (host, _) = answering("200 OK", &format!("[{rows}]"));
    let folder = tempfile::tempdir().unwrap();
    let mut command = foldline(folder.path(), &["query", "a", "b", "--host", &host]);
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let (code, _, stderr) = ended(child.wait_with_output().unwrap());
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
}

#[test]
fn the_hosts_own_errors_come_with_their_hint() {
    let problem = r#"{"title": "There is no such thing", "detail": "there is no projection \"x\"", "hint": "there are: y"}"#;
    let (host, _) = answering("404 Not Found", problem);
    let (code, _, stderr) = run(&["query", "x", "t", "--host", &host]);
    assert_eq!(code, Some(1));
    assert_eq!(
        stderr,
        "error: There is no such thing: there is no projection \"x\"\nhint: there are: y\n"
    );
    let (other, _) = answering("404 Not Found", "<html>");
    let (code, _, stderr) = run(&["status", "--host", &other]);
    assert_eq!(code, Some(1));
    assert!(
        stderr.contains("not as a Foldline host does") && stderr.contains("hint: "),
        "{stderr}"
    );
}

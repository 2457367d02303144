//! The program as people at a terminal meet it: exit codes and texts.
#![allow(
    clippy::unwrap_used,
    reason = "a panic is how a test fails; clippy only knows that of functions marked as tests"
)]

use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread::JoinHandle;

/// The program in `folder`, with none of this test's own environment that it would listen to.
fn foldline(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_foldline"));
    command
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("FOLDLINE_") {
            command.env_remove(name);
        }
    }
    command
}

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let folder = tempfile::tempdir().unwrap();
    ended(foldline(folder.path(), arguments).output().unwrap())
}

fn ended(output: Output) -> (Option<i32>, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// An address where nothing listens: it was free a moment ago.
fn nobody() -> String {
    listener().1
}

/// A host that answers one request with `body`, and what it was asked.
fn answering(status: &str, body: &str) -> (String, JoinHandle<String>) {
    let (listener, host) = listener();
    let answer = response(status, body);
    let thread = std::thread::spawn(move || answer_one(&listener, &answer));
    (host, thread)
}

fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = format!("http://{}", listener.local_addr().unwrap());
    (listener, host)
}

fn response(status: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nfoldline-sequence: 1234\r\nconnection: close\r\n\r\n{body}"
    )
}

fn answer_one(listener: &TcpListener, answer: &str) -> String {
    let (mut stream, _) = listener.accept().unwrap();
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        request.push(byte[0]);
    }
    stream.write_all(answer.as_bytes()).unwrap();
    String::from_utf8(request).unwrap()
}

#[test]
fn an_unknown_config_key_ends_with_exit_code_2_and_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("foldline.toml"),
        "[nats]\nurll = 'nats://x'\n",
    )
    .unwrap();
    let (code, stdout, stderr) = ended(foldline(folder.path(), &["run"]).output().unwrap());
    assert_eq!((code, stdout.as_str()), (Some(2), ""));
    assert!(
        stderr
            .starts_with("error: foldline.toml, line 2: unknown key `urll`, expected one of `url`"),
        "{stderr}"
    );
    assert!(stderr.contains("\nhint: "), "{stderr}");
}

#[test]
fn a_config_file_that_is_not_there_ends_with_exit_code_2() {
    let (code, _, stderr) = run(&["run", "--config", "missing.toml"]);
    assert_eq!(code, Some(2));
    assert!(
        stderr.starts_with("error: the config file missing.toml cannot be read"),
        "{stderr}"
    );
}

#[test]
fn wrong_usage_ends_with_exit_code_2() {
    for arguments in [
        &["stat"][..],
        &["query", "a"],
        &["query", "a", "b", "nonsense"],
        &["run", "--listen", "x"],
    ] {
        let (code, _, stderr) = run(arguments);
        assert_eq!(code, Some(2), "{arguments:?}");
        assert!(stderr.starts_with("error: "), "{arguments:?}: {stderr}");
    }
}

#[test]
fn when_no_host_answers_the_command_fails_with_a_hint() {
    let host = nobody();
    for command in [
        &["status"][..],
        &["status", "--watch"],
        &["query", "orders", "orders"],
    ] {
        let (code, stdout, stderr) = run(&[command, &["--host", &host]].concat());
        assert_eq!((code, stdout.as_str()), (Some(1), ""), "{command:?}");
        assert!(
            stderr.starts_with(&format!("error: no host answers at {host}: ")),
            "{stderr}"
        );
        assert!(
            stderr.contains("hint: start one with `foldline run`"),
            "{stderr}"
        );
    }
}

const STATUS: &str = r#"{"name": "order-summary", "version": 2, "digest": "abc", "file": "a.wasm", "status": "catching_up",
  "stream": "ORDERS", "checkpoint": 1200, "last_sequence": 1000000, "lag": 998800, "events_per_second": 51234.4,
  "reloads": 1, "generations": [], "tables": ["orders"], "dead_letters": 0, "held_keys": 0,
  "last_error": {"error": "event 7 \u001b[2J failed", "hint": "mend it", "at": "2026-01-01T00:00:00Z"}}"#;

#[test]
fn status_shows_lag_and_rate_and_what_is_wrong_in_80_columns() {
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
            "VERSION",
            "STATUS",
            "CHECKPOINT",
            "LAST",
            "LAG",
            "RATE"
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
            "51,234/s"
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

/// Reads the host's log up to the address it answers at.
fn address_of(log: &mut impl BufRead) -> String {
    let mut seen = String::new();
    while log.read_line(&mut seen).unwrap() > 0 {
        if let Some((_, rest)) = seen.split_once("serves http://") {
            let (address, _) = rest.split_once(',').unwrap();
            return format!("http://{address}");
        }
    }
    panic!("the host ended without serving: {seen}");
}

#[test]
fn a_host_without_its_nats_server_answers_and_ends_in_order_on_sigterm() {
    let folder = tempfile::tempdir().unwrap();
    let nats = nobody().replace("http", "nats");
    let mut host = foldline(
        folder.path(),
        &["run", "--listen", "127.0.0.1:0", "--nats", &nats],
    );
    let mut host = host.stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(host.stderr.take().unwrap());
    let address = address_of(&mut log);

    let (code, stdout, _) = run(&["status", "--host", &address]);
    assert_eq!(code, Some(0));
    assert!(stdout.starts_with("no projections"), "{stdout}");

    let pid = host.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap()
            .success()
    );
    let mut rest = String::new();
    log.read_to_string(&mut rest).unwrap();
    assert_eq!(host.wait().unwrap().code(), Some(0), "{rest}");
    assert!(rest.contains("stopping"), "{rest}");
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

#[test]
fn the_token_is_sent_from_the_environment() {
    let (host, request) = answering("200 OK", r#"{"projections": [], "modules": []}"#);
    let folder = tempfile::tempdir().unwrap();
    let mut command = foldline(folder.path(), &["status"]);
    command
        .env("FOLDLINE_HOST", &host)
        .env("FOLDLINE_HTTP_TOKEN", "secret-1");
    let (code, stdout, _) = ended(command.output().unwrap());
    assert_eq!(code, Some(0));
    assert!(stdout.contains("no projections"), "{stdout}");
    assert!(
        request
            .join()
            .unwrap()
            .to_lowercase()
            .contains("authorization: bearer secret-1")
    );
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
fn inspect_says_why_a_file_is_no_module() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("bad.wasm"), "not wasm").unwrap();
    for (file, expected) in [
        ("bad.wasm", "bad.wasm is refused: it is not WebAssembly"),
        ("none.wasm", "cannot read it"),
    ] {
        let (code, stdout, stderr) = ended(
            foldline(folder.path(), &["inspect", file])
                .output()
                .unwrap(),
        );
        assert_eq!((code, stdout.as_str()), (Some(1), ""));
        assert!(
            stderr.starts_with("error: ") && stderr.contains(expected),
            "{stderr}"
        );
        assert!(stderr.contains("\nhint: "), "{stderr}");
    }
}

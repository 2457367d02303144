//! The program as people at a terminal meet it: exit codes and texts.
#![allow(
    clippy::unwrap_used,
    reason = "a panic is how a test fails; clippy only knows that of functions marked as tests"
)]

use std::path::Path;
use std::process::{Command, Output, Stdio};

use fake_host::{answering, nobody};

mod fake_host;
mod host;
mod query;
mod status;

/// The program in `folder`, with none of this test's own environment that it would listen to.
pub(crate) fn foldline(folder: &Path, arguments: &[&str]) -> Command {
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

pub(crate) fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let folder = tempfile::tempdir().unwrap();
    ended(foldline(folder.path(), arguments).output().unwrap())
}

pub(crate) fn ended(output: Output) -> (Option<i32>, String, String) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
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

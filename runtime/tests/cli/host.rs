//! `foldline run`.

use std::io::{BufRead, BufReader, Read as _};
use std::process::{Command, Stdio};

use crate::fake_host::nobody;
use crate::{ended, foldline, run};

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

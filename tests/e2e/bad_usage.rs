//! The command line or the config is wrong: one clear error, one hint, the right exit code.

use foldline_tests::host::{Host, foldline};
use foldline_tests::nats::NatsServer;

/// A port where nothing listens: the lowest one, which only root may take.
const NOWHERE: &str = "127.0.0.1:1";

#[test]
fn a_config_with_an_unknown_key_is_refused_by_name() {
    let host = Host::new("nats://127.0.0.1:1").configured("[limits]\ncall_minutes = 3\n");
    host.run_to_end()
        .assert_explains(2, &["call_minutes", "foldline.toml"]);
}

#[test]
fn a_config_with_an_impossible_value_is_refused_by_name() {
    let host = Host::new("nats://127.0.0.1:1").configured("[limits]\nbatch_events = 0\n");
    host.run_to_end().assert_explains(2, &["batch_events", "0"]);
}

#[test]
fn a_config_that_is_not_there_is_named() {
    let output = foldline(&["run", "--config", "/nowhere/foldline.toml"]);
    output.assert_explains(2, &["/nowhere/foldline.toml"]);
}

#[test]
fn unknown_arguments_are_wrong_usage() {
    for arguments in [
        &["run", "--modles", "x"][..],
        &["rnu"],
        &["query"],
        &["inspect"],
    ] {
        let output = foldline(arguments);
        assert_eq!(output.code, 2, "{output:?}");
        assert!(output.stderr.contains("error: "), "{output:?}");
    }
}

#[test]
fn client_commands_without_a_host_say_how_to_start_one() {
    for command in [&["status"][..], &["query", "order-summary", "orders"]] {
        let output = foldline(&[command, &["--host", &format!("http://{NOWHERE}")]].concat());
        output.assert_explains(1, &[NOWHERE, "foldline run"]);
    }
}

#[test]
fn a_second_host_on_the_same_data_folder_is_refused_by_the_name_of_the_first() {
    let nats = NatsServer::start();
    let mut first = Host::start(&nats.url(), &["ledger"]);
    let second = first.run_to_end();
    let (pid, data) = (first.pid().to_string(), first.data().display().to_string());
    second.assert_explains(1, &[&pid, &data]);
    assert!(first.is_running());

    // A host that was killed leaves nothing behind that keeps the next one out.
    first.restart();
    assert_eq!(first.get("/livez").code, 200);
}

#[test]
fn an_address_that_is_taken_is_named() {
    let nats = NatsServer::start();
    let first = Host::start(&nats.url(), &[]);
    let second = Host::new(&nats.url());
    let address = first.address().trim_start_matches("http://").to_owned();
    let config = second.folder("foldline.toml").display().to_string();
    let data = second.data().display().to_string();
    let modules = second.modules().display().to_string();
    let output = foldline(&[
        "run",
        "--config",
        &config,
        "--data",
        &data,
        "--modules",
        &modules,
        "--listen",
        &address,
    ]);
    output.assert_explains(1, &[&address]);
}

//! A new version is built beside the live one, takes its place, and can be taken back.

use foldline_tests::guests::module;
use foldline_tests::host::Host;
use foldline_tests::nats::NatsServer;
use foldline_tests::orders::Orders;
use foldline_tests::rows::Rows;
use foldline_tests::stream::Stream;
use serde_json::Value;

mod cancelled;
mod comings;
mod commands;
mod compare;
mod crashes;
mod plan;
mod readers;
mod taken_back;

const NAME: &str = "order-summary";

/// The file that holds it.
const FILE: &str = "order-summary.wasm";

#[test]
fn a_higher_version_is_built_beside_the_live_one_and_takes_its_place() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let mut host = Host::start(&nats.url(), &[NAME]);
    let last = stream.publish(&Orders::new(1).events(2_000));
    host.wait_applied(NAME, last);

    host.drop_module(FILE, &module("order-summary-next"));
    wait_version(&host, 2);
    assert_states(&host, &[(1, "standby"), (2, "live")]);
    let last = stream.publish(&Orders::new(2).events(100));
    host.wait_applied(NAME, last);

    host.restart();
    host.wait_state(NAME, "live");
    assert_states(&host, &[(1, "standby"), (2, "live")]);
    let shown = host.cli(&["status", NAME]).stdout;
    assert!(shown.contains("standby"), "{shown}");

    command(&host, &["rollback", NAME]);
    assert_eq!(host.status(NAME)["version"], 1);
    assert_states(&host, &[(1, "live"), (2, "standby")]);
}

/// Waits until this version is served.
#[track_caller]
fn wait_version(host: &Host, version: u64) {
    host.wait_status(NAME, &format!("has version {version} live"), |status| {
        status["version"] == version
    });
}

/// A command that is done.
#[track_caller]
fn command(host: &Host, arguments: &[&str]) -> String {
    let done = host.cli(arguments);
    assert_eq!(done.code, 0, "{done:?}");
    done.stdout
}

/// The generations by version and state.
fn states(status: &Value) -> Vec<(u64, &str)> {
    let generations = status["generations"].as_array().into_iter().flatten();
    generations
        .map(|one| {
            let version = one["version"].as_u64().expect("a version");
            (version, one["state"].as_str().expect("a state"))
        })
        .collect()
}

#[track_caller]
fn assert_states(host: &Host, expected: &[(u64, &str)]) {
    let status = host.status(NAME);
    assert_eq!(states(&status), expected, "{status}");
}

/// Rows of version 2 as version 1 has them.
pub(crate) fn without_new_column(mut rows: Rows) -> Rows {
    for row in rows.values_mut() {
        let row = row.as_object_mut().expect("a row is an object");
        assert!(row.remove("paid_at").is_some(), "{row:?}");
    }
    rows
}

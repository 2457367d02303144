//! A new version is built beside the live one, takes its place, and can be taken back.

use foldline_tests::guests::module;
use foldline_tests::host::Host;
use foldline_tests::nats::NatsServer;
use foldline_tests::orders::Orders;
use foldline_tests::stream::Stream;

#[test]
fn a_higher_version_is_built_beside_the_live_one_and_takes_its_place() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let mut host = Host::start(&nats.url(), &["order-summary"]);
    let last = stream.publish(&Orders::new(1).events(2_000));
    host.wait_applied("order-summary", last);

    host.drop_module("order-summary.wasm", &module("order-summary-next"));
    host.wait_status("order-summary", "has version 2 live", |status| {
        status["version"] == 2
    });
    assert_states(&host, &[(1, "standby"), (2, "live")]);
    let last = stream.publish(&Orders::new(2).events(100));
    host.wait_applied("order-summary", last);

    host.restart();
    host.wait_state("order-summary", "live");
    assert_states(&host, &[(1, "standby"), (2, "live")]);
    let shown = host.cli(&["status", "order-summary"]).stdout;
    assert!(shown.contains("standby"), "{shown}");

    let done = host.cli(&["rollback", "order-summary"]);
    assert_eq!(done.code, 0, "{done:?}");
    assert_eq!(host.status("order-summary")["version"], 1);
    assert_states(&host, &[(1, "live"), (2, "standby")]);
}

/// The generations by version and state.
#[track_caller]
fn assert_states(host: &Host, expected: &[(u64, &str)]) {
    let status = host.status("order-summary");
    let generations = status["generations"].as_array().expect("generations");
    let states: Vec<_> = generations
        .iter()
        .map(|one| {
            let version = one["version"].as_u64().expect("a version");
            (version, one["state"].as_str().expect("a state"))
        })
        .collect();
    assert_eq!(states, expected, "{status}");
}

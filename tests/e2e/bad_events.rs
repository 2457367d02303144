//! Events that a projection cannot apply: it stops and names the event, and a mended module goes on from there.

use foldline_tests::guests::{module, rebuilt};
use foldline_tests::host::Host;
use foldline_tests::model::Model;
use foldline_tests::nats::NatsServer;
use foldline_tests::orders::Orders;
use foldline_tests::rows;
use foldline_tests::stream::Stream;
use serde_json::json;

use crate::examples::assert_each_event_once_in_order;

/// A host whose projections stop at what they cannot apply, although they could hold it.
fn start(url: &str, config: &str, modules: &[&str]) -> Host {
    let fails = |name: &&str| format!("[projection.{name}]\non_poison = \"fail\"\n");
    let config = config.to_owned() + &modules.iter().map(fails).collect::<String>();
    let mut host = Host::new(url).configured(&config);
    for name in modules {
        host.drop_module(&format!("{name}.wasm"), &module(name));
    }
    host.restart();
    host
}

#[test]
fn a_payload_that_is_no_json_stops_that_projection_until_a_tolerant_module_comes() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let host = start(&nats.url(), "", &["order-summary", "ledger"]);
    let mut orders = Orders::new(1);
    let (before, after) = (orders.events(300), orders.events(300));
    stream.publish(&before);
    let bad = stream.publish_one("orders.o-1.OrderPlaced", "{ \"eventType\": ", &[]);
    let last = stream.publish(&after);

    let status = host.wait_state("order-summary", "failed");
    assert_eq!(
        status["checkpoint"],
        bad - 1,
        "everything before it is committed: {status}"
    );
    let error = status["last_error"]["error"].as_str().unwrap_or_default();
    for part in [bad.to_string().as_str(), "orders.o-1.OrderPlaced"] {
        assert!(
            error.contains(part),
            "the error does not say {part:?}: {status}"
        );
    }
    assert!(status["last_error"]["hint"].is_string(), "{status}");
    host.log()
        .wait_for(&["ERROR", "order-summary", &format!("event {bad} ")]);
    let shown = host.cli(&["status", "order-summary"]);
    assert!(
        shown.stdout.contains("failed") && shown.stdout.contains(error),
        "{shown:?}"
    );
    assert_each_event_once_in_order(&host, last);
    let orders = rows::all(&host, "order-summary", "orders", "order_id");
    rows::assert_equal("before the bad event", &orders, &Model::of(&before).orders);

    host.drop_module("order-summary.wasm", &module("order-summary-changed"));
    host.wait_applied("order-summary", last);
    assert!(host.wait_state("order-summary", "live")["last_error"].is_null());
    let mut orders = rows::all(&host, "order-summary", "orders", "order_id");
    for order in orders.values_mut() {
        order["status"] = json!(order["status"].as_str().unwrap().to_lowercase());
    }
    let history = [before, after].concat();
    rows::assert_equal("after the bad event", &orders, &Model::of(&history).orders);
}

#[test]
fn a_module_that_panics_is_named_with_the_event_and_is_not_tried_again_and_again() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let mut host = start(&nats.url(), "", &["order-summary", "ledger"]);
    let history = Orders::new(1).events(300);
    stream.publish(&history);
    let bad = stream.publish_one(
        "orders.o-1.OrderNoteAdded",
        "{\"eventType\":\"x\"}",
        &[("ledger-panic", "no ink left")],
    );
    let last = stream.publish(&Orders::new(2).events(10));

    let status = host.wait_state("ledger", "failed");
    assert_eq!(status["checkpoint"], bad - 1, "{status}");
    let error = status["last_error"]["error"].as_str().unwrap_or_default();
    assert!(
        error.contains(&bad.to_string()) && error.contains("no ink left"),
        "{status}"
    );
    host.wait_applied("order-summary", last);

    // The same module fails on the same event again: it is not tried again until something changes.
    let parts = ["ERROR", &format!("event {bad} ")];
    host.log().wait_for(&parts);
    host.wait_applied(
        "order-summary",
        stream.publish(&Orders::new(3).events(2_000)),
    );
    assert_eq!(host.log().lines_with(&parts).len(), 1, "{}", host.log());
    host.restart();
    let status = host.wait_state("ledger", "failed");
    assert_eq!(status["checkpoint"], bad - 1, "{status}");
}

#[test]
fn a_module_that_runs_away_is_stopped_at_its_time_limit_and_the_others_go_on() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let limits = "[limits]\ncall_ms = 300\n";
    let host = start(&nats.url(), limits, &["product-sales", "ledger"]);
    let bad = stream.publish_one("stock.p-1.Counted", "", &[("ledger-spin", "1000000000000")]);
    let last = stream.publish(&Orders::new(1).events(100));

    host.wait_applied("product-sales", last);
    let status = host.wait_state("ledger", "failed");
    let error = status["last_error"]["error"].as_str().unwrap_or_default();
    assert!(
        error.contains(&bad.to_string()) && error.contains("300 ms"),
        "{status}"
    );

    // Another build of the same code is a new chance, and fails the same way.
    host.drop_module("ledger.wasm", &rebuilt(&module("ledger"), "again"));
    host.wait_status("ledger", "failed again", |again| {
        again["status"] == "failed" && again["digest"] != status["digest"]
    });
}

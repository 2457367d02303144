//! The example projections, and the ledger: what a complete run of theirs looks like.

use foldline_tests::host::Host;
use foldline_tests::model::Model;
use foldline_tests::rows;
use serde_json::Value;

/// The three example projections.
pub(crate) const EXAMPLES: [&str; 3] = ["order-summary", "customer-totals", "product-sales"];

/// The examples, and the ledger.
pub(crate) const ALL: [&str; 4] = [
    "order-summary",
    "customer-totals",
    "product-sales",
    "ledger",
];

/// Waits until every example has applied the stream's events up to `last`, and compares all their rows with
/// those of the model.
#[track_caller]
pub(crate) fn assert_rows(host: &Host, model: &Model, last: u64) {
    for (name, table, key, expected) in [
        ("order-summary", "orders", "order_id", &model.orders),
        (
            "customer-totals",
            "customers",
            "customer_id",
            &model.customers,
        ),
        ("product-sales", "products", "product_id", &model.products),
    ] {
        host.wait_applied(name, last);
        assert!(
            !expected.is_empty(),
            "the history says nothing about {table}"
        );
        rows::assert_equal(name, &rows::all(host, name, table, key), expected);
    }
}

/// Waits until the ledger has applied the stream's events up to `last`, and checks that it was given each of
/// them once and in order.
#[track_caller]
pub(crate) fn assert_each_event_once_in_order(host: &Host, last: u64) {
    host.wait_applied("ledger", last);
    let head = host
        .row("ledger", "heads", "head")
        .expect("the ledger has a head");
    assert_eq!(head["last_sequence"], last, "{head}");
    assert_eq!(head["events"], last, "{head}");
    assert_eq!(head["sequences"], sum_up_to(last), "{head}");
    assert_eq!(head["disorders"], 0, "{head}");
    let most = host.rows("ledger", "entries", "order=times.desc&limit=1");
    assert_eq!(most[0]["times"], 1, "{most:?}");
}

/// 1 + 2 + … + last.
pub(crate) fn sum_up_to(last: u64) -> u64 {
    last * (last + 1) / 2
}

/// A number of a row or a status.
#[track_caller]
pub(crate) fn number(value: &Value) -> u64 {
    value
        .as_u64()
        .unwrap_or_else(|| panic!("{value} is no whole number"))
}

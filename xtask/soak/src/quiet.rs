//! A quiet point: nothing is published, everything is applied, and every row equals the model's.

use std::time::Duration;

use foldline_tests::host::Host;
use foldline_tests::model::Model;
use foldline_tests::rows::{self, Rows};
use foldline_tests::scribe::{notes, numbered};

use crate::load::Load;
use crate::stage::{OF_ORDERS, SCRIBE, Stage};

/// The model so far.
#[derive(Default)]
pub(crate) struct Quiet {
    model: Model,
    applied: usize,
}

/// What was compared.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Compared {
    /// Since the beginning.
    pub(crate) at: Duration,
    /// Events in both streams.
    pub(crate) events: usize,
    /// Rows that are equal.
    pub(crate) rows: usize,
}

impl Quiet {
    /// Compares everything; a difference ends the soak. What is held is applied before, by a mended module.
    pub(crate) fn compare(&mut self, stage: &mut Stage, load: &Load, at: Duration) -> Compared {
        let compared = load.quiet(|| {
            stage.deploy(SCRIBE, "scribe-mended");
            let (orders, notes) = (load.orders.published(), load.notes.published());
            for event in &load.orders.history[self.applied..orders] {
                self.model.apply(event);
            }
            self.applied = orders;
            let rows = self.orders(&stage.host, orders)
                + scribe(&stage.host, &load.notes.history[..notes]);
            let events = orders + notes;
            Compared { at, events, rows }
        });
        stage.deploy(SCRIBE, SCRIBE);
        let Compared { events, rows, .. } = compared;
        println!(
            "{:>5} s  {events} events, {rows} rows equal the model's",
            at.as_secs()
        );
        compared
    }

    fn orders(&self, host: &Host, last: usize) -> usize {
        OF_ORDERS
            .iter()
            .for_each(|name| host.wait_applied(name, last as u64));
        let Model {
            orders,
            customers,
            products,
            ..
        } = &self.model;
        let found = without_new_column(rows::all(host, "order-summary", "orders", "order_id"));
        rows::assert_equal("order-summary", &found, orders);
        let found = rows::all(host, "customer-totals", "customers", "customer_id");
        rows::assert_equal("customer-totals", &found, customers);
        let found = rows::all(host, "product-sales", "products", "product_id");
        rows::assert_equal("product-sales", &found, products);
        orders.len() + customers.len() + products.len() + ledger(host, last as u64)
    }
}

/// Each event once and in order; the number of its rows.
fn ledger(host: &Host, last: u64) -> usize {
    let head = host
        .row("ledger", "heads", "head")
        .expect("the ledger has a head");
    let sum = last * (last + 1) / 2;
    for (column, expected) in [
        ("last_sequence", last),
        ("events", last),
        ("sequences", sum),
        ("disorders", 0),
    ] {
        assert_eq!(head[column], expected, "{column} of {head}");
    }
    let most = host.rows("ledger", "entries", "order=times.desc&limit=1");
    assert_eq!(most[0]["times"], 1, "{most:?}");
    usize::try_from(last).expect("a number of rows")
}

/// Nothing is held any more, and each key's events were applied in their order.
fn scribe(host: &Host, history: &[foldline_tests::orders::Event]) -> usize {
    host.wait_applied(SCRIBE, history.len() as u64);
    host.wait_status(SCRIBE, "holds nothing", |status| {
        status["dead_letters"] == 0 && status["held_keys"] == 0
    });
    let expected = notes(numbered(history));
    rows::assert_equal(SCRIBE, &rows::all(host, SCRIBE, "notes", "key"), &expected);
    expected.len()
}

/// Rows of either version of `order-summary` as the first one has them.
fn without_new_column(mut rows: Rows) -> Rows {
    for row in rows.values_mut() {
        row.as_object_mut()
            .expect("a row is an object")
            .remove("paid_at");
    }
    rows
}

use foldline_sdk::serde_json::Value as Json;
use foldline_sdk::testing::{TestEvent, envelope, given, json};

use super::{Customer, OrderCustomer, customer_totals};

#[test]
fn orders_are_counted_and_successful_payments_added_up() {
    given::<customer_totals>([
        placed("o-1", "c-1", "2026-01-01T00:00:00Z"),
        placed("o-2", "c-2", "2026-01-02T00:00:00Z"),
        paid("o-1", "success", 20.5),
        placed("o-3", "c-1", "2026-01-03T00:00:00Z"),
        paid("o-3", "failed", 10.0),
        paid("o-3", "success", 10.0),
    ])
    .then([
        customer("c-1", 2, 30.5, "2026-01-03T00:00:00Z"),
        customer("c-2", 1, 0.0, "2026-01-02T00:00:00Z"),
    ])
    .and([
        whose("o-1", "c-1"),
        whose("o-2", "c-2"),
        whose("o-3", "c-1"),
    ]);
}

#[test]
fn a_payment_of_an_unknown_order_changes_nothing() {
    given::<customer_totals>([paid("o-1", "success", 20.5)])
        .then::<Customer>([])
        .and::<OrderCustomer>([]);
}

#[test]
fn a_payment_with_an_unknown_status_is_rejected() {
    given::<customer_totals>([paid("o-1", "perhaps", 1.0)]).then_rejects("perhaps");
}

fn customer(customer_id: &str, orders: i64, total_spent: f64, last_order_at: &str) -> Customer {
    let (customer_id, last_order_at) = (customer_id.to_owned(), last_order_at.to_owned());
    Customer {
        customer_id,
        orders,
        total_spent,
        last_order_at,
    }
}

fn whose(order_id: &str, customer_id: &str) -> OrderCustomer {
    OrderCustomer {
        order_id: order_id.to_owned(),
        customer_id: customer_id.to_owned(),
    }
}

fn placed(order_id: &str, customer_id: &str, at: &str) -> TestEvent {
    let data = json!({ "customerId": customer_id, "items": [], "totalAmount": 20.5 });
    order(order_id, "OrderPlaced", at, data)
}

fn paid(order_id: &str, status: &str, amount: f64) -> TestEvent {
    let data = json!({ "status": status, "amount": amount });
    order(order_id, "PaymentProcessed", "2026-01-09T00:00:00Z", data)
}

fn order(order_id: &str, event_type: &str, at: &str, data: Json) -> TestEvent {
    envelope(event_type, data)
        .aggregate(order_id)
        .timestamp(at)
        .on(format!("orders.{order_id}.{event_type}"))
}

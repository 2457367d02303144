use foldline_sdk::serde_json::Value as Json;
use foldline_sdk::testing::{TestEvent, envelope, given, json};

use super::{Order, order_summary};

#[test]
fn an_order_is_followed_from_placed_to_shipped() {
    let shipped = [placed(), paid("success"), shipped()];
    given::<order_summary>(shipped).then([Order {
        status: "shipped".to_owned(),
        tracking_number: Some("T-1".to_owned()),
        version: 3,
        updated_at: "2026-01-03T00:00:00Z".to_owned(),
        ..new_order()
    }]);
}

#[test]
fn the_status_is_that_of_the_last_event() {
    for (event, status) in [
        (paid("success"), "paid"),
        (paid("failed"), "payment_failed"),
        (cancelled(), "cancelled"),
    ] {
        let order = Order {
            status: status.to_owned(),
            version: 2,
            ..new_order()
        };
        let updated_at = "2026-01-02T00:00:00Z".to_owned();
        given::<order_summary>([placed(), event]).then([Order {
            updated_at,
            ..order
        }]);
    }
}

#[test]
fn events_of_an_unknown_order_change_nothing() {
    given::<order_summary>([paid("success"), shipped()]).then::<Order>([]);
}

#[test]
fn an_order_without_a_customer_is_rejected() {
    let broken = order("OrderPlaced", 1, json!({ "items": [], "totalAmount": 1.0 }));
    given::<order_summary>([placed(), broken])
        .then_rejects("customerId")
        .and([new_order()]);
}

fn new_order() -> Order {
    Order {
        order_id: "o-1".to_owned(),
        customer_id: "c-1".to_owned(),
        status: "placed".to_owned(),
        total: 25.48,
        item_count: 3,
        tracking_number: None,
        version: 1,
        updated_at: "2026-01-01T00:00:00Z".to_owned(),
    }
}

fn placed() -> TestEvent {
    let items = json!([
        { "productId": "p-1", "quantity": 2, "price": 9.99 },
        { "productId": "p-2", "quantity": 1, "price": 5.5 },
    ]);
    order(
        "OrderPlaced",
        1,
        json!({ "customerId": "c-1", "items": items, "totalAmount": 25.48 }),
    )
}

fn paid(status: &str) -> TestEvent {
    order(
        "PaymentProcessed",
        2,
        json!({ "status": status, "amount": 25.48 }),
    )
}

fn shipped() -> TestEvent {
    order(
        "OrderShipped",
        3,
        json!({ "trackingNumber": "T-1", "carrier": "DHL", "shippedAt": "2026-01-03T00:00:00Z" }),
    )
}

fn cancelled() -> TestEvent {
    order("OrderCancelled", 2, json!({ "reason": "changed my mind" }))
}

fn order(event_type: &str, version: i64, data: Json) -> TestEvent {
    envelope(event_type, data)
        .aggregate("o-1")
        .version(version)
        .timestamp(&format!("2026-01-0{version}T00:00:00Z"))
        .on(format!("orders.o-1.{event_type}"))
}

//! One row per order: what was ordered, what was paid and where the parcel is.

use foldline_sdk::{Event, ReadModel, Result, Table, projection};
use serde::Deserialize;

/// An order as a customer service sees it.
#[derive(Table)]
pub struct Order {
    #[key]
    order_id: String,
    #[index]
    customer_id: String,
    /// `placed`, `paid`, `payment_failed`, `shipped` or `cancelled`.
    status: String,
    total: f64,
    item_count: i64,
    tracking_number: Option<String>,
    /// Version of the last event applied.
    version: i64,
    /// When that event happened.
    updated_at: String,
}

#[derive(Deserialize)]
#[serde(rename_all_fields = "camelCase")]
enum OrderEvent {
    OrderPlaced {
        customer_id: String,
        items: Vec<Item>,
        total_amount: f64,
    },
    PaymentProcessed {
        status: Payment,
    },
    OrderShipped {
        tracking_number: String,
    },
    OrderCancelled,
}

#[derive(Deserialize)]
struct Item {
    quantity: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Payment {
    Success,
    Failed,
}

#[projection(name = "order-summary", version = 1, subjects = ["orders.>"], key = subject_token(1), tables = [Order])]
fn order_summary(event: &Event, rows: &mut ReadModel) -> Result<()> {
    let Some((envelope, order)) = event.decode()? else {
        return Ok(());
    };
    let (order_id, version) = (envelope.aggregate_id()?, envelope.version()?);
    let updated_at = envelope.timestamp()?.to_owned();
    let (status, shipped_as) = match order {
        OrderEvent::OrderPlaced {
            customer_id,
            items,
            total_amount,
        } => {
            return rows.put(Order {
                order_id: order_id.to_owned(),
                customer_id,
                status: "placed".to_owned(),
                total: total_amount,
                item_count: items.iter().map(|item| item.quantity).sum(),
                tracking_number: None,
                version,
                updated_at,
            });
        }
        OrderEvent::PaymentProcessed {
            status: Payment::Success,
        } => ("paid", None),
        OrderEvent::PaymentProcessed {
            status: Payment::Failed,
        } => ("payment_failed", None),
        OrderEvent::OrderShipped { tracking_number } => ("shipped", Some(tracking_number)),
        OrderEvent::OrderCancelled => ("cancelled", None),
    };
    // An order that was placed before the stream's first event has no row, and its later events do
    // not say enough to make one: they change nothing.
    rows.update(order_id, |order: &mut Order| {
        order.status = status.to_owned();
        order.tracking_number = shipped_as.or(order.tracking_number.take());
        order.version = version;
        order.updated_at = updated_at;
    })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use foldline_sdk::testing::{Json, TestEvent, envelope, given, json};

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
        let items = json!([{ "productId": "p-1", "quantity": 2, "price": 9.99 }, { "productId": "p-2", "quantity": 1, "price": 5.5 }]);
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
}

//! `order-summary` with other code and the same definition: it writes statuses in capital letters, and leaves
//! out events that are no JSON instead of failing.

use foldline_sdk::{Event, ReadModel, Result, Table, projection};
use serde::Deserialize;

#[derive(Table)]
struct Order {
    #[key]
    order_id: String,
    #[index]
    customer_id: String,
    status: String,
    total: f64,
    item_count: i64,
    tracking_number: Option<String>,
    version: i64,
    updated_at: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    event_type: String,
    aggregate_id: String,
    timestamp: String,
    version: i64,
    payload: Data,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Data {
    customer_id: String,
    items: Vec<Item>,
    total_amount: f64,
    status: String,
    tracking_number: Option<String>,
}

#[derive(Deserialize)]
struct Item {
    quantity: i64,
}

#[projection(name = "order-summary", version = 1, subjects = ["orders.>"], key = subject_token(1), tables = [Order])]
fn order_summary(event: &Event, rows: &mut ReadModel) -> Result<()> {
    let Ok(envelope) = event.json::<Envelope>() else {
        return Ok(());
    };
    let data = envelope.payload;
    let status = match (envelope.event_type.as_str(), data.status.as_str()) {
        ("OrderPlaced", _) => {
            return rows.put(Order {
                order_id: envelope.aggregate_id,
                customer_id: data.customer_id,
                status: "PLACED".to_owned(),
                total: data.total_amount,
                item_count: data.items.iter().map(|item| item.quantity).sum(),
                tracking_number: None,
                version: envelope.version,
                updated_at: envelope.timestamp,
            });
        }
        ("PaymentProcessed", "success") => "PAID",
        ("PaymentProcessed", _) => "PAYMENT_FAILED",
        ("OrderShipped", _) => "SHIPPED",
        ("OrderCancelled", _) => "CANCELLED",
        _ => return Ok(()),
    };
    rows.update(&envelope.aggregate_id, |order: &mut Order| {
        order.status = status.to_owned();
        order.tracking_number = data.tracking_number.or(order.tracking_number.take());
        order.version = envelope.version;
        order.updated_at = envelope.timestamp;
    })?;
    Ok(())
}

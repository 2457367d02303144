//! One row per order: what was ordered, what was paid and where the parcel is.

use foldline_sdk::{Envelope, Event, ReadModel, Result, Table, projection};
use serde::Deserialize;

#[cfg(test)]
mod tests;

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

#[projection(
    name = "order-summary",
    version = 1,
    subjects = ["orders.>"],
    key = subject_token(1),
    tables = [Order],
)]
fn order_summary(event: &Event, rows: &mut ReadModel) -> Result<()> {
    let Some((envelope, order)) = event.decode()? else {
        return Ok(());
    };
    match order {
        OrderEvent::OrderPlaced {
            customer_id,
            items,
            total_amount,
        } => rows.put(Order {
            order_id: envelope.aggregate_id()?.to_owned(),
            customer_id,
            status: "placed".to_owned(),
            total: total_amount,
            item_count: items.iter().map(|item| item.quantity).sum(),
            tracking_number: None,
            version: envelope.version()?,
            updated_at: envelope.timestamp()?.to_owned(),
        }),
        OrderEvent::PaymentProcessed {
            status: Payment::Success,
        } => change(rows, &envelope, "paid", None),
        OrderEvent::PaymentProcessed {
            status: Payment::Failed,
        } => change(rows, &envelope, "payment_failed", None),
        OrderEvent::OrderShipped { tracking_number } => {
            change(rows, &envelope, "shipped", Some(tracking_number))
        }
        OrderEvent::OrderCancelled => change(rows, &envelope, "cancelled", None),
    }
}

/// An order that was placed before the stream's first event has no row, and its later events do not
/// say enough to make one: they change nothing.
fn change(
    rows: &mut ReadModel,
    envelope: &Envelope<'_>,
    status: &str,
    shipped_as: Option<String>,
) -> Result<()> {
    let (version, updated_at) = (envelope.version()?, envelope.timestamp()?);
    rows.update(envelope.aggregate_id()?, |order: &mut Order| {
        status.clone_into(&mut order.status);
        order.tracking_number = shipped_as.or(order.tracking_number.take());
        order.version = version;
        updated_at.clone_into(&mut order.updated_at);
    })?;
    Ok(())
}

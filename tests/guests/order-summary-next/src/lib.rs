//! `order-summary` of a higher version: the same rows with one more column and one more index, so it needs a read
//! model of its own. An event with the header `next-panic: TEXT` makes it panic.

use foldline_sdk::{Envelope, Event, ReadModel, Result, Table, projection};
use serde::Deserialize;

#[derive(Table)]
struct Order {
    #[key]
    order_id: String,
    #[index]
    customer_id: String,
    #[index]
    status: String,
    total: f64,
    item_count: i64,
    tracking_number: Option<String>,
    version: i64,
    updated_at: String,
    /// When it was paid: what version 1 did not keep.
    paid_at: Option<String>,
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

#[projection(name = "order-summary", version = 2, subjects = ["orders.>"], key = subject_token(1), tables = [Order])]
fn order_summary(event: &Event, rows: &mut ReadModel) -> Result<()> {
    if let Some(text) = event.header("next-panic") {
        panic!("{text}");
    }
    let Some((envelope, order)) = event.decode()? else {
        return Ok(());
    };
    let at = envelope.timestamp()?.to_owned();
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
            updated_at: at,
            paid_at: None,
        }),
        OrderEvent::PaymentProcessed {
            status: Payment::Success,
        } => change(rows, &envelope, "paid", |order| order.paid_at = Some(at)),
        OrderEvent::PaymentProcessed {
            status: Payment::Failed,
        } => change(rows, &envelope, "payment_failed", |_| {}),
        OrderEvent::OrderShipped { tracking_number } => {
            change(rows, &envelope, "shipped", |order| {
                order.tracking_number = Some(tracking_number);
            })
        }
        OrderEvent::OrderCancelled => change(rows, &envelope, "cancelled", |_| {}),
    }
}

fn change(
    rows: &mut ReadModel,
    envelope: &Envelope<'_>,
    status: &str,
    more: impl FnOnce(&mut Order),
) -> Result<()> {
    let (version, updated_at) = (envelope.version()?, envelope.timestamp()?);
    rows.update(envelope.aggregate_id()?, |order: &mut Order| {
        order.status = status.to_owned();
        order.version = version;
        order.updated_at = updated_at.to_owned();
        more(order);
    })?;
    Ok(())
}

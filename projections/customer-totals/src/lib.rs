//! One row per customer: how many orders were placed and how much was paid.

use foldline_sdk::{Event, ReadModel, Result, Table, projection};
use serde::Deserialize;

#[cfg(test)]
mod tests;

/// A customer and what they bought so far.
#[derive(Table)]
pub struct Customer {
    #[key]
    customer_id: String,
    /// Orders placed.
    orders: i64,
    /// Sum of the successful payments.
    total_spent: f64,
    /// When the last order was placed.
    last_order_at: String,
}

/// Whose order it is: a payment names only the order.
#[derive(Table)]
#[table(name = "order_customers")]
pub struct OrderCustomer {
    #[key]
    order_id: String,
    customer_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all_fields = "camelCase")]
enum OrderEvent {
    OrderPlaced { customer_id: String },
    PaymentProcessed { status: PaymentStatus, amount: f64 },
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "lowercase")]
enum PaymentStatus {
    Success,
    Failed,
}

#[projection(
    name = "customer-totals",
    version = 1,
    subjects = ["orders.>"],
    key = subject_token(1),
    tables = [Customer, OrderCustomer],
)]
fn customer_totals(event: &Event, rows: &mut ReadModel) -> Result<()> {
    let Some((envelope, order)) = event.decode()? else {
        return Ok(());
    };
    let order_id = envelope.aggregate_id()?;
    match order {
        OrderEvent::OrderPlaced { customer_id } => {
            count_order(rows, &customer_id, envelope.timestamp()?)?;
            rows.put(OrderCustomer {
                order_id: order_id.to_owned(),
                customer_id,
            })
        }
        OrderEvent::PaymentProcessed {
            status: PaymentStatus::Success,
            amount,
        } => add_payment(rows, order_id, amount),
        OrderEvent::PaymentProcessed {
            status: PaymentStatus::Failed,
            ..
        } => Ok(()),
    }
}

fn count_order(rows: &mut ReadModel, customer_id: &str, placed_at: &str) -> Result<()> {
    let new = || Customer {
        customer_id: customer_id.to_owned(),
        orders: 0,
        total_spent: 0.0,
        last_order_at: String::new(),
    };
    rows.upsert(customer_id, new, |customer| {
        customer.orders += 1;
        placed_at.clone_into(&mut customer.last_order_at);
    })
}

fn add_payment(rows: &mut ReadModel, order_id: &str, amount: f64) -> Result<()> {
    // An order that was placed before the stream's first event belongs to nobody we know.
    let Some(order) = rows.get::<OrderCustomer>(order_id)? else {
        return Ok(());
    };
    rows.update(&order.customer_id, |customer: &mut Customer| {
        customer.total_spent += amount;
    })?;
    Ok(())
}

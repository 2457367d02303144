//! `order-summary` of a higher version with another table: it needs a read model of its own, built from the
//! stream's beginning.

use foldline_sdk::{Event, ReadModel, Result, Table, projection};

#[derive(Table)]
struct Order {
    #[key]
    order_id: String,
    events: i64,
}

#[projection(name = "order-summary", version = 2, subjects = ["orders.>"], key = subject_token(1), tables = [Order])]
fn order_summary(event: &Event, rows: &mut ReadModel) -> Result<()> {
    let order_id = event.subject_token(1).unwrap_or_default().to_owned();
    rows.put(Order {
        order_id,
        events: 1,
    })
}

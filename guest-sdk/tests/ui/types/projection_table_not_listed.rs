use foldline_sdk::{Event, ReadModel, Result, Table, projection};

#[derive(Table)]
struct Order {
    #[key]
    order_id: String,
}

#[derive(Table)]
struct Customer {
    #[key]
    customer_id: String,
}

#[projection(name = "orders", version = 1, subjects = ["orders.>"], tables = [Order])]
fn orders(_: &Event, rows: &mut ReadModel) -> Result<()> {
    rows.put(Customer { customer_id: String::new() })
}

fn main() {}

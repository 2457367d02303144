use foldline_sdk::{Event, ReadModel, Result, Table, projection};

#[derive(Table)]
struct Order {
    #[key]
    order_id: String,
}

struct Customer;

#[projection(name = "orders", version = 1, subjects = ["orders.>"], tables = [Order, Customer])]
fn orders(_: &Event, _: &mut ReadModel) -> Result<()> {
    Ok(())
}

fn main() {}

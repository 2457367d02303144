use foldline_sdk::{Event, ReadModel, Result, Table, projection};

#[derive(Table)]
struct Order {
    #[key]
    order_id: String,
}

#[projection(name = "orders", version = 1, subjects = ["orders.>"], tables = [Order, Order])]
fn orders(_: &Event, _: &mut ReadModel) -> Result<()> {
    Ok(())
}

fn main() {}

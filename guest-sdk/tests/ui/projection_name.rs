use foldline_sdk::{Event, ReadModel, Result, Table, projection};

#[derive(Table)]
struct Order {
    #[key]
    order_id: String,
}

#[projection(name = "Order Summary", version = 1, subjects = ["orders.>"], tables = [Order])]
fn orders(_: &Event, _: &mut ReadModel) -> Result<()> {
    Ok(())
}

fn main() {}

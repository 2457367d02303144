use foldline_sdk::{Event, ReadModel, Result, Table, projection};

#[derive(Table)]
struct Order {
    #[key]
    order_id: String,
}

#[projection(name = "orders", version = 1, subjects = ["orders.>"], tables = [Order])]
fn orders(_: &Event, rows: &mut ReadModel) -> Result<()> {
    rows.get::<Order>(7)?;
    rows.delete::<Order>(("o-1", 7))
}

fn main() {}

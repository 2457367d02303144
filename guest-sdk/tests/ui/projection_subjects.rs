use foldline_sdk::{Event, ReadModel, Result, Table, projection};

#[derive(Table)]
struct Order {
    #[key]
    order_id: String,
}

#[projection(name = "orders", version = 1, subjects = ["", "or ders", "orders..x", "orders.>.x", "orders*", "a", "a"], tables = [Order])]
fn orders(_: &Event, _: &mut ReadModel) -> Result<()> {
    Ok(())
}

fn main() {}

use foldline_sdk::{Event, ReadModel, Result, Table, projection};

#[derive(Table)]
struct Order {
    #[key]
    order_id: String,
}

#[derive(Table)]
#[table(name = "orders")]
struct Purchase {
    #[key]
    id: String,
}

#[projection(name = "orders", version = 1, subjects = ["orders.>"], tables = [Order, Purchase])]
fn orders(_: &Event, _: &mut ReadModel) -> Result<()> {
    Ok(())
}

fn main() {}

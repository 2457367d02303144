use foldline_sdk::Table;

#[derive(Table)]
struct Order {
    order_id: String,
}

fn main() {}

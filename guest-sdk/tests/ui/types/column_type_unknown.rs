use foldline_sdk::Table;

struct Money(i64);

#[derive(Table)]
struct Order {
    #[key]
    id: String,
    total: Money,
}

fn main() {}

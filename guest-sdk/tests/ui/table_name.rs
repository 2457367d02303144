use foldline_sdk::Table;

#[derive(Table)]
#[table(name = "Order Lines")]
struct Line {
    #[key]
    id: String,
}

#[derive(Table)]
struct Ünit {
    #[key]
    id: String,
}

#[derive(Table)]
#[table(title = "orders")]
struct Order {
    #[key]
    id: String,
}

fn main() {}

use foldline_sdk::Table;

#[derive(Table)]
struct Order {
    #[key]
    id: u64,
    count: usize,
    next: Option<u64>,
}

fn main() {}

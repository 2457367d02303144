use foldline_sdk::Table;

#[derive(Table)]
struct Order {
    #[key]
    id: String,
    #[column(name = "id")]
    other: String,
    _state: String,
    #[column(name = "Total")]
    total: f64,
}

fn main() {}

use foldline_sdk::Table;

#[derive(Table)]
struct Order {
    #[key]
    total: f64,
    #[key]
    note: Option<String>,
    #[key]
    #[json]
    lines: Vec<u32>,
    #[key]
    extra: serde_json::Value,
}

fn main() {}

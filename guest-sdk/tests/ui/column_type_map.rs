use foldline_sdk::Table;

use std::collections::HashMap;

#[derive(Table)]
struct Order {
    #[key]
    id: String,
    lines: HashMap<String, u32>,
}

fn main() {}

use foldline_sdk::Table;

use std::collections::HashSet;

#[derive(Table)]
struct Order {
    #[key]
    id: String,
    lines: HashSet<String>,
}

fn main() {}

use foldline_sdk::Table;

#[derive(Table)]
enum Order {
    Placed,
}

#[derive(Table)]
struct Line(String);

fn main() {}

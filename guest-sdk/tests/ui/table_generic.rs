use foldline_sdk::Table;

#[derive(Table)]
struct Order<'a> {
    #[key]
    order_id: &'a str,
}

fn main() {}

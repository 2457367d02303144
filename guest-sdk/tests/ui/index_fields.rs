use foldline_sdk::Table;

#[derive(Table)]
#[table(index(missing), index(id, id))]
struct Order {
    #[key]
    id: String,
    #[index(unique)]
    other: String,
}

#[derive(Table)]
#[table(index())]
struct Line {
    #[key]
    id: String,
}

fn main() {}

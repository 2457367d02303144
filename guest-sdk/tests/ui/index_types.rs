use foldline_sdk::Table;

#[derive(Table)]
#[table(index(id, ratio))]
struct Order {
    #[key]
    id: String,
    #[index]
    total: f64,
    #[index]
    #[json]
    lines: Vec<u32>,
    ratio: Option<f32>,
}

fn main() {}

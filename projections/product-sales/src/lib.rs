//! One row per product: how many were ordered and what they bring in.

use foldline_sdk::{Event, ReadModel, Result, Table, projection};
use serde::Deserialize;

#[cfg(test)]
mod tests;

/// A product and its sales so far, counted when an order is placed.
#[derive(Table)]
pub struct Product {
    #[key]
    product_id: String,
    units: i64,
    /// Sum of quantity times price.
    revenue: f64,
}

#[derive(Deserialize)]
enum OrderEvent {
    OrderPlaced { items: Vec<Item> },
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    product_id: String,
    quantity: u32,
    price: f64,
}

#[projection(
    name = "product-sales",
    version = 1,
    subjects = ["orders.*.OrderPlaced"],
    key = subject_token(1),
    tables = [Product],
)]
fn product_sales(event: &Event, rows: &mut ReadModel) -> Result<()> {
    let Some((_, OrderEvent::OrderPlaced { items })) = event.decode()? else {
        return Ok(());
    };
    for Item {
        product_id,
        quantity,
        price,
    } in items
    {
        let new = || Product {
            product_id: product_id.clone(),
            units: 0,
            revenue: 0.0,
        };
        rows.upsert(&product_id, new, |product| {
            product.units += i64::from(quantity);
            product.revenue += f64::from(quantity) * price;
        })?;
    }
    Ok(())
}

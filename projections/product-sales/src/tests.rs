use foldline_sdk::serde_json::Value as Json;
use foldline_sdk::testing::{TestEvent, envelope, given, json};

use super::{Product, product_sales};

#[test]
fn units_and_revenue_add_up_over_orders() {
    given::<product_sales>([
        placed("o-1", &json!([item("p-1", 2, 9.5), item("p-2", 1, 5.25)])),
        placed("o-2", &json!([item("p-1", 3, 9.0)])),
    ])
    .then([product("p-1", 5, 46.0), product("p-2", 1, 5.25)]);
}

#[test]
fn a_product_that_is_twice_in_one_order_counts_twice() {
    given::<product_sales>([placed(
        "o-1",
        &json!([item("p-1", 1, 2.0), item("p-1", 1, 2.0)]),
    )])
    .then([product("p-1", 2, 4.0)]);
}

#[test]
fn a_quantity_below_zero_is_rejected() {
    given::<product_sales>([placed("o-1", &json!([item("p-1", -1, 2.0)]))])
        .then_rejects("invalid value")
        .and::<Product>([]);
}

fn product(product_id: &str, units: i64, revenue: f64) -> Product {
    Product {
        product_id: product_id.to_owned(),
        units,
        revenue,
    }
}

fn item(product_id: &str, quantity: i64, price: f64) -> Json {
    json!({ "productId": product_id, "quantity": quantity, "price": price })
}

fn placed(order_id: &str, items: &Json) -> TestEvent {
    let data = json!({ "customerId": "c-1", "items": items, "totalAmount": 1.0 });
    envelope("OrderPlaced", data)
        .aggregate(order_id)
        .on(format!("orders.{order_id}.OrderPlaced"))
}

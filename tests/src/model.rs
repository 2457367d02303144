//! The rows that events must give, written as plainly as possible: maps in memory, one event after another.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::orders::Event;
use crate::rows::Rows;

/// The tables of the three example projections.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Model {
    /// `order-summary`, table `orders`, by `order_id`.
    pub orders: Rows,
    /// `customer-totals`, table `customers`, by `customer_id`.
    pub customers: Rows,
    /// `product-sales`, table `products`, by `product_id`.
    pub products: Rows,
    customer_of: BTreeMap<String, String>,
}

impl Model {
    /// What these events give, from the first one on.
    pub fn of(events: &[Event]) -> Self {
        let mut model = Self::default();
        events.iter().for_each(|event| model.apply(event));
        model
    }

    /// Applies the next event. Events that are not about orders change nothing.
    ///
    /// # Panics
    /// If an event about an order has no envelope.
    pub fn apply(&mut self, event: &Event) {
        if !event.subject.starts_with("orders.") {
            return;
        }
        let event: Value = serde_json::from_slice(&event.payload).expect("an order event is JSON");
        let data = &event["payload"];
        match event["eventType"]
            .as_str()
            .expect("an order event has a type")
        {
            "OrderPlaced" => self.placed(&event, data),
            "PaymentProcessed" if data["status"] == "success" => {
                self.paid(&event, data);
                self.status(&event, "paid");
            }
            "PaymentProcessed" => self.status(&event, "payment_failed"),
            "OrderShipped" => {
                self.status(&event, "shipped");
                self.order(&event)["tracking_number"] = data["trackingNumber"].clone();
            }
            "OrderCancelled" => self.status(&event, "cancelled"),
            _ => {}
        }
    }

    fn placed(&mut self, event: &Value, data: &Value) {
        let customer = text(&data["customerId"]);
        let items = data["items"].as_array().expect("items are a list");
        let order = json!({
            "order_id": event["aggregateId"],
            "customer_id": customer,
            "status": "placed",
            "total": data["totalAmount"],
            "item_count": items.iter().map(|item| number(&item["quantity"])).sum::<f64>(),
            "tracking_number": null,
            "version": event["version"],
            "updated_at": event["timestamp"],
        });
        self.orders.insert(text(&event["aggregateId"]), order);
        self.customer_of
            .insert(text(&event["aggregateId"]), customer.clone());
        let row = self.customers.entry(customer.clone()).or_insert_with(
            || json!({ "customer_id": customer, "orders": 0, "total_spent": 0.0, "last_order_at": null }),
        );
        row["orders"] = json!(number(&row["orders"]) + 1.0);
        row["last_order_at"] = event["timestamp"].clone();
        items.iter().for_each(|item| self.sold(item));
    }

    fn sold(&mut self, item: &Value) {
        let product = text(&item["productId"]);
        let (quantity, price) = (number(&item["quantity"]), number(&item["price"]));
        let row = self
            .products
            .entry(product.clone())
            .or_insert_with(|| json!({ "product_id": product, "units": 0, "revenue": 0.0 }));
        row["units"] = json!(number(&row["units"]) + quantity);
        row["revenue"] = json!(number(&row["revenue"]) + quantity * price);
    }

    fn paid(&mut self, event: &Value, data: &Value) {
        let customer = &self.customer_of[&text(&event["aggregateId"])];
        let row = self
            .customers
            .get_mut(customer)
            .expect("who pays has ordered");
        row["total_spent"] = json!(number(&row["total_spent"]) + number(&data["amount"]));
    }

    fn status(&mut self, event: &Value, status: &str) {
        let order = self.order(event);
        order["status"] = json!(status);
        order["version"] = event["version"].clone();
        order["updated_at"] = event["timestamp"].clone();
    }

    fn order(&mut self, event: &Value) -> &mut Value {
        let id = text(&event["aggregateId"]);
        self.orders
            .get_mut(&id)
            .expect("an order is placed before anything else happens to it")
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

fn number(value: &Value) -> f64 {
    value.as_f64().expect("a number")
}

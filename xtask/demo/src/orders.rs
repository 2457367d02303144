//! Realistic order events, the same ones for the same seed: people who order again and again, a few
//! products that sell best, payments that fail and are tried once more, parcels and cancellations.

use std::collections::BTreeMap;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

const CUSTOMERS: usize = 400;

/// Product id and price, best-selling first. Quarters add up exactly as reals, so the tables show no
/// rounding noise in sums.
const PRODUCTS: [(&str, f64); 12] = [
    ("espresso-beans-1kg", 21.50),
    ("filter-papers", 4.50),
    ("oat-drink-6x1l", 12.75),
    ("mug-stoneware", 14.00),
    ("hand-grinder", 89.00),
    ("french-press", 39.50),
    ("decaf-beans-500g", 13.50),
    ("milk-jug", 24.00),
    ("digital-scale", 45.00),
    ("gooseneck-kettle", 119.00),
    ("descaler", 9.75),
    ("espresso-machine", 749.00),
];
const CARRIERS: [&str; 4] = ["DHL", "GLS", "UPS", "PostNord"];
const REASONS: [&str; 3] = [
    "changed my mind",
    "found it cheaper",
    "delivery takes too long",
];

/// An event as it is published.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OrderEvent {
    /// `orders.<orderId>.<EventType>`
    pub(crate) subject: String,
    /// The JSON envelope.
    pub(crate) payload: Vec<u8>,
}

/// An endless sequence of events, of which about a third are new orders.
pub(crate) struct OrderEvents {
    random: StdRng,
    published: u64,
    orders: u64,
    /// What happens next to which order, by the number of the event it will be.
    due: BTreeMap<(u64, u64), (Order, Step)>,
}

struct Order {
    id: String,
    number: u64,
    customer: String,
    total: f64,
    version: u64,
    /// One id joins all events of an order.
    correlation: String,
    /// Id of the order's last event, which is the cause of the next.
    last_event: Option<String>,
}

#[derive(Clone, Copy)]
enum Step {
    Pay,
    PayAgain,
    Ship,
    Cancel,
}

impl OrderEvents {
    pub(crate) fn new(seed: u64) -> Self {
        let random = StdRng::seed_from_u64(seed);
        Self {
            random,
            published: 0,
            orders: 0,
            due: BTreeMap::new(),
        }
    }

    /// The next event, as if it happened at `time`.
    pub(crate) fn next(&mut self, time: OffsetDateTime) -> OrderEvent {
        self.published += 1;
        let next = self
            .due
            .first_entry()
            .filter(|entry| entry.key().0 <= self.published);
        let (mut order, (kind, payload), then) = match next.map(|entry| entry.remove()) {
            Some((order, step)) => self.continue_order(order, step),
            None => self.place_order(),
        };
        order.version += 1;
        let event = self.envelope(&mut order, kind, payload, time);
        if let Some((step, events_later)) = then {
            let after = self.random.random_range(events_later / 4..=events_later);
            self.due
                .insert((self.published + after, order.number), (order, step));
        }
        event
    }

    fn place_order(&mut self) -> Happened {
        self.orders += 1;
        let (items, total) = self.basket();
        let order = Order {
            id: format!("ord-{:06}", self.orders),
            number: self.orders,
            customer: format!("cust-{:03}", self.skewed(CUSTOMERS) + 1),
            total,
            version: 0,
            correlation: self.uuid(),
            last_event: None,
        };
        let payload = json!({"customerId": order.customer, "items": items, "totalAmount": total});
        let then = if self.chance(0.04) {
            (Step::Cancel, 40)
        } else {
            (Step::Pay, 60)
        };
        (order, ("OrderPlaced", payload), Some(then))
    }

    fn continue_order(&mut self, order: Order, step: Step) -> Happened {
        match step {
            Step::Pay | Step::PayAgain => self.pay(order, step),
            Step::Ship => {
                let payload = self.parcel();
                (order, ("OrderShipped", payload), None)
            }
            Step::Cancel => {
                let reason = REASONS[self.skewed(REASONS.len())];
                (order, ("OrderCancelled", json!({"reason": reason})), None)
            }
        }
    }

    fn pay(&mut self, order: Order, step: Step) -> Happened {
        let succeeds = self.chance(0.93);
        let status = if succeeds { "success" } else { "failed" };
        let payload = json!({"status": status, "amount": order.total});
        let then = match (succeeds, step) {
            (true, _) if self.chance(0.02) => (Step::Cancel, 100),
            (true, _) => (Step::Ship, 400),
            (false, Step::Pay) => (Step::PayAgain, 80),
            (false, _) => (Step::Cancel, 200),
        };
        (order, ("PaymentProcessed", payload), Some(then))
    }

    /// One to four different products and their price in full cents.
    fn basket(&mut self) -> (Vec<Value>, f64) {
        let mut quantities = BTreeMap::new();
        for _ in 0..self.random.random_range(1..=4) {
            quantities.insert(self.skewed(PRODUCTS.len()), self.random.random_range(1..=3));
        }
        let mut total = 0.0;
        let mut items = Vec::new();
        for (product, quantity) in quantities {
            let (id, price) = PRODUCTS[product];
            total += price * f64::from(quantity);
            items.push(json!({"productId": id, "quantity": quantity, "price": price}));
        }
        (items, (total * 100.0_f64).round() / 100.0)
    }

    fn parcel(&mut self) -> Value {
        let carrier = CARRIERS[self.skewed(CARRIERS.len())];
        let number = self.random.random_range(10_000_000..100_000_000_u32);
        json!({"trackingNumber": format!("{carrier}-{number}"), "carrier": carrier})
    }

    fn envelope(
        &mut self,
        order: &mut Order,
        kind: &str,
        mut payload: Value,
        time: OffsetDateTime,
    ) -> OrderEvent {
        let time = rfc3339(time);
        if kind == "OrderShipped" {
            payload["shippedAt"] = json!(time);
        }
        let id = self.uuid();
        let cause = order.last_event.replace(id.clone());
        let envelope = json!({
            "eventId": id,
            "eventType": kind,
            "aggregateId": order.id,
            "aggregateType": "Order",
            "timestamp": time,
            "version": order.version,
            "payload": payload,
            "metadata": {
                "correlationId": order.correlation,
                "causationId": cause,
                "userId": order.customer,
                "schemaVersion": 1,
            },
        });
        let subject = format!("orders.{}.{kind}", order.id);
        OrderEvent {
            subject,
            payload: envelope.to_string().into_bytes(),
        }
    }

    /// An index below `count`, the small ones more often.
    fn skewed(&mut self, count: usize) -> usize {
        let (first, second) = (
            self.random.random_range(0..count),
            self.random.random_range(0..count),
        );
        first.min(second)
    }

    fn chance(&mut self, probability: f64) -> bool {
        self.random.random_bool(probability)
    }

    fn uuid(&mut self) -> String {
        let [a, b, c]: [u32; 3] = self.random.random();
        format!(
            "{a:08x}-{:04x}-4{:03x}-a{:03x}-{c:08x}{:04x}",
            b >> 16,
            b & 0xfff,
            c & 0xfff,
            a >> 16
        )
    }
}

/// An order, what happened to it, and what will happen next within how many events.
type Happened = (Order, (&'static str, Value), Option<(Step, u64)>);

fn rfc3339(time: OffsetDateTime) -> String {
    let whole = time.replace_millisecond(time.millisecond()).unwrap_or(time);
    whole.format(&Rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(seed: u64, count: usize) -> Vec<(String, Value)> {
        let mut events = OrderEvents::new(seed);
        let next = || events.next(OffsetDateTime::UNIX_EPOCH);
        let parsed = std::iter::repeat_with(next).take(count).map(|event| {
            (
                event.subject,
                serde_json::from_slice(&event.payload).unwrap(),
            )
        });
        parsed.collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_events() {
        assert_eq!(events(7, 500), events(7, 500));
        assert_ne!(events(7, 500), events(8, 500));
    }

    #[test]
    fn the_versions_of_an_order_count_from_its_placement() {
        let mut versions: BTreeMap<String, u64> = BTreeMap::new();
        for (subject, event) in events(7, 5_000) {
            let version = versions
                .entry(event["aggregateId"].to_string())
                .or_default();
            *version += 1;
            assert_eq!(event["version"], *version, "{subject}");
            assert_eq!(
                event["eventType"] == "OrderPlaced",
                *version == 1,
                "{subject}"
            );
        }
    }

    #[test]
    fn subjects_name_the_order_and_the_event_type() {
        for (subject, event) in events(7, 500) {
            let (id, kind) = (event["aggregateId"].as_str(), event["eventType"].as_str());
            assert_eq!(subject, format!("orders.{}.{}", id.unwrap(), kind.unwrap()));
        }
    }

    #[test]
    fn every_kind_of_event_occurs_and_ids_do_not_repeat() {
        let events = events(7, 5_000);
        let count = |kind: &str| {
            events
                .iter()
                .filter(|(_, event)| event["eventType"] == kind)
                .count()
        };
        for kind in [
            "OrderPlaced",
            "PaymentProcessed",
            "OrderShipped",
            "OrderCancelled",
        ] {
            assert!(count(kind) > 50, "{kind}: {}", count(kind));
        }
        let ids: std::collections::BTreeSet<_> = events
            .iter()
            .map(|(_, event)| event["eventId"].to_string())
            .collect();
        assert_eq!(ids.len(), events.len());
    }
}

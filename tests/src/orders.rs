//! Random but plausible histories of orders, the same for the same seed.
//!
//! Many orders are under way at once, so their events interleave. Amounts are multiples of 0.25: sums of
//! them are exact in whatever order they are added, so totals can be compared with `==`.

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

const CUSTOMERS: u32 = 1_500;
const PRODUCTS: u32 = 120;

/// Orders under way at once.
const OPEN: usize = 400;

/// One message to publish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// `orders.<orderId>.<EventType>`, or a subject that is nobody's.
    pub subject: String,
    /// The envelope as JSON.
    pub payload: Vec<u8>,
}

/// An endless history. Take as many events as are wanted.
#[derive(Debug)]
pub struct Orders {
    random: StdRng,
    open: Vec<Open>,
    placed: u64,
    events: u64,
    now: OffsetDateTime,
}

/// An order that still has events to come.
#[derive(Debug, Clone)]
struct Open {
    id: String,
    customer: String,
    total: f64,
    version: u64,
    step: Step,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    New,
    Unpaid,
    Paid,
    Done,
}

impl Orders {
    /// The history of this seed.
    pub fn new(seed: u64) -> Self {
        Self {
            random: StdRng::seed_from_u64(seed),
            open: Vec::new(),
            placed: 0,
            events: 0,
            // 2026-01-01T00:00:00Z
            now: OffsetDateTime::UNIX_EPOCH + Duration::seconds(1_767_225_600),
        }
    }

    /// The next `count` events.
    pub fn events(&mut self, count: usize) -> Vec<Event> {
        self.by_ref().take(count).collect()
    }

    fn step(&mut self) -> Event {
        if self.open.len() < OPEN {
            self.open_order();
        }
        let index = self.random.random_range(0..self.open.len());
        let mut order = self.open[index].clone();
        order.version += 1;
        let (event_type, data) = self.advance(&mut order);
        let event = self.event(&order, event_type, &data);
        if order.step == Step::Done {
            self.open.swap_remove(index);
        } else {
            self.open[index] = order;
        }
        event
    }

    fn open_order(&mut self) {
        self.placed += 1;
        self.open.push(Open {
            id: format!("o-{}", self.placed),
            customer: format!("c-{}", self.random.random_range(0..CUSTOMERS)),
            total: 0.0,
            version: 0,
            step: Step::New,
        });
    }

    /// What happens to the order next.
    fn advance(&mut self, order: &mut Open) -> (&'static str, Value) {
        if order.step != Step::New && self.random.random_ratio(1, 40) {
            return (
                "OrderNoteAdded",
                json!({ "note": "leave it with the \"neighbour\" – Ω" }),
            );
        }
        match order.step {
            Step::New => {
                order.step = Step::Unpaid;
                ("OrderPlaced", self.place(order))
            }
            Step::Unpaid | Step::Paid if self.random.random_ratio(1, 12) => {
                order.step = Step::Done;
                ("OrderCancelled", json!({ "reason": "changed my mind" }))
            }
            Step::Unpaid => {
                let failed = self.random.random_ratio(1, 8);
                if !failed {
                    order.step = Step::Paid;
                }
                let status = if failed { "failed" } else { "success" };
                (
                    "PaymentProcessed",
                    json!({ "status": status, "amount": order.total }),
                )
            }
            Step::Paid | Step::Done => {
                order.step = Step::Done;
                ("OrderShipped", self.ship())
            }
        }
    }

    fn place(&mut self, order: &mut Open) -> Value {
        let items: Vec<_> = (0..self.random.random_range(1..=4))
            .map(|_| self.item())
            .collect();
        order.total = items
            .iter()
            .map(|(_, quantity, price)| f64::from(*quantity) * price)
            .sum();
        let items: Vec<_> = items
            .into_iter()
            .map(|(product, quantity, price)| {
                json!({ "productId": product, "quantity": quantity, "price": price })
            })
            .collect();
        json!({ "customerId": order.customer, "items": items, "totalAmount": order.total })
    }

    fn item(&mut self) -> (String, u32, f64) {
        let product = format!("p-{}", self.random.random_range(0..PRODUCTS));
        let quarters = self.random.random_range(1..2_000);
        (
            product,
            self.random.random_range(1..=5),
            f64::from(quarters) * 0.25,
        )
    }

    fn ship(&mut self) -> Value {
        let carriers = ["DHL", "UPS", "La Poste"];
        json!({
            "trackingNumber": format!("T{:09}", self.random.random_range(0..1_000_000_000)),
            "carrier": carriers.choose(&mut self.random),
            "shippedAt": self.timestamp(),
        })
    }

    fn event(&mut self, order: &Open, event_type: &str, data: &Value) -> Event {
        self.events += 1;
        self.now += Duration::milliseconds(self.random.random_range(1..5_000));
        let envelope = json!({
            "eventId": format!("e-{}", self.events),
            "eventType": event_type,
            "aggregateId": order.id,
            "aggregateType": "Order",
            "timestamp": self.timestamp(),
            "version": order.version,
            "payload": data,
            "metadata": {
                "correlationId": format!("x-{}", order.id),
                "causationId": format!("e-{}", self.events - 1),
                "userId": order.customer,
                "schemaVersion": 1,
            },
        });
        Event {
            subject: format!("orders.{}.{event_type}", order.id),
            payload: envelope.to_string().into_bytes(),
        }
    }

    /// Something else in the same stream, which no projection here wants.
    fn foreign(&mut self) -> Event {
        let product = self.random.random_range(0..PRODUCTS);
        Event {
            subject: format!("stock.p-{product}.Counted"),
            payload: b"not even JSON".to_vec(),
        }
    }

    fn timestamp(&self) -> String {
        self.now.format(&Rfc3339).expect("a year of four digits")
    }
}

impl Iterator for Orders {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        Some(if self.random.random_ratio(1, 50) {
            self.foreign()
        } else {
            self.step()
        })
    }
}

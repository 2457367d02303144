//! The events of the benchmark: orders that are placed, paid, and shipped or cancelled. The same ones for the
//! same number of events, whatever the machine.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use anyhow::{Result, bail};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use time::format_description::well_known::Rfc3339;
use time::{Duration, OffsetDateTime};

/// Any number would do.
const SEED: u64 = 20_260_101;
const CUSTOMERS: u32 = 50_000;
const PRODUCTS: u32 = 1_000;
const CARRIERS: [&str; 4] = ["DHL", "GLS", "UPS", "PostNord"];

/// An order is paid within this many events after it was placed, and shipped within this many after that: other
/// orders' events lie between its own.
const PAID_WITHIN: u64 = 2_000;
const SHIPPED_WITHIN: u64 = 50_000;

/// 2026-01-01T00:00:00Z
const START: i64 = 1_767_225_600;
const BETWEEN: Duration = Duration::milliseconds(250);

/// What the ids of orders look like; it decides where in a B-tree new rows go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ids {
    /// They rise, as those of counters, UUIDv7 or ULID do.
    Sequential,
    /// They do not, as those of UUIDv4.
    Random,
}

impl Ids {
    pub(crate) fn parse(name: &str) -> Result<Self> {
        match name {
            "sequential" => Ok(Self::Sequential),
            "random" => Ok(Self::Random),
            _ => bail!("--ids is {name}; it can be `sequential` or `random`"),
        }
    }

    /// Different for different numbers: an odd factor loses nothing modulo a power of two.
    fn id(self, number: u64) -> String {
        match self {
            Self::Sequential => format!("ord-{number:010}"),
            Self::Random => format!(
                "ord-{:010x}",
                number.wrapping_mul(0x9e_3779_b97f) & 0xff_ffff_ffff
            ),
        }
    }
}

/// An event as it is published.
pub(crate) struct OrderEvent {
    /// `orders.<orderId>.<EventType>`
    pub(crate) subject: String,
    /// The JSON envelope, about 300 bytes.
    pub(crate) payload: String,
    /// Value of its one header, `Trace-Id`.
    pub(crate) trace: String,
}

/// The events of one benchmark: three for each order.
pub(crate) struct OrderEvents {
    random: StdRng,
    ids: Ids,
    events: u64,
    made: u64,
    placed: u64,
    /// Of them all; every order after its first event is left alone when they are as many as the events.
    orders: u64,
    due: BinaryHeap<Reverse<Due>>,
}

/// What happens next to an order, ordered by the number of the event it will be.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    at: u64,
    order: u64,
    cents: u64,
    step: Step,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Pay,
    Ship,
    Cancel,
}

impl OrderEvents {
    pub(crate) fn new(events: u64, ids: Ids) -> Self {
        Self {
            random: StdRng::seed_from_u64(SEED),
            ids,
            events,
            made: 0,
            placed: 0,
            orders: events.div_ceil(3),
            due: BinaryHeap::new(),
        }
    }

    /// Nothing happens to the orders after they were placed: one row for each event.
    pub(crate) fn only_placed(events: u64, ids: Ids) -> Self {
        Self {
            orders: events,
            ..Self::new(events, ids)
        }
    }

    fn make(&mut self) -> OrderEvent {
        self.made += 1;
        let is_due = matches!(self.due.peek(), Some(Reverse(due)) if due.at <= self.made);
        let all_placed = self.placed >= self.orders;
        let next = (is_due || all_placed).then(|| self.due.pop()).flatten();
        match next {
            None => self.place(),
            Some(Reverse(due)) => match due.step {
                Step::Pay => self.pay(due),
                Step::Ship => self.ship(due),
                Step::Cancel => {
                    self.envelope("OrderCancelled", &due, 3, r#"{"reason":"changed my mind"}"#)
                }
            },
        }
    }

    fn place(&mut self) -> OrderEvent {
        self.placed += 1;
        let mut items = Vec::new();
        let mut cents = 0;
        for _ in 0..self.random.random_range(1..=2) {
            let (product, quantity) = (
                self.random.random_range(0..PRODUCTS),
                self.random.random_range(1..=4),
            );
            let price = 100 + u64::from(product) * 25;
            cents += price * quantity;
            let price = amount(price);
            items.push(format!(
                r#"{{"productId":"prod-{product:04}","quantity":{quantity},"price":{price}}}"#
            ));
        }
        let customer = self.random.random_range(0..CUSTOMERS);
        let at = self.made + self.random.random_range(1..=PAID_WITHIN);
        let due = Due {
            at,
            order: self.placed,
            cents,
            step: Step::Pay,
        };
        let (items, total) = (items.join(","), amount(cents));
        let payload = format!(
            r#"{{"customerId":"cust-{customer:05}","items":[{items}],"totalAmount":{total}}}"#
        );
        let event = self.envelope("OrderPlaced", &due, 1, &payload);
        if self.orders < self.events {
            self.due.push(Reverse(due));
        }
        event
    }

    fn pay(&mut self, due: Due) -> OrderEvent {
        let (succeeds, is_cancelled) =
            (self.random.random_bool(0.95), self.random.random_bool(0.03));
        let status = if succeeds { "success" } else { "failed" };
        let payload = format!(r#"{{"status":"{status}","amount":{}}}"#, amount(due.cents));
        let event = self.envelope("PaymentProcessed", &due, 2, &payload);
        let step = if succeeds && !is_cancelled {
            Step::Ship
        } else {
            Step::Cancel
        };
        let at = self.made + self.random.random_range(1..=SHIPPED_WITHIN);
        self.due.push(Reverse(Due { at, step, ..due }));
        event
    }

    fn ship(&mut self, due: Due) -> OrderEvent {
        let number = self.random.random_range(0..1_000_000_000_u32);
        let carrier = CARRIERS[self.random.random_range(0..CARRIERS.len())];
        let payload = format!(r#"{{"trackingNumber":"T{number:09}","carrier":"{carrier}"}}"#);
        self.envelope("OrderShipped", &due, 3, &payload)
    }

    fn envelope(&mut self, kind: &str, due: &Due, version: u32, payload: &str) -> OrderEvent {
        let (id, number) = (self.ids.id(due.order), self.made);
        let time = timestamp(number);
        let payload = format!(
            "{{\"eventId\":\"evt-{number:010}\",\"eventType\":\"{kind}\",\"aggregateId\":\"{id}\",\
             \"aggregateType\":\"Order\",\"timestamp\":\"{time}\",\"version\":{version},\"payload\":{payload},\
             \"metadata\":{{\"correlationId\":\"corr-{:010}\",\
             \"schemaVersion\":1}}}}",
            due.order
        );
        OrderEvent {
            subject: format!("orders.{id}.{kind}"),
            payload,
            trace: format!("{:016x}", self.random.random::<u64>()),
        }
    }
}

impl Iterator for OrderEvents {
    type Item = OrderEvent;

    fn next(&mut self) -> Option<OrderEvent> {
        (self.made < self.events).then(|| self.make())
    }
}

fn amount(cents: u64) -> String {
    format!("{}.{:02}", cents / 100, cents % 100)
}

fn timestamp(event: u64) -> String {
    let start = OffsetDateTime::from_unix_timestamp(START).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let passed = BETWEEN.saturating_mul(i32::try_from(event).unwrap_or(i32::MAX));
    (start + passed).format(&Rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_third_of_the_events_are_new_orders_and_their_versions_rise() {
        let mut versions = BTreeMap::new();
        for event in OrderEvents::new(30_000, Ids::Random) {
            let json: serde_json::Value = serde_json::from_str(&event.payload).unwrap();
            let version = versions.entry(json["aggregateId"].to_string()).or_insert(0);
            *version += 1;
            assert_eq!(json["version"], *version);
        }
        assert_eq!(versions.len(), 10_000);
        assert!(versions.values().all(|version| *version == 3));
    }

    #[test]
    fn a_payload_has_300_bytes_and_a_little() {
        let events = OrderEvents::new(30_000, Ids::Sequential);
        let bytes: usize = events.map(|event| event.payload.len()).sum();
        assert!(
            (280..=340).contains(&(bytes / 30_000)),
            "{}",
            bytes / 30_000
        );
    }

    #[test]
    fn the_same_number_gives_the_same_events() {
        let payloads = || OrderEvents::new(1_000, Ids::Sequential).map(|event| event.payload);
        assert!(payloads().eq(payloads()));
    }
}

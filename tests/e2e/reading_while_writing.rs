//! Clients read during a catch-up: no error, no torn row, and nobody goes back in time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};

use foldline_tests::guests::module;
use foldline_tests::host::{Answer, Host};
use foldline_tests::nats::NatsServer;
use foldline_tests::orders::Orders;
use foldline_tests::seed;
use foldline_tests::stream::Stream;
use foldline_tests::wait::wait_until;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;

use crate::examples::{ALL, number, sum_up_to};

const EVENTS: u64 = 60_000;

/// Clients that read at the same time.
const CLIENTS: u64 = 4;

#[test]
fn clients_reading_during_a_catch_up_see_no_error_and_no_torn_row() {
    let seed = seed();
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    stream.publish(&Orders::new(seed).events(usize::try_from(EVENTS).unwrap()));
    // Small batches are many commits: the more of them, the more reads have one come between.
    let mut host = Host::new(&nats.url()).configured("[limits]\nbatch_events = 20\n");
    for name in ALL {
        host.drop_module(&format!("{name}.wasm"), &module(name));
    }
    host.restart();
    wait_until("every projection has begun", || {
        ALL.iter()
            .all(|name| host.checkpoint(name) > 0)
            .then_some(())
    });

    let during = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (host, during) = (&host, &during);
            scope.spawn(move || Client::new(host, seed + client).read_until_caught_up(during));
        }
    });
    let during = during.into_inner();
    eprintln!("{during} answers during the catch-up");
    assert!(
        during > 50,
        "only {during} answers came during the catch-up: it proves nothing"
    );
}

/// One client, and how far it has seen each projection.
struct Client<'a> {
    host: &'a Host,
    random: StdRng,
    seen: BTreeMap<&'static str, u64>,
}

impl<'a> Client<'a> {
    fn new(host: &'a Host, seed: u64) -> Self {
        let random = StdRng::seed_from_u64(seed);
        Self {
            host,
            random,
            seen: BTreeMap::new(),
        }
    }

    fn read_until_caught_up(&mut self, during: &AtomicUsize) {
        while ALL
            .iter()
            .any(|name| self.seen.get(name).is_none_or(|&seen| seen < EVENTS))
        {
            let sequence = match self.random.random_range(0..7) {
                0 => self.head(),
                1 => self.newest_entries(),
                2 => self.newest_orders(),
                3 => self.shipped_orders(),
                4 => self.best_products(),
                5 => self.one_customer(),
                _ => self.what_is_to_come(),
            };
            during.fetch_add(usize::from(sequence < EVENTS), Ordering::Relaxed);
        }
    }

    /// Asks; the answer is none of an earlier time than the last one.
    fn ask(&mut self, name: &'static str, path: &str) -> (Answer, u64) {
        let answer = self.host.get(&format!("/v1/read-models/{name}/{path}"));
        assert_eq!(answer.code, 200, "{name}/{path}: {answer:?}");
        let sequence = answer.sequence.expect("every answer says its sequence");
        let seen = self.seen.insert(name, sequence).unwrap_or_default();
        assert!(
            sequence >= seen,
            "{name} went back from {seen} to {sequence}"
        );
        (answer, sequence)
    }

    fn list(&mut self, name: &'static str, path: &str) -> (Vec<Value>, u64) {
        let (answer, sequence) = self.ask(name, path);
        let rows = answer.body.as_array().expect("a list").clone();
        assert!(!rows.is_empty(), "{name}/{path} is empty at {sequence}");
        (rows, sequence)
    }

    /// One row, written anew with every event.
    fn head(&mut self) -> u64 {
        let (answer, sequence) = self.ask("ledger", "heads/head");
        let head = answer.body;
        assert_eq!(head["last_sequence"], sequence, "{head}");
        assert_eq!(head["events"], sequence, "{head}");
        assert_eq!(head["sequences"], sum_up_to(sequence), "{head}");
        sequence
    }

    /// Many rows of one commit: all are of the same moment.
    fn newest_entries(&mut self) -> u64 {
        let (rows, sequence) = self.list("ledger", "entries?order=sequence.desc&limit=200");
        for (row, expected) in rows.iter().zip((1..=sequence).rev()) {
            assert_eq!(number(&row["sequence"]), expected, "at {sequence}");
        }
        sequence
    }

    fn newest_orders(&mut self) -> u64 {
        let (rows, sequence) = self.list("order-summary", "orders?order=updated_at.desc&limit=100");
        rows.iter().for_each(assert_whole);
        let times: Vec<_> = rows
            .iter()
            .map(|row| row["updated_at"].as_str().unwrap())
            .collect();
        assert!(times.is_sorted_by(|one, next| one >= next), "{times:?}");
        sequence
    }

    fn shipped_orders(&mut self) -> u64 {
        let query = "orders?status=eq.shipped&order=order_id.asc&limit=50&offset=3";
        let (answer, sequence) = self.ask("order-summary", query);
        for row in answer.body.as_array().expect("a list") {
            assert_eq!(row["status"], "shipped");
            assert_whole(row);
        }
        sequence
    }

    fn best_products(&mut self) -> u64 {
        let (rows, sequence) = self.list("product-sales", "products?order=units.desc&limit=10");
        let units: Vec<_> = rows.iter().map(|row| number(&row["units"])).collect();
        assert!(units.is_sorted_by(|one, next| one >= next), "{units:?}");
        sequence
    }

    fn one_customer(&mut self) -> u64 {
        let (rows, _) = self.list("customer-totals", "customers?limit=20");
        let row = &rows[self.random.random_range(0..rows.len())];
        let id = row["customer_id"].as_str().unwrap();
        let (later, sequence) = self.ask("customer-totals", &format!("customers/{id}"));
        assert!(
            number(&later.body["orders"]) >= number(&row["orders"]),
            "{row} {later:?}"
        );
        sequence
    }

    /// Waits for events that are not applied yet.
    fn what_is_to_come(&mut self) -> u64 {
        let seen = self.seen.get("order-summary").copied().unwrap_or_default();
        let wanted = (seen + self.random.random_range(0..3_000)).min(EVENTS);
        let query = format!("orders?limit=5&min_sequence={wanted}&timeout=20s");
        let (rows, sequence) = self.list("order-summary", &query);
        assert!(sequence >= wanted, "{sequence} is before {wanted}");
        rows.iter().for_each(assert_whole);
        sequence
    }
}

/// What holds inside every order: its columns were written by the same events.
#[track_caller]
fn assert_whole(order: &Value) {
    let shipped = order["status"] == "shipped";
    assert_eq!(shipped, order["tracking_number"].is_string(), "{order}");
    assert_eq!(
        order["status"] == "placed",
        order["version"] == 1,
        "{order}"
    );
    assert!(number(&order["item_count"]) > 0, "{order}");
}

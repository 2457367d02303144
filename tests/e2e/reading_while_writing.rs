//! Clients read during a catch-up: no error, no torn row, and nobody goes back in time.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use foldline_tests::guests::module;
use foldline_tests::host::{Answer, Host};
use foldline_tests::nats::NatsServer;
use foldline_tests::orders::Orders;
use foldline_tests::seed;
use foldline_tests::stream::Stream;
use foldline_tests::wait::{LONG, wait_until, wait_within};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;

use crate::examples::{ALL, number, sum_up_to};

/// Events that are in the stream before the host starts.
const PAST: usize = 30_000;

/// Events of each piece that follows, until enough was read.
const MORE: usize = 2_000;

/// Answers of a projection that was not at the stream's end.
const ENOUGH: usize = 200;

/// Clients that read at the same time.
const CLIENTS: u64 = 4;

#[test]
fn clients_reading_during_a_catch_up_see_no_error_and_no_torn_row() {
    let seed = seed();
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let mut orders = Orders::new(seed);
    let course = Course::new(stream.publish(&orders.events(PAST)));
    // The more commits, the more reads have one come between.
    let small = "[limits]\nbatch_events = 20\n[store]\ncommit_events = 20\n";
    let mut host = Host::new(&nats.url()).configured(small);
    for name in ALL {
        host.drop_module(&format!("{name}.wasm"), &module(name));
    }
    host.restart();
    wait_until("every projection has begun", || {
        ALL.iter()
            .all(|name| host.checkpoint(name) >= 100)
            .then_some(())
    });

    std::thread::scope(|scope| {
        let _ends_the_clients = Ends(&course);
        for client in 0..CLIENTS {
            let (host, course) = (&host, &course);
            scope.spawn(move || Client::new(host, seed + client).read_to_the_end(course));
        }
        // A fast host has caught up before much is read: then the stream goes on, as long as it takes.
        wait_within(2 * LONG, "enough was read during the catch-up", || {
            course.goes_on(MORE as u64);
            let last = stream.publish(&orders.events(MORE));
            host.wait_applied("ledger", last);
            (course.during.load(Ordering::Relaxed) >= ENOUGH).then_some(())
        });
    });
}

/// What publisher and clients know of each other.
struct Course {
    /// The stream's last sequence, set before the events up to it come.
    end: AtomicU64,
    is_last: AtomicBool,
    /// Answers that came before their projection was at the end.
    during: AtomicUsize,
}

impl Course {
    fn new(end: u64) -> Self {
        Self {
            end: AtomicU64::new(end),
            is_last: AtomicBool::new(false),
            during: AtomicUsize::new(0),
        }
    }

    fn goes_on(&self, events: u64) {
        self.end.fetch_add(events, Ordering::SeqCst);
    }

    fn end(&self) -> u64 {
        self.end.load(Ordering::SeqCst)
    }
}

/// Says that nothing more comes, also when the test fails: a scope waits for all of its threads.
struct Ends<'a>(&'a Course);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.is_last.store(true, Ordering::SeqCst);
    }
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

    fn read_to_the_end(&mut self, course: &Course) {
        while !course.is_last.load(Ordering::SeqCst) || self.is_behind(course.end()) {
            let sequence = match self.random.random_range(0..7) {
                0 => self.head(),
                1 => self.newest_entries(),
                2 => self.newest_orders(),
                3 => self.shipped_orders(),
                4 => self.best_products(),
                5 => self.one_customer(),
                _ => self.what_is_to_come(course.end()),
            };
            let early = sequence < course.end();
            course
                .during
                .fetch_add(usize::from(early), Ordering::Relaxed);
        }
    }

    fn is_behind(&self, end: u64) -> bool {
        ALL.iter()
            .any(|name| self.seen.get(name).is_none_or(|&seen| seen < end))
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
    fn what_is_to_come(&mut self, end: u64) -> u64 {
        let seen = self.seen.get("order-summary").copied().unwrap_or_default();
        let wanted = (seen + self.random.random_range(0..3_000)).min(end);
        let query = format!("orders?limit=5&min_sequence={wanted}&timeout=60s");
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

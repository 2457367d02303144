//! Readers do not notice that generations change places.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use foldline_tests::guests::module;
use foldline_tests::host::Host;
use foldline_tests::model::Model;
use foldline_tests::nats::NatsServer;
use foldline_tests::orders::Orders;
use foldline_tests::rows;
use foldline_tests::stream::Stream;
use foldline_tests::wait::wait_until;
use serde_json::Value;

use super::{FILE, NAME, command, states, wait_version, without_new_column};

const READERS: usize = 4;
const SWITCHES: u64 = 50;

/// A change of places that was announced, and which version is live since: 2 × number + 1 once it was announced, one less
/// while it is under way.
#[derive(Default)]
struct Announced {
    change: AtomicU64,
    version: AtomicU64,
}

impl Announced {
    /// Does what changes places, and says which version is live then.
    fn change(&self, version: u64, work: impl FnOnce()) {
        self.change.fetch_add(1, Ordering::SeqCst);
        work();
        self.version.store(version, Ordering::SeqCst);
        self.change.fetch_add(1, Ordering::SeqCst);
    }

    /// The change that was announced last and its version, or none while one is under way.
    fn now(&self) -> Option<(u64, u64)> {
        let change = self.change.load(Ordering::SeqCst);
        let version = self.version.load(Ordering::SeqCst);
        change.is_multiple_of(2).then_some((change, version))
    }
}

#[test]
fn readers_see_no_error_no_mixture_and_no_step_back_over_fifty_switches() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let host = Host::start(&nats.url(), &[NAME]);
    let mut history = Orders::new(1).events(2_000);
    host.wait_applied(NAME, stream.publish(&history));
    let (done, announced) = (AtomicBool::new(false), Announced::default());
    announced.change(1, || {});

    std::thread::scope(|scope| {
        let ends_the_threads = crate::reload::SetOnDrop(&done);
        for _ in 0..READERS {
            scope.spawn(|| read(&host, &announced, &done));
        }
        let publisher = scope.spawn(|| publish(&stream, &host, &done));
        switch(&host, &announced);
        drop(ends_the_threads);
        history.extend(publisher.join().expect("the publisher ends"));
    });

    host.wait_applied(NAME, history.len() as u64);
    let rows = rows::all(&host, NAME, "orders", "order_id");
    rows::assert_equal(NAME, &without_new_column(rows), &Model::of(&history).orders);
}

/// Builds, promotes and rolls back; version 2 is live at the end.
fn switch(host: &Host, announced: &Announced) {
    announced.change(2, || {
        host.drop_module(FILE, &module("order-summary-next"));
        wait_version(host, 2);
    });
    for switch in 1..SWITCHES {
        let live = 2 - switch % 2;
        if switch % 10 == 5 {
            // Version 1 is live, and is built once more; what was version 2 is gone then.
            announced.change(1, || rebuild(host));
            announced.change(2, || {
                let again = foldline_tests::guests::rebuilt(
                    &module("order-summary-next"),
                    &switch.to_string(),
                );
                host.drop_module(FILE, &again);
                wait_version(host, 2);
            });
        }
        announced.change(live, || drop(command(host, &["rollback", NAME])));
    }
    announced.change(2, || {
        if host.status(NAME)["version"] == 1 {
            command(host, &["rollback", NAME]);
        }
    });
}

/// Builds what is live again, and waits until that is live.
fn rebuild(host: &Host) {
    let generation = |status: &Value| {
        let all = status["generations"].as_array().into_iter().flatten();
        let mut live = all.filter(|one| one["state"] == "live");
        live.next().map(|one| one["number"].clone())
    };
    let before = generation(&host.status(NAME));
    command(host, &["rebuild", NAME]);
    host.wait_status(NAME, "was built again", |status| {
        generation(status) != before
    });
}

fn publish(stream: &Stream, host: &Host, done: &AtomicBool) -> Vec<foldline_tests::orders::Event> {
    let mut orders = Orders::new(2);
    let mut published = Vec::new();
    while !done.load(Ordering::Relaxed) {
        let events = orders.events(20);
        let last = stream.publish(&events);
        published.extend(events);
        // What was published is read back, whoever is live.
        let fresh = host.get(&format!(
            "/v1/read-models/{NAME}/orders?limit=1&min_sequence={last}&timeout=30s"
        ));
        assert_eq!(fresh.code, 200, "{fresh:?}");
    }
    published
}

/// Reads in a loop, and checks every answer.
fn read(host: &Host, announced: &Announced, done: &AtomicBool) {
    let (mut sequence, mut answers) = (0, 0);
    while !done.load(Ordering::Relaxed) {
        let before = announced.now();
        let answer = host.get(&format!("/v1/read-models/{NAME}/orders?limit=20"));
        let after = announced.now();
        assert_eq!(answer.code, 200, "{answer:?}");
        let at = answer.sequence.expect("an answer has a sequence");
        assert!(at >= sequence, "went back from {sequence} to {at}");
        let rows = answer.body.as_array().expect("rows");
        assert!(!rows.is_empty(), "the table was empty at {at}");
        let shapes: BTreeSet<_> = rows
            .iter()
            .map(|row| row.get("paid_at").is_some())
            .collect();
        assert_eq!(shapes.len(), 1, "rows of two versions: {rows:?}");
        if let (Some((_, version)), true) = (before, before == after) {
            assert_eq!(
                shapes.contains(&true),
                version == 2,
                "version {version} was announced: {rows:?}"
            );
        }
        (sequence, answers) = (at, answers + 1);
    }
    assert!(answers > 100, "only {answers} answers: nothing was tried");
}

#[test]
fn a_version_of_a_stream_without_events_takes_its_place_too() {
    let nats = NatsServer::start();
    let _stream = Stream::of_orders(&nats.url());
    let host = Host::start(&nats.url(), &[NAME]);
    host.wait_state(NAME, "live");
    host.drop_module(FILE, &module("order-summary-next"));
    wait_version(&host, 2);
    wait_until("both are there", || {
        let status = host.status(NAME);
        (states(&status) == [(1, "standby"), (2, "live")]).then_some(())
    });
    rebuild(&host);
    assert_eq!(host.rows(NAME, "orders", ""), Vec::<Value>::new());
}

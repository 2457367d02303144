//! A module is replaced while the host runs: the checkpoint never goes back, no event is missed.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use foldline_tests::guests::{module, rebuilt};
use foldline_tests::host::Host;
use foldline_tests::model::Model;
use foldline_tests::nats::NatsServer;
use foldline_tests::orders::{Event, Orders};
use foldline_tests::rows::{self, Rows};
use foldline_tests::seed;
use foldline_tests::stream::Stream;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::json;

use crate::examples::{assert_each_event_once_in_order, number};

const RUNNING: [&str; 3] = ["order-summary", "product-sales", "ledger"];

#[test]
fn reloads_during_the_run_miss_no_event_and_never_go_back() {
    let seed = seed();
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let host = Host::start(&nats.url(), &RUNNING);
    for name in RUNNING {
        host.wait_state(name, "live");
    }
    let done = AtomicBool::new(false);

    let history = std::thread::scope(|scope| {
        let ends_the_threads = SetOnDrop(&done);
        for name in RUNNING {
            scope.spawn(|| watch(&host, name, &done));
        }
        let publisher = scope.spawn(|| publish_until(&done, seed, &stream, &host));
        for round in 1..=6 {
            reload_all(&host, round);
        }
        drop(ends_the_threads);
        publisher.join().expect("the publisher ends")
    });
    let last = history.len() as u64;

    let model = Model::of(&history);
    assert_each_event_once_in_order(&host, last);
    host.wait_applied("product-sales", last);
    let products = rows::all(&host, "product-sales", "products", "product_id");
    rows::assert_equal("product-sales", &products, &model.products);
    host.wait_applied("order-summary", last);
    assert_of_either_module(
        rows::all(&host, "order-summary", "orders", "order_id"),
        &model.orders,
    );
}

/// Publishes a random history in random chunks until the reloads are done, and gives what it was. Each chunk is
/// a small backlog when it comes; the next one waits until it is applied.
fn publish_until(done: &AtomicBool, seed: u64, stream: &Stream, host: &Host) -> Vec<Event> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut orders = Orders::new(seed);
    let mut history = Vec::new();
    while !done.load(Ordering::Relaxed) {
        let chunk = orders.events(random.random_range(1..600));
        let last = stream.publish(&chunk);
        history.extend(chunk);
        host.wait_applied("ledger", last);
    }
    history
}

/// Replaces every module by another build, and waits until each is taken up.
fn reload_all(host: &Host, round: u64) {
    let changed = if round % 2 == 1 {
        "order-summary-changed"
    } else {
        "order-summary"
    };
    host.drop_module("order-summary.wasm", &module(changed));
    for name in ["product-sales", "ledger"] {
        host.drop_module(
            &format!("{name}.wasm"),
            &rebuilt(&module(name), &round.to_string()),
        );
    }
    for name in RUNNING {
        host.wait_status(name, &format!("was reloaded {round} times"), |status| {
            status["reloads"] == round
        });
    }
    // The next ones only come when these have left their mark.
    let reloaded_at = host.checkpoint("order-summary");
    host.wait_status("order-summary", "goes on", |status| {
        number(&status["checkpoint"]) >= reloaded_at + 300
    });
}

/// Looks at a projection again and again: it runs, and its checkpoint never goes back.
fn watch(host: &Host, name: &str, done: &AtomicBool) {
    let mut checkpoint = 0;
    while !done.load(Ordering::Relaxed) {
        let status = host.status(name);
        if status.is_null() {
            continue;
        }
        let now = number(&status["checkpoint"]);
        assert!(
            now >= checkpoint,
            "{name} went back from {checkpoint} to {now}"
        );
        assert!(status["last_error"].is_null(), "{status}");
        checkpoint = now;
    }
}

/// Every order is as the model says, with its status in the letters of either module; both left their mark.
#[track_caller]
fn assert_of_either_module(mut orders: Rows, expected: &Rows) {
    let mut capitals = 0;
    for order in orders.values_mut() {
        let status = order["status"].as_str().expect("a status").to_owned();
        let lower = status.to_lowercase();
        assert!(
            status == lower || status == status.to_uppercase(),
            "{order}"
        );
        capitals += usize::from(status != lower);
        order["status"] = json!(lower);
    }
    assert!(capitals > 0, "the changed module never ran");
    assert!(capitals < orders.len(), "the first module never ran");
    rows::assert_equal("order-summary", &orders, expected);
}

/// Ends the watchers also when the test fails in between: a scope waits for all of its threads.
pub(crate) struct SetOnDrop<'a>(pub(crate) &'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn a_module_that_is_copied_slowly_is_reloaded_when_it_is_whole() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let host = Host::start(&nats.url(), &["ledger"]);
    host.wait_applied("ledger", stream.publish(&Orders::new(1).events(100)));

    for copies in 1.. {
        assert!(copies <= COPIES_MAX, "this machine is too slow to tell");
        let refusals = host.log().lines_with(&["refused"]).len();
        let longest_pause = copy_beside_events(&host, &stream, copies);
        host.wait_status("ledger", "was reloaded", |status| {
            status["reloads"] == copies
        });
        assert_eq!(host.refused("ledger.wasm"), None);
        // A copy that stood still for longer may well have been called broken on the way.
        if longest_pause < STEADY_COPY {
            let said = host.log().lines_with(&["refused"]);
            assert_eq!(said.len(), refusals, "{}", host.log());
            break;
        }
    }
    assert_each_event_once_in_order(&host, stream.last_sequence());
}

/// A pause within a copy that the host must have patience with.
const STEADY_COPY: Duration = Duration::from_millis(500);

/// Attempts at a copy without a longer pause.
const COPIES_MAX: u64 = 10;

/// Copies another build of the ledger slowly over the one that runs, and sees it apply events all the while.
/// Gives the longest time in which nothing was copied.
fn copy_beside_events(host: &Host, stream: &Stream, number: u64) -> Duration {
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _ends_the_watcher = SetOnDrop(&done);
        scope.spawn(|| watch(host, "ledger", &done));
        let module = rebuilt(&module("ledger"), &format!("slow {number}"));
        let copy = scope.spawn(move || host.drop_module_slowly("ledger.wasm", &module));
        while !copy.is_finished() {
            let last = stream.publish(&Orders::new(number).events(1));
            host.wait_applied("ledger", last);
        }
        copy.join().expect("the module is copied")
    })
}

#[test]
fn a_module_that_stays_half_written_leaves_the_running_one_alone() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let host = Host::start(&nats.url(), &["ledger"]);
    host.wait_applied("ledger", stream.publish(&Orders::new(1).events(100)));
    let digest = host.status("ledger")["digest"].clone();

    let whole = rebuilt(&module("ledger"), "whole");
    host.drop_module("ledger.wasm", &whole[..whole.len() / 2]);
    foldline_tests::wait::wait_until("the half module is refused", || host.refused("ledger.wasm"));
    let last = stream.publish(&Orders::new(2).events(100));
    assert_each_event_once_in_order(&host, last);
    let status = host.status("ledger");
    assert_eq!(
        (&status["digest"], &status["reloads"]),
        (&digest, &json!(0)),
        "{status}"
    );

    host.drop_module("ledger.wasm", &whole);
    host.wait_status("ledger", "was reloaded", |status| {
        status["digest"] != digest
    });
    assert_eq!(host.refused("ledger.wasm"), None);
    let last = stream.publish(&Orders::new(3).events(100));
    assert_each_event_once_in_order(&host, last);
}

#[test]
fn a_restart_after_a_reload_runs_the_new_module_from_the_checkpoint() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let mut host = Host::start(&nats.url(), &["ledger"]);
    host.wait_applied("ledger", stream.publish(&Orders::new(1).events(500)));

    host.end_with("TERM");
    host.drop_module(
        "ledger.wasm",
        &rebuilt(&module("ledger"), "while it was stopped"),
    );
    host.restart();
    host.wait_state("ledger", "live");
    let last = stream.publish(&Orders::new(2).events(500));

    assert_each_event_once_in_order(&host, last);
}

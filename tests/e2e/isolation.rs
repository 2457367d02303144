//! A slow projection holds nobody back.

use foldline_tests::guests::module;
use foldline_tests::host::Host;
use foldline_tests::nats::NatsServer;
use foldline_tests::orders::Orders;
use foldline_tests::stream::Stream;
use serde_json::Value;

use crate::examples::assert_each_event_once_in_order;

/// Many seconds of work on any machine.
const STEPS_MAX: u64 = 64_000_000_000;

/// A host whose modules may take their time.
fn patient_host(url: &str) -> Host {
    let mut host =
        Host::new(url).configured("[limits]\ncall_ms = 3600000\n[host]\ndrain_ms = 500\n");
    for name in ["order-summary", "ledger"] {
        host.drop_module(&format!("{name}.wasm"), &module(name));
    }
    host.restart();
    host
}

fn spin(stream: &Stream, steps: u64) -> u64 {
    stream.publish_one(
        "stock.p-1.Counted",
        "",
        &[("ledger-spin", &steps.to_string())],
    )
}

#[test]
fn a_projection_that_is_stuck_holds_no_other_back() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let mut host = patient_host(&nats.url());
    let mut orders = Orders::new(1);
    host.wait_applied("ledger", stream.publish(&orders.events(100)));

    let stuck = spin(&stream, 1_000_000_000_000);
    // More than any queue between the reader and the stuck one can hold.
    host.wait_applied("order-summary", stream.publish(&orders.events(40_000)));
    host.wait_applied("order-summary", stream.publish(&orders.events(10)));

    // A projection that commits nothing learns of new events when the host looks at the stream, once a second.
    let status = host.wait_state("ledger", "catching_up");
    assert_eq!(status["checkpoint"], stuck - 1, "{status}");
    assert_eq!(status["last_error"], Value::Null);

    // It holds no stop back either: the host says so and ends.
    let ended = host.end_with("TERM");
    assert_eq!(ended.code(), Some(1));
    assert!(
        !host.log().lines_with(&["500 ms"]).is_empty(),
        "{}",
        host.log()
    );
}

#[test]
fn a_slow_projection_comes_after_and_misses_nothing() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let host = patient_host(&nats.url());
    let mut orders = Orders::new(1);
    host.wait_applied("ledger", stream.publish(&orders.events(100)));

    // How long a step takes is the machine's affair: where they were too few to be slow, more are asked for.
    let (mut steps, mut times_behind) = (500_000_000, 0);
    while times_behind < 3 {
        spin(&stream, steps);
        let last = stream.publish(&orders.events(4_000));
        host.wait_applied("order-summary", last);
        if host.checkpoint("ledger") < last {
            times_behind += 1;
        } else {
            steps *= 2;
        }
        assert!(
            steps <= STEPS_MAX,
            "order-summary is never ahead: it waits for the ledger"
        );
    }

    assert_each_event_once_in_order(&host, stream.last_sequence());
}

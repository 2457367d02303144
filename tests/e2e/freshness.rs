//! `min_sequence`: what was published is seen, or the client is told that it is not there yet.

use foldline_tests::guests::module;
use foldline_tests::host::Host;
use foldline_tests::nats::NatsServer;
use foldline_tests::orders::Orders;
use foldline_tests::stream::Stream;
use foldline_tests::wait::wait_until;

use crate::examples::ALL;

#[test]
fn what_was_acknowledged_is_read_with_its_sequence() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let host = Host::start(&nats.url(), &ALL);
    host.wait_applied(
        "order-summary",
        stream.publish(&Orders::new(1).events(1_000)),
    );

    for round in 0..100 {
        let id = format!("mine-{round}");
        let payload = format!(
            r#"{{"eventType":"OrderPlaced","aggregateId":"{id}","version":1,"timestamp":"2026-01-01T00:00:00Z",
            "payload":{{"customerId":"me","items":[],"totalAmount":{round}}}}}"#
        );
        let sequence = stream.publish_one(&format!("orders.{id}.OrderPlaced"), &payload, &[]);
        let path = format!(
            "/v1/read-models/order-summary/orders/{id}?min_sequence={sequence}&timeout=60s"
        );
        let answer = host.get(&path);
        assert_eq!(answer.code, 200, "{answer:?}");
        assert_eq!(answer.body["total"].as_f64(), Some(f64::from(round)));
        assert!(answer.sequence >= Some(sequence), "{answer:?}");
    }
}

#[test]
fn what_is_not_there_in_time_is_answered_with_503_and_when_to_try_again() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let host = Host::start(&nats.url(), &["ledger"]);
    let last = stream.publish(&Orders::new(1).events(10));
    host.wait_applied("ledger", last);

    for path in ["heads", "heads/head"] {
        let wanted = format!("min_sequence={}&timeout=100ms", last + 1);
        let answer = host.get(&format!("/v1/read-models/ledger/{path}?{wanted}"));
        assert_eq!(answer.code, 503, "{answer:?}");
        assert_eq!(answer.content_type, "application/problem+json");
        assert_eq!(answer.sequence, Some(last));
        assert!(
            answer.retry_after.is_some_and(|seconds| seconds > 0),
            "{answer:?}"
        );
        assert!(answer.body["hint"].is_string(), "{answer:?}");
    }
}

#[test]
fn a_client_that_waits_is_answered_when_the_event_comes() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let host = Host::start(&nats.url(), &["ledger"]);
    let last = stream.publish(&Orders::new(1).events(10));
    host.wait_applied("ledger", last);

    std::thread::scope(|scope| {
        let clients: Vec<_> = (1..=5)
            .map(|ahead| {
                let wanted = last + ahead;
                let path =
                    format!("/v1/read-models/ledger/heads/head?min_sequence={wanted}&timeout=60s");
                let host = &host;
                scope.spawn(move || (wanted, host.get(&path)))
            })
            .collect();
        stream.publish(&Orders::new(2).events(5));
        for client in clients {
            let (wanted, answer) = client.join().unwrap();
            assert_eq!(answer.code, 200, "{answer:?}");
            assert!(
                answer.body["last_sequence"].as_u64() >= Some(wanted),
                "{answer:?}"
            );
        }
    });
}

#[test]
fn an_etag_stays_while_nothing_changes_and_changes_with_the_rows() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let host = Host::start(&nats.url(), &["ledger"]);
    let head = "/v1/read-models/ledger/heads/head";
    host.wait_applied("ledger", stream.publish(&Orders::new(1).events(10)));
    let first = host.get(head).etag.expect("an answer has an etag");
    assert_eq!(host.get(head).etag.as_ref(), Some(&first));
    host.wait_applied("ledger", stream.publish(&Orders::new(2).events(1)));
    assert_ne!(host.get(head).etag, Some(first));
}

#[test]
fn a_read_model_in_the_place_of_a_deleted_one_has_other_etags() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let mut host = Host::new(&nats.url()).configured("[projection.ledger]\nstart = \"first\"\n");
    host.drop_module("ledger.wasm", &module("ledger"));
    host.restart();
    let last = stream.publish(&Orders::new(1).events(10));
    host.wait_applied("ledger", last);
    let entries = "/v1/read-models/ledger/entries";
    let first = host.get(entries).etag.expect("an answer has an etag");
    host.restart();
    host.wait_applied("ledger", last);
    assert_eq!(
        host.get(entries).etag.as_ref(),
        Some(&first),
        "a restart is no change"
    );

    host.remove_module("ledger.wasm");
    wait_until("it is removed", || {
        (host.cli(&["remove", "ledger", "--yes"]).code == 0).then_some(())
    });
    stream.purge_before(8);
    host.drop_module("ledger.wasm", &module("ledger"));
    host.wait_applied("ledger", last);
    let second = host.get(entries);
    assert_eq!(second.body.as_array().map(Vec::len), Some(3), "{second:?}");
    assert_ne!(second.etag, Some(first));
}

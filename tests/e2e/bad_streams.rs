//! The server or the stream is not there, or not fit: the host stays up, says so, and goes on when it can.

use async_nats::jetstream::stream::RetentionPolicy;
use foldline_tests::guests::module;
use foldline_tests::host::Host;
use foldline_tests::nats::NatsServer;
use foldline_tests::orders::Orders;
use foldline_tests::stream::Stream;
use serde_json::Value;

use crate::examples::assert_each_event_once_in_order;

/// Waits until the ledger is in this state with this error, and looks everywhere a person would.
#[track_caller]
pub(crate) fn assert_says(host: &Host, state: &str, error: &str, hint: &str) {
    let says = |problem: &Value| {
        let part = |field: &str, part| {
            problem[field]
                .as_str()
                .is_some_and(|text| text.contains(part))
        };
        part("error", error) && part("hint", hint)
    };
    host.wait_status(
        "ledger",
        &format!("is {state} and says {error:?}, {hint:?}"),
        |status| status["status"] == state && says(&status["last_error"]),
    );
    let ready = host.get("/readyz");
    assert_eq!(ready.code, 503, "{ready:?}");
    assert!(ready.body.to_string().contains(error), "{ready:?}");
    assert_eq!(host.get("/livez").code, 200);
    host.log().wait_for(&["ledger", error, hint]);
    let status = host.cli(&["status"]);
    let shown = status.stdout.contains(state) && status.stdout.contains(error);
    assert!(
        status.code == 0 && shown,
        "`foldline status` does not show it: {status:?}"
    );
}

/// What is configured looks healthy, so it has to be said.
#[test]
fn a_projection_set_to_what_never_comes_is_warned_about() {
    let nats = NatsServer::start();
    let _orders = Stream::of_orders(&nats.url());
    let other = Stream::create(&nats.url(), "OTHER", &["other.>"], RetentionPolicy::Limits);
    let last = other.publish_one("other.k", "", &[]);
    let mut host =
        Host::new(&nats.url()).configured("[projection.ledger]\nstream = \"OTHER\"\nstart = 100\n");
    host.drop_module("ledger.wasm", &module("ledger"));
    host.restart();
    let warnings = host.wait_state("ledger", "live")["warnings"].to_string();
    let ahead = format!("it begins with event 100, and the stream had {last}");
    for said in ["the stream takes no new events of orders.>", &ahead] {
        assert!(warnings.contains(said), "{warnings}");
        host.log().wait_for(&["WARN", "ledger", said]);
    }
}

/// Events arrive, and the host, which was never restarted, applies them.
#[track_caller]
fn assert_goes_live(host: &mut Host, stream: &Stream) {
    let last = stream.publish(&Orders::new(1).events(500));
    assert_each_event_once_in_order(host, last);
    host.wait_state("ledger", "live");
    assert!(host.status("ledger")["last_error"].is_null());
    assert_eq!(host.get("/readyz").code, 200);
    assert!(host.is_running());
}

#[test]
fn a_host_without_a_nats_server_says_so_and_goes_live_when_one_appears() {
    let mut nats = NatsServer::start();
    let address = nats.url();
    nats.kill();
    let mut host = Host::start(&address, &["ledger"]);
    assert_says(&host, "starting", &address, "nats-server");

    nats.restart();
    let stream = Stream::of_orders(&address);
    assert_goes_live(&mut host, &stream);
}

#[test]
fn a_stream_that_does_not_exist_yet_is_waited_for() {
    let nats = NatsServer::start();
    let mut host = Host::start(&nats.url(), &["ledger"]);
    assert_says(
        &host,
        "starting",
        "no stream holds the subjects",
        "create the stream",
    );

    let stream = Stream::of_orders(&nats.url());
    assert_goes_live(&mut host, &stream);
}

#[test]
fn a_stream_named_in_the_config_is_waited_for() {
    let nats = NatsServer::start();
    let mut host = Host::new(&nats.url()).configured("[projection.ledger]\nstream = \"ORDERS\"\n");
    host.drop_module("ledger.wasm", &foldline_tests::guests::module("ledger"));
    host.restart();
    assert_says(&host, "starting", "ORDERS", "create the stream");

    let stream = Stream::of_orders(&nats.url());
    assert_goes_live(&mut host, &stream);
}

#[test]
fn streams_that_forget_events_are_refused_with_the_way_out() {
    for (retention, named) in [
        (RetentionPolicy::Interest, "interest"),
        (RetentionPolicy::WorkQueue, "work queue"),
    ] {
        let nats = NatsServer::start();
        let stream = Stream::create(&nats.url(), "ORDERS", &["orders.>", "stock.>"], retention);
        let host = Host::start(&nats.url(), &["ledger"]);
        assert_says(&host, "failed", named, "sources or mirrors");
        drop(stream);
    }
}

#[test]
fn subjects_of_several_streams_are_refused_until_one_is_named() {
    let nats = NatsServer::start();
    let _stock = Stream::create(&nats.url(), "STOCK", &["stock.>"], RetentionPolicy::Limits);
    let orders = Stream::create(
        &nats.url(),
        "ORDERS",
        &["orders.>"],
        RetentionPolicy::Limits,
    );
    let host = Host::start(&nats.url(), &["ledger"]);
    assert_says(
        &host,
        "failed",
        "several streams",
        "[projection.NAME] stream",
    );

    let mut named = Host::new(&nats.url()).configured("[projection.ledger]\nstream = \"ORDERS\"\n");
    named.drop_module("ledger.wasm", &foldline_tests::guests::module("ledger"));
    named.restart();
    let last = orders.publish_one("orders.o-1.OrderPlaced", "{}", &[]);
    assert_each_event_once_in_order(&named, last);
}

#[test]
fn a_server_that_goes_away_is_named_and_its_rows_are_served_until_it_is_back() {
    let mut nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let mut host = Host::start(&nats.url(), &["ledger"]);
    let last = stream.publish(&Orders::new(1).events(500));
    assert_each_event_once_in_order(&host, last);

    nats.kill();
    assert_says(&host, "starting", &nats.url(), "nats-server");
    let head = host
        .row("ledger", "heads", "head")
        .expect("its rows are still served");
    assert_eq!(head["last_sequence"], last, "{head}");

    nats.restart();
    assert_goes_live(&mut host, &stream);
}

#[test]
fn a_stream_that_would_store_what_is_answered_to_the_host_is_not_read() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let last = stream.publish(&Orders::new(1).events(100));
    let mut host =
        Host::new(&nats.url()).with_variable("FOLDLINE_NATS_INBOX_PREFIX", "orders.answers");
    host.drop_module("ledger.wasm", &module("ledger"));
    host.restart();
    let error = "stream ORDERS takes orders.>, and so would store what the server answers on orders.answers.>";
    assert_says(&host, "failed", error, "inbox_prefix");
    // What was asked before that, and no more: nothing was read.
    assert!(
        stream.last_sequence() < last + 1_000,
        "the stream grows by itself"
    );
}

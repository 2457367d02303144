//! How far behind a projection is, in events and seconds, and whether it stalls: said truly whatever it is doing.

use foldline_tests::guests::module;
use foldline_tests::host::Host;
use foldline_tests::nats::NatsServer;
use foldline_tests::orders::Orders;
use foldline_tests::stream::Stream;
use foldline_tests::wait::wait_until;
use serde_json::{Value, json};

/// Longer than any test takes.
const FOR_EVER: &str = "1000000000000";

fn host_of_the_ledger(url: &str, settings: &str) -> Host {
    let mut host = Host::new(url).configured(settings);
    host.drop_module("ledger.wasm", &module("ledger"));
    host.restart();
    host
}

#[test]
fn a_projection_that_stalls_is_neither_live_nor_ready_and_says_where() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let settings = "[limits]\ncall_ms = 3600000\n[host]\ndrain_ms = 100\n[projection.ledger]\nstall_ms = 500\n";
    let mut host = host_of_the_ledger(&nats.url(), settings);
    host.wait_applied("ledger", stream.publish(&Orders::new(1).events(100)));
    let quiet = host.status("ledger");
    assert_eq!(quiet["stalled"], false);
    assert_eq!(quiet["lag_seconds"], 0.0, "{quiet}");

    let stuck = stream.publish_one("stock.p-1.Counted", "", &[("ledger-spin", FOR_EVER)]);
    let status = host.wait_status("ledger", "it stalls", |status| status["stalled"] == true);
    assert_eq!(status["status"], "catching_up");
    assert_eq!(status["last_error"]["code"], "stalled");
    let error = status["last_error"]["error"].to_string();
    let place = format!("1 events wait (sequences {stuck} to {stuck})");
    assert!(error.contains(&place), "{error}");
    assert!(status["lag_seconds"].as_f64() > Some(0.5), "{status}");

    let ready = host.get("/readyz");
    assert_eq!(ready.code, 503);
    assert_eq!(ready.body["reasons"][0]["code"], "stalled");
    let shown = host.cli(&["status"]).stdout;
    assert!(shown.contains(" stalled "), "{shown}");
    // What it computes is given up.
    let _ended = host.end_with("TERM");
}

#[test]
fn a_quiet_stream_stays_healthy_however_short_the_stall_limit_is() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let host = host_of_the_ledger(&nats.url(), "[recovery]\nstall_ms = 1\n");
    host.wait_applied("ledger", stream.publish(&Orders::new(1).events(10)));
    let looks = |host: &Host| host.status("ledger")["events_per_second"] == 0.0;
    wait_until("the rate falls to zero", || looks(&host).then_some(()));
    let status = host.status("ledger");
    assert_eq!(status["status"], "live", "{status}");
    assert_eq!(status["stalled"], false, "{status}");
    assert_eq!(host.get("/readyz").code, 200);
}

#[test]
fn the_lag_of_a_projection_that_failed_or_is_paused_grows_with_its_stream() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let mut host = Host::new(&nats.url()).configured("[projection.scribe]\non_poison = \"fail\"\n");
    host.drop_module("scribe.wasm", &module("scribe"));
    host.drop_module("ledger.wasm", &module("ledger"));
    host.restart();
    host.wait_applied("ledger", stream.publish_one("orders.k1.Noted", "fine", &[]));
    assert_eq!(host.cli(&["pause", "ledger"]).code, 0);
    host.wait_state("ledger", "paused");
    stream.publish_one("orders.k1.Noted", "reject", &[]);
    host.wait_state("scribe", "failed");

    for name in ["scribe", "ledger"] {
        stream.publish_one("orders.k2.Noted", "fine", &[]);
        let last = stream.publish_one("orders.k2.Noted", "fine", &[]);
        let grown =
            |status: &Value| status["lag"] == json!(last - 1) && status["lag_trend"] == "rising";
        let status = host.wait_status(name, "its lag has grown", grown);
        assert_eq!(status["last_sequence"], json!(last));
        assert!(status["lag_seconds"].as_f64() > Some(0.0), "{status}");
    }
    assert_eq!(
        host.status("ledger")["stalled"],
        false,
        "paused is not stalled"
    );
    host.kill();
    host.restart();
    let last = stream.last_sequence();
    host.wait_status("ledger", "paused, it knows the stream", |status| {
        status["status"] == "paused" && status["lag"] == json!(last - 1)
    });
}

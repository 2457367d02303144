//! What a module would mean is said before anything changes, and how far a build is while it goes on.

use std::path::PathBuf;

use foldline_tests::guests::module;
use foldline_tests::host::Host;
use foldline_tests::nats::NatsServer;
use foldline_tests::orders::Orders;
use foldline_tests::stream::Stream;
use serde_json::{Value, json};

use super::{FILE, NAME, assert_states, command, wait_version};

/// Module files outside of the modules folder.
struct Desk(tempfile::TempDir);

impl Desk {
    fn file(&self, bytes: &[u8]) -> PathBuf {
        let file = self.0.path().join("module.wasm");
        std::fs::write(&file, bytes).expect("the file can be written");
        file
    }

    #[track_caller]
    fn plan(&self, host: &Host, bytes: &[u8]) -> Value {
        let file = self.file(bytes);
        let shown = host.cli(&["plan", &file.display().to_string(), "--json"]);
        assert_eq!(shown.code, 0, "{shown:?}");
        shown.json()
    }
}

#[test]
fn a_plan_warns_of_a_module_that_cannot_hold_events() {
    let nats = NatsServer::start();
    let _stream = Stream::of_orders(&nats.url());
    let host = Host::start(&nats.url(), &[]);
    let desk = Desk(tempfile::tempdir().expect("a temporary folder"));
    assert_eq!(desk.plan(&host, &module(NAME))["warnings"], json!([]));
    let without_key = module("hostile");
    let warnings = desk.plan(&host, &without_key)["warnings"].to_string();
    assert!(warnings.contains("it has no event key"), "{warnings}");
    let file = desk.file(&without_key).display().to_string();
    let shown = host.cli(&["plan", &file]).stdout;
    assert!(shown.contains("warning"), "{shown}");
    assert!(shown.contains("it has no event key"), "{shown}");
}

#[test]
fn a_plan_says_what_would_happen_and_changes_nothing() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let host = Host::start(&nats.url(), &[]);
    let desk = Desk(tempfile::tempdir().expect("a temporary folder"));
    let last = stream.publish(&Orders::new(1).events(3_000));
    let first = desk.plan(&host, &module(NAME));
    assert_eq!(first["verdict"], "start");
    assert_eq!(first["replay"]["events"], last);
    assert_eq!(
        first["replay"]["seconds"],
        Value::Null,
        "nothing was measured"
    );

    host.drop_module(FILE, &module(NAME));
    host.wait_applied(NAME, last);
    host.wait_status(NAME, "has measured its replay", |status| {
        status["replay_rate"].is_number()
    });
    assert_eq!(desk.plan(&host, &module(NAME))["verdict"], "unchanged");
    let reload = desk.plan(&host, &module("order-summary-changed"));
    assert_eq!(reload["verdict"], "reload");
    let rebuild = desk.plan(&host, &module("order-summary-next"));
    assert_eq!(rebuild["verdict"], "rebuild");
    assert_eq!(
        rebuild["differences"],
        json!([
            "version is 2, not 1",
            "table orders: column paid_at (text, nullable) is new",
            "table orders: index on status is new"
        ])
    );
    let replay = &rebuild["replay"];
    assert_eq!(replay["events"], last);
    assert!(replay["seconds"].as_f64() > Some(0.0), "{replay}");
    assert!(replay["disk_bytes"].as_u64() > Some(10_000), "{replay}");
    let file = desk.file(&module("order-summary-next"));
    let shown = command(&host, &["plan", &file.display().to_string()]);
    for part in [
        "rebuild",
        "index on status is new",
        "3,000 events",
        "events/s",
        "KiB",
        FILE,
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert_states(&host, &[(1, "live")]);
}

#[test]
fn a_plan_of_what_would_be_refused_fails_with_the_reason() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let host = Host::start(&nats.url(), &[]);
    let desk = Desk(tempfile::tempdir().expect("a temporary folder"));
    host.drop_module(FILE, &module("order-summary-next"));
    host.wait_applied(NAME, stream.publish(&Orders::new(1).events(10)));
    let refused = |bytes: &[u8], parts: &[&str]| {
        let file = desk.file(bytes).display().to_string();
        host.cli(&["plan", &file]).assert_explains(1, parts);
    };
    refused(b"no module", &["would be refused", "not WebAssembly"]);
    refused(&module(NAME), &["version is 1, not 2", "foldline rollback"]);
    wait_version(&host, 2);
    assert_states(&host, &[(2, "live")]);
}

/// Events that each take about a millisecond, committed often enough to be seen moving.
const SLOW_EVENTS: u64 = 2_000;
const SPIN: &str = "5000000";
const OFTEN: &str = "[limits]\nbatch_events = 20\n[store]\ncommit_ms = 20\n";

/// How right the time is depends on a machine that does nothing else meanwhile; a unit test has one that is steady.
#[test]
fn a_build_says_how_far_it_is_and_how_long_the_rest_takes() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let mut host = Host::new(&nats.url()).configured(OFTEN);
    host.drop_module("ledger.wasm", &module("ledger"));
    host.restart();
    for number in 0..SLOW_EVENTS {
        stream.publish_one(&format!("stock.{number}"), "", &[("ledger-spin", SPIN)]);
    }
    host.wait_applied("ledger", SLOW_EVENTS);
    command(&host, &["rebuild", "ledger"]);
    let status = host.wait_status("ledger", "is on its way", |status| {
        let building = &status["generations"][1];
        let done = building["events_done"].as_u64().unwrap_or_default();
        done > SLOW_EVENTS / 10 && building["seconds_left"].as_f64() > Some(0.0)
    });
    assert_eq!(status["status"], "building", "{status}");
    let shown = command(&host, &["status"]);
    for part in ["ledger version 1: [#", " of 2,000 events", " left"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    host.wait_status("ledger", "was built again", |status| {
        status["generations"][1]["state"] == "live"
    });
}

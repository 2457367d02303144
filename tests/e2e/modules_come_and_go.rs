//! Module files appear and disappear while the host runs.

use foldline_tests::guests::module;
use foldline_tests::host::Host;
use foldline_tests::nats::NatsServer;
use foldline_tests::orders::Orders;
use foldline_tests::stream::Stream;
use foldline_tests::wait::wait_until;

use crate::examples::assert_each_event_once_in_order;

#[test]
fn a_module_that_is_dropped_in_is_started() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let host = Host::start(&nats.url(), &[]);
    wait_until("a host without modules is ready for some", || {
        (host.get("/readyz").code == 200).then_some(())
    });
    assert_eq!(host.get("/v1/projections/ledger").code, 404);

    let last = stream.publish(&Orders::new(1).events(2_000));
    host.drop_module("ledger.wasm", &module("ledger"));
    host.wait_state("ledger", "live");
    assert_each_event_once_in_order(&host, last);
}

#[test]
fn a_removed_module_stops_and_its_rows_are_served_until_it_goes_on() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let host = Host::start(&nats.url(), &["ledger", "order-summary"]);
    let last = stream.publish(&Orders::new(1).events(500));
    assert_each_event_once_in_order(&host, last);

    host.remove_module("ledger.wasm");
    host.wait_state("ledger", "stopped");
    host.wait_applied("order-summary", stream.publish(&Orders::new(2).events(500)));
    let head = host
        .row("ledger", "heads", "head")
        .expect("its rows are still served");
    assert_eq!(head["last_sequence"], last, "{head}");
    assert_eq!(host.checkpoint("ledger"), last);

    host.drop_module("ledger.wasm", &module("ledger"));
    assert_each_event_once_in_order(&host, 1_000);
    host.wait_state("ledger", "live");
}

#[test]
fn a_module_that_is_missing_at_a_restart_goes_on_when_it_is_back() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let mut host = Host::start(&nats.url(), &["ledger"]);
    host.wait_applied("ledger", stream.publish(&Orders::new(1).events(500)));

    host.remove_module("ledger.wasm");
    host.restart();
    let last = stream.publish(&Orders::new(2).events(500));
    host.drop_module("ledger-again.wasm", &module("ledger"));
    assert_each_event_once_in_order(&host, last);
}

#[test]
fn a_module_file_that_is_renamed_again_and_again_misses_nothing() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let host = Host::start(&nats.url(), &["ledger"]);
    host.wait_state("ledger", "live");
    let mut orders = Orders::new(1);

    let (mut from, mut to) = ("ledger.wasm", "renamed.wasm");
    for _ in 0..6 {
        // Enough to be at work when the run under the new name takes over.
        stream.publish(&orders.events(5_000));
        host.rename_module(from, to);
        stream.publish(&orders.events(1_000));
        host.wait_status("ledger", &format!("runs from {to}"), |status| {
            status["file"] == to && status["status"] != "stopped"
        });
        (from, to) = (to, from);
    }

    assert_each_event_once_in_order(&host, 36_000);
    assert!(
        host.log().lines_with(&["ERROR"]).is_empty(),
        "{}",
        host.log()
    );
}

#[test]
fn a_module_that_is_taken_out_and_put_back_at_once_misses_nothing() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let host = Host::start(&nats.url(), &["ledger"]);
    host.wait_state("ledger", "live");
    let mut orders = Orders::new(1);

    for _ in 0..6 {
        stream.publish(&orders.events(3_000));
        host.remove_module("ledger.wasm");
        host.wait_state("ledger", "stopped");
        host.drop_module("ledger.wasm", &module("ledger"));
    }

    assert_each_event_once_in_order(&host, 18_000);
    assert!(
        host.log().lines_with(&["ERROR"]).is_empty(),
        "{}",
        host.log()
    );
}

#[test]
fn a_modules_folder_that_is_away_is_named_once_and_changes_nothing() {
    let (nats, mut orders) = (NatsServer::start(), Orders::new(6));
    let stream = Stream::of_orders(&nats.url());
    let host = Host::start(&nats.url(), &["order-summary"]);
    // Else the folder may be away before the host has looked into it.
    host.wait_state("order-summary", "live");
    let aside = host.folder("aside");
    std::fs::rename(host.modules(), &aside).expect("the folder can be moved");
    let named = ["cannot list the modules folder", "make the folder readable"];
    host.log().wait_for(&named);
    host.wait_applied("order-summary", stream.publish(&orders.events(100)));
    std::fs::rename(&aside, host.modules()).expect("the folder can be moved back");
    host.log().wait_for(&["can be listed again"]);
    host.drop_module("ledger.wasm", &module("ledger"));
    host.wait_applied("ledger", 100);
    assert_eq!(host.log().lines_with(&named).len(), 1);
    assert_eq!(host.status("order-summary")["status"], "live");
}

#[test]
fn settings_of_a_projection_that_is_not_there_are_named_at_the_start() {
    let nats = NatsServer::start();
    let _stream = Stream::of_orders(&nats.url());
    let misspelt =
        "[projection.ledgr]\non_poison = \"skip\"\n[projection.ledger]\non_poison = \"skip\"\n";
    let mut host = Host::new(&nats.url()).configured(misspelt);
    host.drop_module("ledger.wasm", &module("ledger"));
    host.restart();
    host.wait_state("ledger", "live");
    let named = host.log().wait_for(&["no projection of that name"]);
    assert_eq!(named.len(), 1, "{named:?}");
    assert!(named[0].contains("[projection.ledgr]"), "{named:?}");
}

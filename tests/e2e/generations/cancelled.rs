//! An operator gives up what is being built, or could not be built.

use foldline_tests::guests::module;
use foldline_tests::host::Host;
use foldline_tests::nats::NatsServer;
use foldline_tests::orders::Orders;
use foldline_tests::stream::Stream;

use super::{FILE, NAME, assert_states, command, states, wait_version};

const NEXT: &str = "order-summary-next";

#[test]
fn a_rebuild_that_nobody_wants_any_more_is_given_up_and_its_file_deleted() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let manual = format!("[projection.{NAME}]\npromote = \"manual\"\n");
    let mut host = Host::new(&nats.url()).configured(&manual);
    host.drop_module(FILE, &module(NAME));
    host.restart();
    host.wait_applied(NAME, stream.publish(&Orders::new(1).events(500)));
    let nothing = host.cli(&["cancel", NAME]);
    nothing.assert_explains(1, &["nothing to cancel", "foldline status"]);

    let built = command(&host, &["rebuild", NAME, "--wait"]);
    assert!(built.contains("foldline promote"), "{built}");
    let file = host.status(NAME)["generations"][1]["file"].clone();
    let file = host.data().join(file.as_str().expect("it has one"));
    assert!(file.exists());
    let given_up = command(&host, &["cancel", NAME]);
    assert!(given_up.contains("generation 2"), "{given_up}");
    assert_states(&host, &[(1, "live")]);
    foldline_tests::wait::wait_until("its file is deleted", || (!file.exists()).then_some(()));
    host.restart();
    host.wait_applied(NAME, stream.publish(&Orders::new(2).events(100)));
    assert_states(&host, &[(1, "live")]);
}

#[test]
fn a_version_that_is_given_up_is_not_begun_again_by_its_file() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let mut host = Host::start(&nats.url(), &[NAME]);
    let order = &Orders::new(2).events(1)[0];
    let payload = String::from_utf8_lossy(&order.payload).into_owned();
    let poison = stream.publish_one(&order.subject, &payload, &[("next-panic", "not this one")]);
    host.wait_applied(NAME, poison);
    host.drop_module(FILE, &module(NEXT));
    host.wait_status(NAME, "has a failed version 2", |status| {
        states(status) == [(1, "live"), (2, "failed")]
    });
    let given_up = command(&host, &["cancel", NAME]);
    assert!(
        given_up.contains("after it held another module"),
        "{given_up}"
    );
    host.restart();
    host.wait_applied(NAME, stream.publish(&Orders::new(3).events(100)));
    assert_states(&host, &[(1, "live")]);
    let warnings = host.status(NAME)["warnings"].to_string();
    assert!(warnings.contains("taken back or given up"), "{warnings}");

    // Somebody wants it after all.
    host.drop_module(FILE, &module(NAME));
    host.wait_status(NAME, "warns of nothing", |status| {
        status["warnings"].as_array().is_some_and(Vec::is_empty)
    });
    let discard = ["dead-letters", "discard", NAME, &poison.to_string()];
    host.cli(&discard).assert_explains(1, &["no dead letter"]);
    host.drop_module(FILE, &module(NEXT));
    host.wait_status(NAME, "has a failed version 2", |status| {
        states(status) == [(1, "live"), (2, "failed")]
    });
    command(&host, &[&discard[..], &["--generation", "3"]].concat());
    command(&host, &["rebuild", NAME]);
    wait_version(&host, 2);
}

//! What operators ask for, and why it is refused.

use foldline_tests::guests::module;
use foldline_tests::host::Host;
use foldline_tests::nats::NatsServer;
use foldline_tests::orders::Orders;
use foldline_tests::stream::Stream;
use foldline_tests::wait::wait_until;

use super::{FILE, NAME, assert_states, command, wait_version};

#[test]
fn what_cannot_be_done_is_refused_with_the_reason_and_what_to_do() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let host =
        Host::new(&nats.url()).configured("[projection.order-summary]\npromote = \"manual\"\n");
    let mut host = host;
    host.drop_module(FILE, &module(NAME));
    host.restart();
    host.wait_applied(NAME, stream.publish(&Orders::new(1).events(500)));
    let refused =
        |arguments: &[&str], parts: &[&str]| host.cli(arguments).assert_explains(1, parts);

    for word in [
        "rebuild", "promote", "rollback", "diff", "verify", "pause", "resume",
    ] {
        refused(&[word, "nobody"], &["no projection \"nobody\"", NAME]);
    }
    refused(
        &["remove", "nobody", "--yes"],
        &["no projection \"nobody\""],
    );
    refused(
        &["promote", NAME],
        &["nothing to promote", "higher version"],
    );
    refused(&["rollback", NAME], &["no generation on standby"]);
    refused(&["diff", NAME], &["nothing to compare"]);
    refused(
        &["rebuild", NAME, "--from", "900"],
        &["from sequence 900", "at 500"],
    );
    refused(
        &["remove", NAME, "--yes"],
        &["still runs from order-summary.wasm"],
    );
    host.cli(&["remove", NAME]).assert_explains(2, &["--yes"]);

    host.drop_module(FILE, &module("order-summary-next"));
    wait_until("version 2 is building", || {
        let status = host.status(NAME);
        (super::states(&status) == [(1, "live"), (2, "building")]).then_some(())
    });
    refused(
        &["rebuild", NAME],
        &["version 2 of order-summary is being built"],
    );
    command(&host, &["pause", NAME]);
    refused(&["rebuild", NAME], &["is paused", "foldline resume"]);
    command(&host, &["resume", NAME]);
    wait_until("version 2 can be promoted", || {
        (host.cli(&["promote", NAME]).code == 0).then_some(())
    });
    assert_states(&host, &[(1, "standby"), (2, "live")]);

    host.drop_module(FILE, &module(NAME));
    let refusal = wait_until("version 1 is refused", || host.refused(FILE));
    let hint = refusal["hint"].as_str().unwrap_or_default();
    assert!(hint.contains("foldline rollback"), "{refusal}");
}

#[test]
fn a_pause_outlives_a_restart_and_ends_where_it_began() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let mut host = Host::start(&nats.url(), &[NAME]);
    host.wait_applied(NAME, stream.publish(&Orders::new(1).events(200)));
    command(&host, &["pause", NAME]);
    host.wait_state(NAME, "paused");
    let last = stream.publish(&Orders::new(2).events(200));

    host.restart();
    host.wait_state(NAME, "paused");
    assert_eq!(host.checkpoint(NAME), 200);
    assert!(!host.rows(NAME, "orders", "").is_empty(), "it is served");
    command(&host, &["resume", NAME]);
    host.wait_applied(NAME, last);
}

#[test]
fn only_remove_deletes_a_read_model() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let mut host = Host::start(&nats.url(), &[NAME]);
    host.wait_applied(NAME, stream.publish(&Orders::new(1).events(200)));
    host.remove_module(FILE);
    host.wait_state(NAME, "stopped");

    host.restart();
    assert_eq!(host.status(NAME)["status"], "stopped");
    assert!(!host.rows(NAME, "orders", "").is_empty(), "it is served");
    // A host that has not looked at its modules folder yet does not know that the file is gone.
    wait_until("it is removed", || {
        (host.cli(&["remove", NAME, "--yes"]).code == 0).then_some(())
    });
    assert_eq!(host.get(&format!("/v1/projections/{NAME}")).code, 404);
    assert!(!host.data().join(NAME).exists());

    host.drop_module(FILE, &module(NAME));
    host.wait_applied(NAME, 200);
}

#[test]
fn a_module_that_was_overwritten_goes_on_after_a_restart() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let mut host = Host::start(&nats.url(), &[NAME]);
    host.wait_applied(NAME, stream.publish(&Orders::new(1).events(200)));
    host.drop_module(FILE, &module("order-summary-next"));
    wait_version(&host, 2);
    command(&host, &["rollback", NAME]);

    // The file holds version 2, which is on standby; version 1 is only in the catalog.
    host.restart();
    host.wait_applied(NAME, stream.publish(&Orders::new(2).events(200)));
    assert_states(&host, &[(1, "live"), (2, "standby")]);
    host.end_with("TERM");
    host.drop_module(FILE, b"not a module at all");
    host.restart();
    host.wait_applied(NAME, stream.publish(&Orders::new(3).events(200)));
    command(&host, &["rollback", NAME]);
    assert_states(&host, &[(1, "standby"), (2, "live")]);
}

#[test]
fn a_poison_event_fails_what_is_built_and_the_live_one_does_not_notice() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let mut host = Host::start(&nats.url(), &[NAME]);
    stream.publish(&Orders::new(1).events(300));
    let order = &Orders::new(2).events(1)[0];
    let payload = String::from_utf8_lossy(&order.payload).into_owned();
    let poison = stream.publish_one(&order.subject, &payload, &[("next-panic", "not this one")]);
    let last = stream.publish(&Orders::new(3).events(300));
    host.wait_applied(NAME, last);

    host.drop_module(FILE, &module("order-summary-next"));
    let failed = |status: &serde_json::Value| super::states(status) == [(1, "live"), (2, "failed")];
    for _ in 0..2 {
        let status = host.wait_status(NAME, "has a failed version 2", failed);
        assert_eq!(status["status"], "live");
        assert!(status["last_error"].is_null(), "{status}");
        let error = status["generations"][1]["last_error"]["error"].to_string();
        let hint = status["generations"][1]["last_error"]["hint"].to_string();
        for part in [
            "[projection.NAME] on_poison_building",
            &format!("foldline rebuild {NAME}"),
        ] {
            assert!(hint.contains(part), "{status}");
        }
        assert!(error.contains(&format!("event {poison}")), "{status}");
        assert!(
            host.cli(&["status", NAME])
                .stdout
                .contains(&format!("event {poison}"))
        );
        host.cli(&["promote", NAME])
            .assert_explains(1, &["cannot be promoted", &format!("event {poison}")]);
        host.wait_applied(NAME, stream.publish(&Orders::new(4).events(10)));
        host.restart();
        host.wait_state(NAME, "live");
    }
}

//! What an operator has taken back does not come again by itself, although its file is still there.

use foldline_tests::guests::{module, rebuilt};
use foldline_tests::host::Host;
use foldline_tests::nats::NatsServer;
use foldline_tests::orders::Orders;
use foldline_tests::stream::Stream;
use serde_json::Value;

use super::{FILE, NAME, assert_states, command, wait_version};

/// A host that has applied 500 events with version 1, and has promoted version 2 since: its bytes.
fn at_version_2() -> (NatsServer, Stream, Host, Vec<u8>) {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let host = Host::start(&nats.url(), &[NAME]);
    host.wait_applied(NAME, stream.publish(&Orders::new(1).events(500)));
    let next = module("order-summary-next");
    host.drop_module(FILE, &next);
    wait_version(&host, 2);
    (nats, stream, host, next)
}

/// What the status warns of.
fn warnings(status: &Value) -> String {
    status["warnings"].to_string()
}

#[test]
fn a_rebuild_after_a_rollback_does_not_bring_the_later_version_back() {
    let (_nats, stream, mut host, next) = at_version_2();
    let said = command(&host, &["rollback", NAME]);
    assert!(said.contains("after it held another module"), "{said}");
    let shown = command(&host, &["status", NAME]);
    assert!(shown.contains("was taken back"), "{shown}");

    // The standby is retired by the promotion, and nothing else knows of version 2 any more.
    command(&host, &["rebuild", NAME, "--wait"]);
    assert_states(&host, &[(1, "standby"), (1, "live")]);
    host.restart();
    host.wait_applied(NAME, stream.publish(&Orders::new(2).events(100)));
    assert_states(&host, &[(1, "standby"), (1, "live")]);
    let plan = command(
        &host,
        &["plan", &host.modules().join(FILE).display().to_string()],
    );
    assert!(plan.contains("declined"), "{plan}");

    // Also where both are of the live module, and nobody knows what lies in the file.
    host.remove_module(FILE);
    host.wait_state(NAME, "stopped");
    command(&host, &["rollback", NAME]);
    host.drop_module(FILE, &next);
    host.wait_applied(NAME, stream.publish(&Orders::new(3).events(100)));
    assert_states(&host, &[(1, "live"), (1, "standby")]);
    let status = host.status(NAME);
    assert!(warnings(&status).contains("was taken back"), "{status}");

    // The live one's file and then the same one again: somebody wants it now.
    host.drop_module(FILE, &module(NAME));
    host.wait_status(NAME, "forgets what was taken back", |status| {
        !warnings(status).contains("was taken back")
    });
    host.drop_module(FILE, &next);
    wait_version(&host, 2);
}

#[test]
fn a_hotfix_that_was_rolled_back_is_not_given_to_the_generation_before_it() {
    let nats = NatsServer::start();
    let stream = Stream::of_orders(&nats.url());
    let mut host = Host::start(&nats.url(), &[NAME]);
    host.wait_applied(NAME, stream.publish(&Orders::new(1).events(500)));
    command(&host, &["rebuild", NAME, "--wait"]);
    let before = host.status(NAME)["digest"].clone();
    host.drop_module(FILE, &rebuilt(&module(NAME), "hotfix"));
    host.wait_status(NAME, "runs the hotfix", |status| status["digest"] != before);
    let hotfix = host.status(NAME)["digest"].clone();
    command(&host, &["rollback", NAME]);
    // A restart reads the modules folder anew.
    host.restart();
    host.wait_applied(NAME, stream.publish(&Orders::new(2).events(100)));
    let status = host.status(NAME);
    assert_eq!(status["digest"], before, "{status}");
    assert!(warnings(&status).contains("was taken back"), "{status}");

    host.drop_module(FILE, &rebuilt(&module(NAME), "hotfix of the hotfix"));
    host.wait_status(NAME, "runs the other one", |status| {
        status["digest"] != before && status["digest"] != hotfix
    });
    assert!(!warnings(&host.status(NAME)).contains("was taken back"));
}

/// What an operator does first when a new version is bad: restart the host, or take the file away, and roll back.
#[test]
fn a_rollback_is_remembered_although_the_host_does_not_know_its_file() {
    for file_is_away in [false, true] {
        let (_nats, _stream, mut host, next) = at_version_2();
        if file_is_away {
            host.remove_module(FILE);
            host.wait_state(NAME, "stopped");
        } else {
            // Compiling takes longer than the first answer.
            assert!(host.end_with("TERM").success());
            std::fs::remove_dir_all(host.data().join(".cache")).expect("there is a cache");
            host.restart();
        }
        command(&host, &["rollback", NAME]);
        host.drop_module(FILE, &next);
        host.wait_status(NAME, "leaves the file alone", |status| {
            status["version"] == 1
                && status["status"] == "live"
                && warnings(status).contains("was taken back")
        });
        assert_states(&host, &[(1, "live"), (2, "standby")]);
    }
}

#[test]
fn what_was_taken_back_is_named_by_the_file_that_holds_it() {
    let (_nats, _stream, host, next) = at_version_2();
    command(&host, &["rollback", NAME]);
    let says = |what: &'static str| {
        host.wait_status(NAME, what, |status| match what {
            "" => !warnings(status).contains("was taken back"),
            what => warnings(status).contains(what),
        })
    };
    says("order-summary.wasm holds the module");
    host.rename_module(FILE, "other.wasm");
    says("other.wasm holds the module");
    host.remove_module("other.wasm");
    says("");
    host.drop_module(FILE, &next);
    says("order-summary.wasm holds the module");
    // One that may not run has lain there, too.
    host.drop_module(FILE, &module("order-summary-redefined"));
    says("");
    host.drop_module(FILE, &next);
    wait_version(&host, 2);
}

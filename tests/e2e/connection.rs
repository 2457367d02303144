//! How a host gets to its server: as a user with few rights, by a context, and what is said when it may not.

use foldline_tests::guests;
use foldline_tests::host::Host;
use foldline_tests::nats::NatsServer;
use foldline_tests::orders::Orders;
use foldline_tests::stream::Stream;

use crate::examples::assert_each_event_once_in_order;

const DOCUMENTED: &str = include_str!("../../docs/nats.md");

/// The permissions that the documentation says are enough.
fn documented_permissions() -> &'static str {
    let (_, behind) = DOCUMENTED.split_once("```text\npermissions:").unwrap();
    behind.split_once("```").unwrap().0
}

/// A server with this user, and one for the test, which does not sign in.
fn server_with(permissions: &str) -> NatsServer {
    NatsServer::start_with(&format!(
        "jetstream: enabled, no_auth_user: test\n\
         authorization {{ users: [\n\
           {{ user: test, password: test }}\n\
           {{ user: foldline, password: secret, permissions: {permissions} }}\n\
         ] }}"
    ))
}

#[test]
fn the_documented_permissions_are_enough_and_nothing_else_is_asked_for() {
    let mut nats = server_with(documented_permissions());
    let stream = Stream::of_orders(&nats.url());
    let mut host = Host::new(&nats.url()).configured(
        "user = \"foldline\"\npassword = \"secret\"\ninbox_prefix = \"_INBOX.foldline\"\n\
         [projection.ledger]\nstream = \"ORDERS\"\n",
    );
    host.drop_module("ledger.wasm", &guests::module("ledger"));
    host.restart();
    let history = Orders::new(1).events(2_000);
    assert_each_event_once_in_order(&host, stream.publish(&history[..1_000]));
    host.restart();
    host.wait_state("ledger", "live");
    nats.restart();
    let last = stream.publish_through_crashes(&history);
    assert_each_event_once_in_order(&host, last);
    host.end_with("TERM");
    let violations = nats.log_lines_with("Violation");
    assert!(violations.is_empty(), "{violations:?}");
}

#[test]
fn a_permission_that_is_missing_is_named_with_its_code() {
    let nats = server_with("{ publish: \"$JS.API.STREAM.INFO.>\", subscribe: \"_INBOX.>\" }");
    let stream = Stream::of_orders(&nats.url());
    stream.publish(&Orders::new(1).events(10));
    let mut host = Host::new(&nats.url()).configured(
        "user = \"foldline\"\npassword = \"secret\"\n[projection.ledger]\nstream = \"ORDERS\"\n",
    );
    host.drop_module("ledger.wasm", &guests::module("ledger"));
    host.restart();
    let status = host.wait_status("ledger", "names the permission", |status| {
        status["last_error"]["error"]
            .as_str()
            .is_some_and(|error| error.contains("$JS.API.CONSUMER.CREATE.ORDERS"))
    });
    assert_eq!(status["last_error"]["code"], "refused");
}

#[test]
fn a_context_of_the_nats_command_line_is_enough_to_start() {
    let nats = NatsServer::start_with(
        "jetstream: enabled, no_auth_user: test\n\
         authorization { users: [{ user: test, password: test }, { user: me, password: secret }] }",
    );
    let stream = Stream::of_orders(&nats.url());
    let mut host = Host::new("nats://127.0.0.1:1").with_argument("--context", "local");
    let contexts = host.folder("config/nats/context");
    std::fs::create_dir_all(&contexts).unwrap();
    let context = |password: &str| {
        let json = format!(
            r#"{{"url": "{}", "user": "me", "password": "{password}"}}"#,
            nats.url()
        );
        std::fs::write(contexts.join("local.json"), json).unwrap();
    };
    context("wrong");
    let config = host.folder("config").display().to_string();
    host = host.with_variable("XDG_CONFIG_HOME", &config);
    host.drop_module("ledger.wasm", &guests::module("ledger"));
    host.restart();
    let status = host.wait_status("ledger", "is not let in", |status| {
        status["last_error"]["code"] == "unauthorized"
    });
    let error = status["last_error"].to_string();
    assert!(error.contains("does not accept user me"), "{error}");
    assert!(
        error.contains("correct the credentials in [nats]"),
        "{error}"
    );
    context("secret");
    host.restart();
    assert_each_event_once_in_order(&host, stream.publish(&Orders::new(1).events(100)));
}

#[test]
fn a_context_that_is_not_there_is_wrong_usage() {
    let host = Host::new("nats://127.0.0.1:1").with_argument("--context", "none");
    let output = host.run_to_end();
    output.assert_explains(2, &["the context \"none\" (--context)", "nats context ls"]);
}

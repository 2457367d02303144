//! What a person reads when the server cannot be used.

use std::time::Instant;

use super::*;
use crate::source::conformance::{LIMITS, soon, take};

const WITH_PASSWORD: &str = "jetstream: enabled, authorization { user: me, password: secret }";
/// Whoever logs in may ask JetStream nothing.
const WITHOUT_PERMISSION: &str = r#"
    jetstream: enabled
    authorization {
        users: [{
            user: me, password: secret
            permissions: { publish: { deny: "$JS.API.>" }, subscribe: ">" }
        }]
    }
"#;

/// What `options` give for a first question, which must not take long.
async fn refused(options: JetStreamOptions) -> SourceError {
    let source = JetStreamSource::new(&options);
    let asked = Instant::now();
    let error = soon(source.stream_state(STREAM)).await.unwrap_err();
    assert!(asked.elapsed().as_secs() < 8);
    assert!(error.may_pass(), "{error}");
    error
}

/// The same, where the server cannot be reached.
async fn error(options: JetStreamOptions) -> String {
    let error = refused(options).await;
    assert!(matches!(error, SourceError::Unreachable { .. }), "{error}");
    error.to_string()
}

/// The same, where it does not accept who we are.
async fn unauthorized(options: JetStreamOptions) -> String {
    let error = refused(options).await;
    assert!(matches!(error, SourceError::Unauthorized { .. }), "{error}");
    error.to_string()
}

fn me(password: &str) -> Identity {
    Identity::User {
        name: "me".into(),
        password: password.into(),
    }
}

fn at(url: &str) -> JetStreamOptions {
    JetStreamOptions {
        url: url.into(),
        ..JetStreamOptions::default()
    }
}

#[tokio::test]
async fn an_address_where_nothing_listens_is_named() {
    let mut nats = NatsServer::start();
    nats.kill();
    let text = error(at(&nats.url())).await;
    assert!(text.contains(&nats.url()), "{text}");
    assert!(text.contains("refused"), "{text}");
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("nats://{}", silent.local_addr().unwrap());
    let text = error(at(&url)).await;
    assert!(text.ends_with("nobody answered within 2s"), "{text}");
}

#[tokio::test]
async fn no_address_at_all_is_said() {
    let text = error(at("not an address")).await;
    assert!(text.contains("this is no server address"), "{text}");
}

#[tokio::test]
async fn refused_credentials_are_said_and_right_ones_work() {
    let nats = NatsServer::start_with(WITH_PASSWORD);
    let text = unauthorized(at(&nats.url())).await;
    assert!(
        text.ends_with("does not accept a client without credentials"),
        "{text}"
    );
    let text = unauthorized(JetStreamOptions {
        identity: me("wrong"),
        ..at(&nats.url())
    });
    let text = text.await;
    assert!(text.ends_with("does not accept user me"), "{text}");
    let with_password = JetStreamSource::new(&JetStreamOptions {
        identity: me("secret"),
        ..at(&nats.url())
    });
    let state = with_password.stream_state(STREAM).await;
    assert!(matches!(state, Err(SourceError::StreamMissing { .. })));
}

#[tokio::test]
async fn a_credentials_file_that_is_not_there_is_named() {
    let nats = NatsServer::start();
    let text = unauthorized(JetStreamOptions {
        identity: Identity::Credentials("/does/not/exist.creds".into()),
        ..at(&nats.url())
    })
    .await;
    assert!(text.contains("/does/not/exist.creds"), "{text}");
}

#[tokio::test]
async fn a_server_without_jetstream_is_said() {
    let nats = NatsServer::start_with("");
    let text = error(at(&nats.url())).await;
    assert!(text.ends_with("JetStream is not enabled there"), "{text}");
}

#[tokio::test]
async fn a_server_that_comes_later_is_found() {
    let mut nats = NatsServer::start();
    nats.kill();
    let source = source(&nats.url());
    assert!(source.stream_state(STREAM).await.is_err());
    nats.restart();
    let state = source.stream_state(STREAM).await;
    assert!(matches!(state, Err(SourceError::StreamMissing { .. })));
}

/// The error's words, which must say that the server refuses and not that it is away.
fn refusal<T: std::fmt::Debug>(answer: Result<T, SourceError>) -> String {
    let error = answer.unwrap_err();
    assert!(matches!(error, SourceError::Refused { .. }), "{error}");
    assert!(error.may_pass());
    error.to_string()
}

#[tokio::test]
async fn a_limit_that_is_reached_is_said_in_the_servers_words() {
    let server = Server::start().await;
    let config = Config {
        name: "NARROW".into(),
        subjects: vec!["narrow".into()],
        max_consumers: 1,
        ..Config::default()
    };
    server.context.create_stream(config).await.unwrap();
    let open = async || {
        let reading = server
            .source
            .read("NARROW", ReadFrom::After(0), Lane::Live, LIMITS);
        soon(reading).await
    };
    let _first = open().await.unwrap();
    let text = refusal(open().await);
    assert!(text.contains(&server.nats.url()), "{text}");
    assert!(text.contains("maximum consumers limit reached"), "{text}");
}

#[tokio::test]
async fn a_missing_permission_is_named() {
    let nats = NatsServer::start_with(WITHOUT_PERMISSION);
    let source = JetStreamSource::new(&JetStreamOptions {
        identity: me("secret"),
        ..at(&nats.url())
    });
    let text = refusal(soon(source.stream_state(STREAM)).await);
    assert!(text.contains("$JS.API.STREAM.INFO.ORDERS"), "{text}");
    let text = refusal(soon(source.find_stream(&["orders.>".parse().unwrap()])).await);
    assert!(text.contains("$JS.API.STREAM.LIST"), "{text}");
}

/// The server maps its own domain's prefix to the usual one before it looks at permissions, so only an answer, and none
/// from another domain, shows which was used.
#[tokio::test]
async fn a_domain_and_an_inbox_prefix_are_used() {
    let server = Server::start_with(
        r#"jetstream { domain: hub }
        no_auth_user: test
        authorization { users: [
            { user: test, password: test }
            { user: me, password: secret, permissions: { subscribe: "_INBOX.me.>" } }
        ] }"#,
    )
    .await;
    server.publish_numbers(10).await;
    let in_domain = |domain: &str| JetStreamOptions {
        identity: me("secret"),
        api_prefix: Some(format!("$JS.{domain}.API")),
        inbox_prefix: Some("_INBOX.me".into()),
        ..at(&server.nats.url())
    };
    let source = JetStreamSource::new(&in_domain("hub"));
    let reading = source.read(STREAM, ReadFrom::After(0), Lane::Live, LIMITS);
    let mut reader = soon(reading).await.unwrap();
    assert_eq!(take(&mut reader, 10).await.len(), 10);

    let text = error(in_domain("elsewhere")).await;
    assert!(
        text.contains("no JetStream answers at $JS.elsewhere.API"),
        "{text}"
    );
}

//! What a person reads when the server cannot be used.

use std::time::Instant;

use super::*;
use crate::source::conformance::soon;

const WITH_PASSWORD: &str = "jetstream: enabled, authorization { user: me, password: secret }";

/// What `options` give for a first question, which must not take long.
async fn error(options: JetStreamOptions) -> String {
    let source = JetStreamSource::new(&options);
    let asked = Instant::now();
    let error = soon(source.stream_state(STREAM)).await.unwrap_err();
    assert!(asked.elapsed().as_secs() < 8);
    assert!(matches!(error, SourceError::Unreachable { .. }), "{error}");
    error.to_string()
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
    let text = error(at(&nats.url())).await;
    assert!(
        text.ends_with("the server refused the credentials"),
        "{text}"
    );
    let with_password = JetStreamSource::new(&JetStreamOptions {
        user: Some("me".into()),
        password: Some("secret".into()),
        ..at(&nats.url())
    });
    let state = with_password.stream_state(STREAM).await;
    assert!(matches!(state, Err(SourceError::StreamMissing { .. })));
}

#[tokio::test]
async fn a_credentials_file_that_is_not_there_is_named() {
    let nats = NatsServer::start();
    let credentials = Some("/does/not/exist.creds".into());
    let text = error(JetStreamOptions {
        credentials,
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

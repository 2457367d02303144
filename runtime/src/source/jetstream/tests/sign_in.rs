//! Every way to sign in, each at a server that accepts no other.

use foldline_tests::nats::operator::Operator;
use nkeys::KeyPair;

use super::*;
use crate::source::conformance::soon;

/// Whether a server with this configuration lets the host ask.
async fn is_let_in(nats: &NatsServer, identity: Identity) -> Result<(), SourceError> {
    let source = JetStreamSource::new(&JetStreamOptions {
        url: nats.url(),
        identity,
        ..JetStreamOptions::default()
    });
    match soon(source.stream_state(STREAM)).await.unwrap_err() {
        // There is none, which only who was let in is told.
        SourceError::StreamMissing { .. } => Ok(()),
        error => Err(error),
    }
}

/// One is let in, the other is not, and the refusal names it without its secret.
async fn check(nats: &NatsServer, right: Identity, wrong: Identity) {
    assert_eq!(is_let_in(nats, right).await, Ok(()));
    let named = wrong.to_string();
    let error = is_let_in(nats, wrong).await.unwrap_err();
    assert!(matches!(error, SourceError::Unauthorized { .. }), "{error}");
    let expected = format!("NATS at {}: the server does not accept {named}", nats.url());
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn with_user_and_password() {
    let nats =
        NatsServer::start_with("jetstream: enabled, authorization { user: me, password: secret }");
    let me = |password: &str| Identity::User {
        name: "me".into(),
        password: password.into(),
    };
    check(&nats, me("secret"), me("wrong")).await;
}

#[tokio::test]
async fn with_a_token() {
    let nats = NatsServer::start_with("jetstream: enabled, authorization { token: t0ken }");
    let token = |token: &str| Identity::Token(token.into());
    check(&nats, token("t0ken"), token("wrong")).await;
}

#[tokio::test]
async fn with_an_nkey_given_or_in_a_file() {
    let (key, other) = (KeyPair::new_user(), KeyPair::new_user());
    let nats = NatsServer::start_with(&format!(
        "jetstream: enabled, authorization {{ users: [{{ nkey: {} }}] }}",
        key.public_key()
    ));
    let nkey = |key: &KeyPair| Identity::Nkey(key.seed().unwrap());
    check(&nats, nkey(&key), nkey(&other)).await;
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), key.seed().unwrap() + "\n").unwrap();
    let in_file = Identity::NkeyFile(file.path().into());
    check(&nats, in_file, Identity::Nobody).await;
}

#[tokio::test]
async fn with_a_credentials_file() {
    let (operator, other) = (Operator::new(), Operator::new());
    let nats = NatsServer::start_with(&operator.server_config());
    let credentials = |operator: &Operator| Identity::Credentials(operator.credentials(None));
    check(&nats, credentials(&operator), credentials(&other)).await;
}

/// The server ends a connection when its JWT is over; by then something has written a new one.
#[tokio::test]
async fn credentials_that_are_renewed_in_their_file_need_no_restart() {
    let operator = Operator::new();
    let nats = NatsServer::start_with(&operator.server_config());
    let file = operator.credentials(Some(2));
    let source = JetStreamSource::new(&JetStreamOptions {
        url: nats.url(),
        identity: Identity::Credentials(file.clone()),
        ..JetStreamOptions::default()
    });
    let error = async || soon(source.stream_state(STREAM)).await.unwrap_err();
    let missing = |error: &SourceError| matches!(error, SourceError::StreamMissing { .. });
    assert!(missing(&error().await));
    let refused = async {
        loop {
            match error().await {
                SourceError::Unauthorized { reason, .. } => return reason,
                error => assert!(error.may_pass(), "{error}"),
            }
        }
    };
    let reason = soon(refused).await;
    assert!(
        reason.contains("does not accept the credentials in"),
        "{reason}"
    );
    operator.renew(&file, None);
    let let_in = async { while !missing(&error().await) {} };
    soon(let_in).await;
}

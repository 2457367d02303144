//! TLS, with and without the host's own certificate.

use foldline_tests::nats::certificates::Certificates;

use super::*;
use crate::source::conformance::soon;

/// A server with certificates; these lines stand in the TLS part of its configuration.
fn server(lines: &str) -> (NatsServer, Certificates) {
    let certificates = Certificates::new();
    let tls = certificates.server_config(lines);
    let nats = NatsServer::start_with(&format!("jetstream: enabled\n{tls}"));
    (nats, certificates)
}

fn trusting(certificates: &Certificates) -> Tls {
    Tls {
        ca: Some(certificates.file("ca.pem")),
        ..Tls::default()
    }
}

fn with_certificate(certificates: &Certificates) -> Tls {
    let client = (
        certificates.file("client.pem"),
        certificates.file("client-key.pem"),
    );
    Tls {
        client: Some(client),
        ..trusting(certificates)
    }
}

async fn error(url: String, tls: Tls) -> SourceError {
    let source = JetStreamSource::new(&JetStreamOptions {
        url,
        tls,
        ..JetStreamOptions::default()
    });
    soon(source.stream_state(STREAM)).await.unwrap_err()
}

/// It is told that there is no stream, which only who was let in is.
async fn assert_connects(url: String, tls: Tls) {
    let error = error(url, tls).await;
    assert!(
        matches!(error, SourceError::StreamMissing { .. }),
        "{error}"
    );
}

/// No encrypted connection comes about, for this reason.
async fn assert_fails(url: String, tls: Tls, reason: &str) {
    let error = error(url, tls).await;
    assert!(matches!(error, SourceError::Tls { .. }), "{error:?}");
    assert!(error.may_pass());
    assert!(error.to_string().contains(reason), "{error}");
    assert!(error.hint().contains("tls_ca"));
}

#[tokio::test]
async fn a_server_is_trusted_by_its_authority_and_by_no_other() {
    let (nats, certificates) = server("");
    assert_connects(nats.url(), trusting(&certificates)).await;
    assert_connects(nats.url().replace("nats:", "tls:"), trusting(&certificates)).await;
    assert_fails(nats.url(), Tls::default(), "UnknownIssuer").await;
    assert_fails(
        nats.url(),
        trusting(&Certificates::new()),
        "invalid peer certificate",
    )
    .await;
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_gets_the_hosts() {
    let (nats, certificates) = server("verify: true");
    assert_connects(nats.url(), with_certificate(&certificates)).await;
    assert_fails(nats.url(), trusting(&certificates), "CertificateRequired").await;
    let stranger = Certificates::new();
    let tls = Tls {
        ca: Some(certificates.file("ca.pem")),
        ..with_certificate(&stranger)
    };
    assert_fails(nats.url(), tls, "received fatal alert").await;
}

#[tokio::test]
async fn tls_can_begin_before_the_servers_greeting() {
    let (nats, certificates) = server("handshake_first: \"100ms\"");
    let tls = Tls {
        first: true,
        ..trusting(&certificates)
    };
    assert_connects(nats.url(), tls).await;
}

#[tokio::test]
async fn files_that_hold_nothing_are_named() {
    let (nats, certificates) = server("verify: true");
    let missing = Tls {
        ca: Some("/does/not/exist.pem".into()),
        ..Tls::default()
    };
    assert_fails(nats.url(), missing, "No such file").await;
    let swapped = (
        certificates.file("client-key.pem"),
        certificates.file("client.pem"),
    );
    let swapped = Tls {
        client: Some(swapped),
        ..trusting(&certificates)
    };
    assert_fails(nats.url(), swapped, "private key").await;
}

//! How to reach the server.

use std::fmt;
use std::path::PathBuf;

use async_nats::ConnectOptions;
use async_nats::jetstream::{Context, ContextBuilder};
use std::time::Duration;

use super::Identity;

/// How to reach the server.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct JetStreamOptions {
    /// `nats://host:port`; several separated by commas for the servers of one cluster. `tls://` asks for TLS.
    pub url: String,
    /// As whom.
    pub identity: Identity,
    /// How connections are encrypted.
    pub tls: Tls,
    /// The subjects of the JetStream API begin with this; `$JS.API` when none is given.
    pub api_prefix: Option<String>,
    /// Subjects of answers begin with this; `_INBOX` when none is given.
    pub inbox_prefix: Option<String>,
}

/// How connections are encrypted. The server's greeting or `tls://` decides whether they are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// PEM file with the certificates that the server's may be signed by, instead of the system's.
    pub ca: Option<PathBuf>,
    /// PEM files with the client's certificate and its private key.
    pub client: Option<(PathBuf, PathBuf)>,
    /// Whether TLS begins before the server's greeting, as with its `handshake_first`.
    pub first: bool,
}

impl JetStreamOptions {
    /// The client's options as far as they say who we are and how the connection is encrypted.
    pub(super) fn connect_options(&self) -> ConnectOptions {
        let identity = self.identity.clone();
        let mut client = ConnectOptions::with_auth_callback(move |nonce| {
            // A file of a few lines, read once per connection.
            std::future::ready(identity.auth(&nonce))
        });
        if let Some(ca) = &self.tls.ca {
            client = client.add_root_certificates(ca.clone());
        }
        if let Some((certificate, key)) = &self.tls.client {
            client = client.add_client_certificate(certificate.clone(), key.clone());
        }
        if self.tls.first {
            client = client.tls_first();
        }
        if let Some(prefix) = &self.inbox_prefix {
            client = client.custom_inbox_prefix(prefix);
        }
        client
    }

    /// What the subjects of the JetStream API begin with.
    pub(super) fn api_prefix(&self) -> &str {
        self.api_prefix.as_deref().unwrap_or("$JS.API")
    }

    /// JetStream over a connection.
    pub(super) fn jetstream(&self, client: async_nats::Client, timeout: Duration) -> Context {
        let builder = ContextBuilder::new().timeout(timeout);
        match &self.api_prefix {
            Some(prefix) => builder.api_prefix(prefix).build(client),
            None => builder.build(client),
        }
    }

    /// The address without `user:password@`, which belongs in no log.
    pub(super) fn shown_url(&self) -> String {
        self.url
            .split(',')
            .map(without_secrets)
            .collect::<Vec<_>>()
            .join(",")
    }
}

impl fmt::Debug for JetStreamOptions {
    /// Without secrets: this may end in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JetStreamOptions")
            .field("url", &self.shown_url())
            .field("identity", &self.identity)
            .field("tls", &self.tls)
            .field("api_prefix", &self.api_prefix)
            .field("inbox_prefix", &self.inbox_prefix)
            .finish()
    }
}

/// A server's address without `user:password@`.
pub(crate) fn without_secrets(server: &str) -> String {
    match (server.find("://"), server.rfind('@')) {
        (Some(scheme), Some(at)) if scheme < at => {
            format!("{}{}", &server[..scheme + 3], &server[at + 1..])
        }
        (None, Some(at)) => server[at + 1..].to_owned(),
        _ => server.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_in_an_address_are_not_shown() {
        let options = JetStreamOptions {
            url: "nats://me:secret@a:4222,b,you:p@ss@c".into(),
            ..JetStreamOptions::default()
        };
        assert_eq!(options.shown_url(), "nats://a:4222,b,c");
        assert!(!format!("{options:?}").contains("secret"));
    }
}

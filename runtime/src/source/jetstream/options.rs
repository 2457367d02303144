//! How to reach the server, and as whom.

use std::fmt;
use std::path::PathBuf;

use async_nats::ConnectOptions;

/// How to reach the server.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct JetStreamOptions {
    /// `nats://host:port`; several separated by commas for the servers of one cluster. `tls://` asks for TLS.
    pub url: String,
    /// A `.creds` file with a user's JWT and key.
    pub credentials: Option<PathBuf>,
    /// User name, together with `password`.
    pub user: Option<String>,
    /// Password, together with `user`.
    pub password: Option<String>,
    /// Token.
    pub token: Option<String>,
    /// Seed of a user's nkey, `SU…`.
    pub nkey: Option<String>,
}

impl JetStreamOptions {
    /// What the client needs to say who it is.
    pub(super) async fn authenticated(&self) -> Result<ConnectOptions, String> {
        let mut client = ConnectOptions::new();
        if let Some(file) = &self.credentials {
            client = client
                .credentials_file(file)
                .await
                .map_err(|error| format!("credentials file {}: {error}", file.display()))?;
        }
        if let Some(user) = &self.user {
            let password = self.password.clone().unwrap_or_default();
            client = client.user_and_password(user.clone(), password);
        }
        if let Some(token) = &self.token {
            client = client.token(token.clone());
        }
        if let Some(seed) = &self.nkey {
            client = client.nkey(seed.clone());
        }
        Ok(client)
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
            .field("credentials", &self.credentials)
            .finish_non_exhaustive()
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

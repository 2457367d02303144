//! `[nats]`: where the events are, and as whom the host asks for them.
//!
//! The connection is put together from three places, each of which may name single settings and a context of the
//! `nats` command line: the flags, the configuration (file and `FOLDLINE_NATS_…`), and the `NATS_…` variables that
//! the `nats` command line reads too. What an earlier place says wins. A context says everything about a
//! connection: it counts less than single settings of its own place and of earlier ones, and where one is named
//! nothing of later places is looked at.

use std::ffi::OsString;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use serde::Deserialize;

use super::Secret;
use super::load::ConfigError;
use crate::source::jetstream::{Identity, JetStreamOptions, Tls};

mod check;
pub(super) mod context;
pub(super) mod variables;

pub(super) use check::check;
pub(super) use context::Folders;

/// Where a server is expected when nobody says anything.
pub(super) const DEFAULT_URL: &str = "nats://127.0.0.1:4222";

/// `[nats]`: where the events are, and as whom the host asks for them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "the table [nats]")]
pub struct Nats {
    /// One server, or several of one cluster separated by commas; `tls://` asks for TLS. The default is
    /// `nats://127.0.0.1:4222`.
    pub url: Option<String>,
    /// A context of the `nats` command line: its name, or the path of its file.
    pub context: Option<String>,
    /// A `.creds` file with a user's JWT and key.
    pub credentials: Option<PathBuf>,
    /// User name, together with `password`.
    pub user: Option<String>,
    /// Password, together with `user`.
    pub password: Option<Secret>,
    /// Token.
    pub token: Option<Secret>,
    /// Seed of a user's nkey, `SU…`.
    pub nkey: Option<Secret>,
    /// A file with the seed of a user's nkey.
    pub nkey_file: Option<PathBuf>,
    /// PEM file with the authorities that the server's certificate may be signed by; the system's by default.
    pub tls_ca: Option<PathBuf>,
    /// PEM file with the host's own certificate, together with `tls_key`.
    pub tls_certificate: Option<PathBuf>,
    /// PEM file with the private key of `tls_certificate`.
    pub tls_key: Option<PathBuf>,
    /// Whether TLS begins before the server's greeting, as with its `handshake_first`.
    pub tls_first: Option<bool>,
    /// JetStream domain.
    pub domain: Option<String>,
    /// Subjects of the JetStream API begin with this; `$JS.API` by default. Instead of `domain`.
    pub api_prefix: Option<String>,
    /// Subjects of answers begin with this; `_INBOX` by default.
    pub inbox_prefix: Option<String>,
    /// A user's JWT and the seed of its key: only contexts hold them like this.
    #[serde(skip)]
    pub(super) jwt: Option<(Secret, Option<Secret>)>,
}

/// Settings from one place.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) nats: Nats,
    pub(super) origin: Origin,
}

/// Where settings came from, for the texts about wrong ones.
#[derive(Debug)]
pub(super) enum Origin {
    /// All of them from this file.
    File(String),
    /// Each from a variable: name and key.
    Variables(&'static [(&'static str, &'static str)]),
}

impl Origin {
    fn of(&self, key: &str) -> String {
        match self {
            Self::File(file) => file.clone(),
            Self::Variables(names) => {
                let mut named = names.iter().filter(|(_, meant)| *meant == key);
                named
                    .next()
                    .map_or_else(String::new, |(name, _)| (*name).into())
            }
        }
    }
}

impl Nats {
    /// Completes the configuration from the context it names, else from the variables of the `nats` command line;
    /// a context of the command line's flags replaces both, but for the address that stands beside it there. Gives where
    /// each added key came from.
    ///
    /// # Errors
    /// If a context is named that cannot be used.
    pub(super) fn complete(
        &mut self,
        from_flag: Option<&str>,
        address: Option<&str>,
        folders: &Folders<'_>,
        variables: &Place,
    ) -> Result<Vec<(&'static str, String)>, ConfigError> {
        if let Some(name) = from_flag {
            *self = Self::default();
            self.take_address(address);
            return Ok(self.fill(&context::load(name, "--context", folders)?));
        }
        if let Some(name) = self.context.take() {
            return Ok(self.fill(&context::load(&name, "[nats] context", folders)?));
        }
        let named = variables.nats.context.clone();
        let mut added = self.fill(variables);
        if let Some(name) = named {
            self.context = None;
            added.extend(self.fill(&context::load(&name, "NATS_CONTEXT", folders)?));
        }
        Ok(added)
    }

    /// Takes from `other` what is not set here; gives the keys that were taken, with their origin. Settings that
    /// belong together, as user and password, are taken together or not at all.
    fn fill(&mut self, other: &Place) -> Vec<(&'static str, String)> {
        let theirs = &other.nats;
        let signs_in = self.identity() != Identity::Nobody || !self.ways_to_sign_in().is_empty();
        let has_certificate = self.tls_certificate.is_some() || self.tls_key.is_some();
        let has_prefix = self.domain.is_some() || self.api_prefix.is_some();
        let mut taken = Taken::default();
        taken.fill("url", &mut self.url, &theirs.url);
        if !signs_in {
            taken.fill("credentials", &mut self.credentials, &theirs.credentials);
            taken.fill("user", &mut self.user, &theirs.user);
            taken.fill("password", &mut self.password, &theirs.password);
            taken.fill("token", &mut self.token, &theirs.token);
            taken.fill("nkey", &mut self.nkey, &theirs.nkey);
            taken.fill("nkey_file", &mut self.nkey_file, &theirs.nkey_file);
            taken.fill("user_jwt", &mut self.jwt, &theirs.jwt);
        }
        if !has_certificate {
            let certificate = &mut self.tls_certificate;
            taken.fill("tls_certificate", certificate, &theirs.tls_certificate);
            taken.fill("tls_key", &mut self.tls_key, &theirs.tls_key);
        }
        if !has_prefix {
            taken.fill("domain", &mut self.domain, &theirs.domain);
            taken.fill("api_prefix", &mut self.api_prefix, &theirs.api_prefix);
        }
        taken.fill("tls_ca", &mut self.tls_ca, &theirs.tls_ca);
        taken.fill("tls_first", &mut self.tls_first, &theirs.tls_first);
        taken.fill("inbox_prefix", &mut self.inbox_prefix, &theirs.inbox_prefix);
        let keys = taken.0.into_iter();
        keys.map(|key| (key, other.origin.of(key))).collect()
    }

    /// Takes the address of a place that counts more than all that was said before: whom it names signs in.
    pub(super) fn take_address(&mut self, address: Option<&str>) {
        let Some(address) = address else { return };
        if in_address(address) != Identity::Nobody {
            *self = Self {
                credentials: None,
                user: None,
                password: None,
                token: None,
                nkey: None,
                nkey_file: None,
                jwt: None,
                ..std::mem::take(self)
            };
        }
        self.url = Some(address.to_owned());
    }

    /// The keys by which it says as whom to sign in: more than one is one too many.
    fn ways_to_sign_in(&self) -> Vec<&'static str> {
        let ways = [
            ("credentials", self.credentials.is_some()),
            ("user", self.user.is_some() || self.password.is_some()),
            ("token", self.token.is_some()),
            ("nkey", self.nkey.is_some()),
            ("nkey_file", self.nkey_file.is_some()),
            ("user_jwt", self.jwt.is_some()),
        ];
        let given = ways.into_iter().filter(|(_, given)| *given);
        given.map(|(key, _)| key).collect()
    }

    /// As whom the host signs in. Of a server's address, the part before `@` counts when nothing else is given.
    fn identity(&self) -> Identity {
        let revealed = |secret: &Secret| secret.0.clone();
        if let Some(file) = &self.credentials {
            return Identity::Credentials(file.clone());
        }
        if let (Some(name), Some(password)) = (&self.user, &self.password) {
            return Identity::User {
                name: name.clone(),
                password: revealed(password),
            };
        }
        if let Some(token) = &self.token {
            return Identity::Token(revealed(token));
        }
        if let Some(seed) = &self.nkey {
            return Identity::Nkey(revealed(seed));
        }
        if let Some(file) = &self.nkey_file {
            return Identity::NkeyFile(file.clone());
        }
        if let Some((jwt, seed)) = &self.jwt {
            return Identity::Jwt {
                jwt: revealed(jwt),
                seed: seed.as_ref().map(revealed),
            };
        }
        in_address(self.url_or_default())
    }

    fn url_or_default(&self) -> &str {
        self.url.as_deref().unwrap_or(DEFAULT_URL)
    }

    /// How to reach the server.
    pub fn options(&self) -> JetStreamOptions {
        let domain = self.domain.as_ref();
        let client = self.tls_certificate.clone().zip(self.tls_key.clone());
        JetStreamOptions {
            url: self.url_or_default().to_owned(),
            identity: self.identity(),
            tls: Tls {
                ca: self.tls_ca.clone(),
                client,
                first: self.tls_first.unwrap_or_default(),
            },
            api_prefix: domain
                .map(|domain| format!("$JS.{domain}.API"))
                .or_else(|| self.api_prefix.clone()),
            inbox_prefix: self.inbox_prefix.clone(),
        }
    }
}

/// The identity in `nats://user:password@host` or `nats://token@host`, of the first server that has one.
fn in_address(url: &str) -> Identity {
    let servers = url
        .split(',')
        .filter_map(|server| server.trim().parse().ok());
    let mut named = servers.filter(async_nats::ServerAddr::has_user_pass);
    let Some(server) = named.next() else {
        return Identity::Nobody;
    };
    let plain = |encoded: &str| percent_decode_str(encoded).decode_utf8_lossy().into_owned();
    match (server.username().map(plain), server.password().map(plain)) {
        (Some(name), Some(password)) => Identity::User { name, password },
        (Some(token), None) => Identity::Token(token),
        (None, _) => Identity::Nobody,
    }
}

/// Keys that were taken from another place.
#[derive(Default)]
struct Taken(Vec<&'static str>);

impl Taken {
    fn fill<T: Clone>(&mut self, key: &'static str, mine: &mut Option<T>, theirs: &Option<T>) {
        if mine.is_none() && theirs.is_some() {
            mine.clone_from(theirs);
            self.0.push(key);
        }
    }
}

/// The value of a variable of the environment that is set and not empty.
pub(super) fn variable<'e>(env: &'e [(OsString, OsString)], name: &str) -> Option<&'e OsString> {
    env.iter()
        .find(|(key, value)| key == name && !value.is_empty())
        .map(|(_, value)| value)
}

#[cfg(test)]
mod tests;

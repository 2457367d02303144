//! Users with JWTs, as an operator's tools make them: for servers that know no passwords.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nkeys::KeyPair;
use serde_json::{Value, json};
use tempfile::TempDir;

/// An operator with one account, which has JetStream. Its users are made from nothing but their credentials files.
#[derive(Debug)]
pub struct Operator {
    operator: KeyPair,
    account: KeyPair,
    folder: TempDir,
}

impl Operator {
    /// A new operator with a new account.
    ///
    /// # Panics
    /// If there is no place for its files.
    pub fn new() -> Self {
        Self {
            operator: KeyPair::new_operator(),
            account: KeyPair::new_account(),
            folder: tempfile::tempdir().expect("a temporary folder"),
        }
    }

    /// The configuration of a server that trusts it.
    pub fn server_config(&self) -> String {
        // JetStream needs a second account, for the server's own use.
        let system = KeyPair::new_account();
        let (orders, system) = (self.preloaded(&self.account), self.preloaded(&system));
        let operator = json!({"type": "operator", "version": 2, "system_account": system.0});
        let own = self.operator.public_key();
        let operator = token(&self.operator, &own, "test", None, &operator);
        format!(
            "jetstream: enabled\noperator: {operator}\nsystem_account: {}\nresolver: MEMORY\n\
             resolver_preload: {{ {}: {}, {}: {} }}\n",
            system.0, orders.0, orders.1, system.0, system.1
        )
    }

    /// An account's public key and its JWT, with JetStream unless it is the server's own.
    fn preloaded(&self, account: &KeyPair) -> (String, String) {
        let public = account.public_key();
        let mut limits = json!({
            "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "wildcards": true,
            "conn": -1, "leaf": -1,
        });
        if public == self.account.public_key() {
            for limit in ["mem_storage", "disk_storage", "streams", "consumer"] {
                limits[limit] = (-1).into();
            }
        }
        let claims = json!({"type": "account", "version": 2, "limits": limits});
        let token = token(&self.operator, &public, "account", None, &claims);
        (public, token)
    }

    /// A credentials file of a new user, valid for this many seconds, or for ever.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn credentials(&self, seconds: Option<u64>) -> PathBuf {
        let file = self
            .folder
            .path()
            .join(format!("{:016x}.creds", rand::random::<u64>()));
        self.renew(&file, seconds);
        file
    }

    /// Writes new credentials into a file, as a program that renews them does.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn renew(&self, file: &Path, seconds: Option<u64>) {
        let user = KeyPair::new_user();
        let claims = json!({"type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1});
        let token = token(
            &self.account,
            &user.public_key(),
            "foldline",
            seconds,
            &claims,
        );
        let seed = user.seed().expect("a new key has a seed");
        let text = format!(
            "-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        );
        std::fs::write(file, text).expect("the credentials can be written");
    }
}

impl Default for Operator {
    fn default() -> Self {
        Self::new()
    }
}

/// A signed JWT about `subject`.
fn token(
    issuer: &KeyPair,
    subject: &str,
    name: &str,
    seconds: Option<u64>,
    nats: &Value,
) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("it is after 1970")
        .as_secs();
    let mut claims = json!({
        "jti": format!("{:032x}", rand::random::<u128>()), "iat": now, "iss": issuer.public_key(),
        "name": name, "sub": subject, "nats": nats,
    });
    if let Some(seconds) = seconds {
        claims["exp"] = (now + seconds).into();
    }
    let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string().as_bytes());
    let header = json!({"typ": "JWT", "alg": "ed25519-nkey"});
    let text = format!("{}.{}", encode(&header), encode(&claims));
    let signature = issuer.sign(text.as_bytes()).expect("a new key can sign");
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

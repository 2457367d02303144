//! The variables that the `nats` command line reads too.

use std::ffi::OsString;
use std::path::PathBuf;

use super::{Nats, Origin, Place, variable};
use crate::config::Secret;
use crate::config::load::ConfigError;

/// Each variable with the key it means. Others that begin with `NATS_` are not ours: orchestrators set such ones for
/// every service that is called nats.
pub(in crate::config) const VARIABLES: &[(&str, &str)] = &[
    ("NATS_URL", "url"),
    ("NATS_CONTEXT", "context"),
    ("NATS_CREDS", "credentials"),
    ("NATS_USER", "user"),
    ("NATS_PASSWORD", "password"),
    ("NATS_TOKEN", "token"),
    ("NATS_NKEY", "nkey_file"),
    ("NATS_CA", "tls_ca"),
    ("NATS_CERT", "tls_certificate"),
    ("NATS_KEY", "tls_key"),
];

/// What the variables say. A user without a password is a token, as it is for the `nats` command line.
///
/// # Errors
/// If one is no UTF-8.
pub(in crate::config) fn place(env: &[(OsString, OsString)]) -> Result<Place, ConfigError> {
    let text = |name: &str| match variable(env, name).map(|value| value.to_str()) {
        None => Ok(None),
        Some(Some(text)) => Ok(Some(text.to_owned())),
        Some(None) => Err(ConfigError::Variable {
            name: name.to_owned(),
            reason: "the value is no UTF-8".into(),
        }),
    };
    let path = |name: &str| variable(env, name).map(PathBuf::from);
    let secret = |text: Option<String>| text.map(Secret);
    let (user, password) = (text("NATS_USER")?, text("NATS_PASSWORD")?);
    let token = text("NATS_TOKEN")?;
    let (user, token) = match (user, &password, token) {
        (Some(user), None, None) => (None, Some(user)),
        (user, _, token) => (user, token),
    };
    let nats = Nats {
        url: text("NATS_URL")?,
        context: text("NATS_CONTEXT")?,
        credentials: path("NATS_CREDS"),
        user,
        password: secret(password),
        token: secret(token),
        nkey_file: path("NATS_NKEY"),
        tls_ca: path("NATS_CA"),
        tls_certificate: path("NATS_CERT"),
        tls_key: path("NATS_KEY"),
        ..Nats::default()
    };
    let origin = Origin::Variables(VARIABLES);
    Ok(Place { nats, origin })
}

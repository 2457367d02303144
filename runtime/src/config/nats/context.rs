//! Contexts of the `nats` command line: files with everything about a connection.
//!
//! They are kept in `$XDG_CONFIG_HOME/nats/context/NAME.json`, or below `~/.config`. What only that command line
//! knows (colours, event prefixes) is passed over; what decides who we are or how we get there and is not supported
//! is refused.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Nats, Origin, Place, variable};
use crate::config::Secret;
use crate::config::load::ConfigError;

/// Where contexts are looked for, and what stands for what in their paths.
#[derive(Debug)]
pub(in crate::config) struct Folders<'e> {
    env: &'e [(OsString, OsString)],
}

impl<'e> Folders<'e> {
    /// As the variables say.
    pub(in crate::config) fn new(env: &'e [(OsString, OsString)]) -> Self {
        Self { env }
    }

    fn home(&self) -> Option<PathBuf> {
        variable(self.env, "HOME").map(PathBuf::from)
    }

    /// The file of a context; none where no folder for it is known.
    fn file(&self, name: &str) -> Option<PathBuf> {
        if Path::new(name).is_absolute() {
            return Some(name.into());
        }
        let config = variable(self.env, "XDG_CONFIG_HOME").map(PathBuf::from);
        let config = config.or_else(|| Some(self.home()?.join(".config")))?;
        Some(config.join("nats/context").join(format!("{name}.json")))
    }

    /// `~` and `$NAME` or `${NAME}` replaced, as the `nats` command line does in paths.
    fn expand(&self, path: &str) -> PathBuf {
        let mut expanded = String::new();
        let mut rest = path;
        while let Some((before, behind)) = rest.split_once('$') {
            expanded.push_str(before);
            let (name, after) = variable_name(behind);
            let value = variable(self.env, name).and_then(|value| value.to_str());
            expanded.push_str(value.unwrap_or_default());
            rest = after;
        }
        expanded.push_str(rest);
        match (expanded.strip_prefix('~'), self.home()) {
            (Some(below), Some(home)) => home.join(below.trim_start_matches('/')),
            _ => expanded.into(),
        }
    }
}

/// The name at the beginning of `text`, with or without braces, and what follows it.
fn variable_name(text: &str) -> (&str, &str) {
    if let Some((name, after)) = text.strip_prefix('{').and_then(|t| t.split_once('}')) {
        return (name, after);
    }
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    text.split_at(end.unwrap_or(text.len()))
}

/// A context's file, as far as it concerns us.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct File {
    url: String,
    user: String,
    password: String,
    token: String,
    creds: String,
    nkey: String,
    user_jwt: String,
    user_seed: String,
    cert: String,
    key: String,
    ca: String,
    tls_first: bool,
    jetstream_domain: String,
    jetstream_api_prefix: String,
    inbox_prefix: String,
    nsc: String,
    socks_proxy: String,
    windows_cert_store: String,
}

/// Reads a context; `asked` says who named it.
///
/// # Errors
/// If there is none of that name, or it asks for something that is not supported.
pub(in crate::config) fn load(
    name: &str,
    asked: &str,
    folders: &Folders<'_>,
) -> Result<Place, ConfigError> {
    let refused = |file: Option<&Path>, reason: String| ConfigError::Context {
        name: name.to_owned(),
        asked: asked.to_owned(),
        file: file.map_or_else(String::new, |file| format!(" in {}", file.display())),
        reason,
    };
    let named_by_path = Path::new(name).is_absolute();
    if !named_by_path && (name.is_empty() || name.contains("..") || name.contains('/')) {
        return Err(refused(None, "this is no name of a context".into()));
    }
    let Some(path) = folders.file(name) else {
        let reason = "neither XDG_CONFIG_HOME nor HOME says where contexts are kept";
        return Err(refused(None, reason.into()));
    };
    let text =
        std::fs::read_to_string(&path).map_err(|error| refused(Some(&path), error.to_string()))?;
    let file: File = serde_json::from_str(&text)
        // The text may hold secrets, and serde quotes values of a wrong type.
        .map_err(|error| refused(Some(&path), format!("no context, line {}", error.line())))?;
    file.supported()
        .map_err(|reason| refused(Some(&path), reason))?;
    Ok(Place {
        nats: file.settings(folders),
        origin: Origin::File(path.display().to_string()),
    })
}

impl File {
    fn supported(&self) -> Result<(), String> {
        for (key, value) in [
            ("nsc", &self.nsc),
            ("socks_proxy", &self.socks_proxy),
            ("windows_cert_store", &self.windows_cert_store),
        ] {
            if !value.is_empty() {
                return Err(format!("its {key} is not supported"));
            }
        }
        for (key, value) in [
            ("creds", &self.creds),
            ("nkey", &self.nkey),
            ("password", &self.password),
            ("token", &self.token),
            ("user_jwt", &self.user_jwt),
            ("user_seed", &self.user_seed),
            ("cert", &self.cert),
            ("key", &self.key),
            ("ca", &self.ca),
        ] {
            if let Some((scheme, _)) = value.split_once("://") {
                return Err(format!(
                    "its {key} is kept elsewhere ({scheme}://), which is not supported"
                ));
            }
        }
        Ok(())
    }

    /// As the `nats` command line reads it: of several ways to sign in, the first counts.
    fn settings(self, folders: &Folders<'_>) -> Nats {
        let text = |text: String| Some(text).filter(|text| !text.is_empty());
        let path = |path: String| text(path).map(|path| folders.expand(&path));
        let secret = |secret: String| text(secret).map(Secret);
        let mut nats = Nats {
            url: text(self.url),
            tls_ca: path(self.ca),
            tls_certificate: path(self.cert),
            tls_key: path(self.key),
            tls_first: Some(self.tls_first).filter(|first| *first),
            api_prefix: text(self.jetstream_api_prefix)
                .filter(|_| self.jetstream_domain.is_empty()),
            domain: text(self.jetstream_domain),
            inbox_prefix: text(self.inbox_prefix),
            ..Nats::default()
        };
        if !self.user.is_empty() {
            (nats.user, nats.password) = (Some(self.user), Some(Secret(self.password)));
        } else if !self.creds.is_empty() {
            nats.credentials = path(self.creds);
        } else if !self.nkey.is_empty() {
            nats.nkey_file = path(self.nkey);
        } else if let Some(jwt) = secret(self.user_jwt) {
            nats.jwt = Some((jwt, secret(self.user_seed)));
        } else {
            nats.token = secret(self.token);
        }
        nats
    }
}

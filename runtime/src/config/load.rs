//! Where the configuration comes from, and what is said when it is wrong.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use super::{Config, env, nats, parse};

/// The file that is read when none is named, if it is there.
const DEFAULT_FILE: &str = "foldline.toml";

/// What the command line said; each overrides everything else.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--config`: must exist.
    pub config: Option<PathBuf>,
    /// `--nats`
    pub nats: Option<String>,
    /// `--context`: a context of the `nats` command line, by name or by the path of its file.
    pub context: Option<String>,
    /// `--modules`
    pub modules: Option<PathBuf>,
    /// `--data`
    pub data: Option<PathBuf>,
    /// `--listen`
    pub listen: Option<String>,
}

/// Everything a configuration is made from.
#[derive(Debug)]
pub struct Sources {
    /// The command line.
    pub flags: Flags,
    /// The environment: names and values. Looked at are `FOLDLINE_…`, the variables of the `nats` command line
    /// and those that say where its contexts are.
    pub env: Vec<(OsString, OsString)>,
    /// Where `foldline.toml` is looked for when no file is named; empty for the current one.
    pub folder: PathBuf,
}

/// Why there is no configuration. Each says where and what is known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the config file {file} cannot be read: {reason}")]
    Unreadable {
        /// The file.
        file: String,
        /// What the system said.
        reason: String,
    },
    /// The file is not understood: no TOML, an unknown key, a value of the wrong type.
    #[error("{file}, line {line}: {reason}")]
    Malformed {
        /// The file.
        file: String,
        /// Counted from 1.
        line: usize,
        /// What is wrong, naming the key and what is known.
        reason: String,
    },
    /// An environment variable is not understood: an unknown one, or a value of the wrong type.
    #[error("{name}: {reason}")]
    Variable {
        /// The variable.
        name: String,
        /// What is wrong, naming what is known.
        reason: String,
    },
    /// A context of the `nats` command line that cannot be used.
    #[error("the context {name:?} ({asked}){file}: {reason}")]
    Context {
        /// Its name.
        name: String,
        /// Who named it: a flag, a variable or a key.
        asked: String,
        /// " in " and its file, where there is one.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A value that cannot be used.
    #[error("{origin}: {key} = {value}: {reason}")]
    Unusable {
        /// The file and line, the environment variable or the flag; or "the defaults".
        origin: String,
        /// As in `[limits] call_ms`.
        key: String,
        /// As given.
        value: String,
        /// What would do.
        reason: String,
    },
}

impl ConfigError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => {
                "correct --config, or leave it out: without a file the defaults are used"
            }
            Self::Malformed { .. } => {
                "docs/foldline.toml lists every key with its default and unit"
            }
            Self::Variable { .. } => {
                "docs/foldline.toml explains every key; [limits] call_ms is FOLDLINE_LIMITS_CALL_MS"
            }
            Self::Context { .. } => {
                "`nats context ls` shows the contexts there are; what a context cannot say here stands in [nats], which docs/foldline.toml explains"
            }
            Self::Unusable { .. } => "correct the value; docs/foldline.toml explains it",
        }
    }
}

impl Config {
    /// Reads and checks the configuration: defaults, then the file, the environment and the flags.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn load(sources: &Sources) -> Result<Self, ConfigError> {
        Self::from_file(file(sources)?.as_ref(), sources)
    }

    /// As [`Self::load`] from a file of this text alone: the way in for fuzzing.
    ///
    /// # Errors
    /// The first thing that is wrong.
    #[doc(hidden)]
    pub fn from_text(name: &str, text: &str) -> Result<Self, ConfigError> {
        let sources = Sources {
            flags: Flags::default(),
            env: Vec::new(),
            folder: PathBuf::new(),
        };
        Self::from_file(Some(&(name.to_owned(), text.to_owned())), &sources)
    }

    fn from_file(file: Option<&(String, String)>, sources: &Sources) -> Result<Self, ConfigError> {
        let mut origins = Origins::default();
        let mut config = match file {
            Some((name, text)) => parsed(name, text)?,
            None => Self::default(),
        };
        let mut table = match file {
            Some((name, text)) => parsed(name, text)?,
            None => toml::Table::new(),
        };
        for variable in env::variables(&sources.env)? {
            config = variable.put(&mut table)?;
            origins.note(variable.section, variable.key, &variable.name);
        }
        if origins.is_noted("nats", "url") && !origins.sign_in() {
            let address = config.nats.url.take();
            config.nats.take_address(address.as_deref());
        }
        config.nats.take_address(sources.flags.nats.as_deref());
        config.complete_nats(sources, &mut origins)?;
        config.overlay_flags(&sources.flags, &mut origins)?;
        config.check().map_err(|refused| ConfigError::Unusable {
            origin: origins.of(&refused.section, refused.key, file),
            key: format!("[{}] {}", refused.section, refused.key),
            value: refused.value,
            reason: refused.reason,
        })?;
        Ok(config)
    }

    /// Adds what a context or the variables of the `nats` command line say of the connection.
    fn complete_nats(
        &mut self,
        sources: &Sources,
        origins: &mut Origins,
    ) -> Result<(), ConfigError> {
        let folders = nats::Folders::new(&sources.env);
        let variables = nats::variables::place(&sources.env)?;
        let (context, address) = (&sources.flags.context, &sources.flags.nats);
        let (context, address) = (context.as_deref(), address.as_deref());
        let added = self.nats.complete(context, address, &folders, &variables)?;
        for (key, origin) in added {
            origins.note("nats", key, &origin);
        }
        Ok(())
    }

    fn overlay_flags(&mut self, flags: &Flags, origins: &mut Origins) -> Result<(), ConfigError> {
        let given = [
            ("--nats", "nats", "url", flags.nats.is_some()),
            ("--modules", "modules", "dir", flags.modules.is_some()),
            ("--data", "store", "dir", flags.data.is_some()),
            ("--listen", "http", "listen", flags.listen.is_some()),
        ];
        for (flag, section, key, _) in given.into_iter().filter(|(.., given)| *given) {
            origins.note(section, key, flag);
        }
        set(&mut self.modules.dir, flags.modules.clone());
        set(&mut self.store.dir, flags.data.clone());
        set(
            &mut self.http.listen,
            address(flags.listen.clone(), "--listen")?,
        );
        Ok(())
    }
}

/// An address that did not come from the file.
fn address(text: Option<String>, origin: &str) -> Result<Option<SocketAddr>, ConfigError> {
    let Some(text) = text else { return Ok(None) };
    let address = parse::address(&text).map_err(|reason| ConfigError::Unusable {
        origin: origin.to_owned(),
        key: "[http] listen".into(),
        value: format!("{text:?}"),
        reason: reason.into(),
    })?;
    Ok(Some(address))
}

fn set<T>(target: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *target = value;
    }
}

/// Which values did not come from the file.
#[derive(Default)]
struct Origins(Vec<(&'static str, &'static str, String)>);

impl Origins {
    fn note(&mut self, section: &'static str, key: &'static str, origin: &str) {
        self.0.push((section, key, origin.to_owned()));
    }

    fn is_noted(&self, section: &str, key: &str) -> bool {
        let mut noted = self.0.iter();
        noted.any(|(s, k, _)| *s == section && *k == key)
    }

    /// Whether one of them says who signs in.
    fn sign_in(&self) -> bool {
        let keys = [
            "credentials",
            "user",
            "password",
            "token",
            "nkey",
            "nkey_file",
        ];
        keys.iter().any(|key| self.is_noted("nats", key))
    }

    /// Where a value came from: the last that set it.
    fn of(&self, section: &str, key: &str, file: Option<&(String, String)>) -> String {
        let mut noted = self.0.iter().rev();
        if let Some((.., origin)) = noted.find(|(s, k, _)| *s == section && *k == key) {
            return origin.clone();
        }
        match file {
            Some((name, text)) => match line_of_key(text, section, key) {
                Some(line) => format!("{name}, line {line}"),
                None => name.clone(),
            },
            None => "the defaults".into(),
        }
    }
}

/// The name and text of the file, if there is one.
fn file(sources: &Sources) -> Result<Option<(String, String)>, ConfigError> {
    let named = sources.flags.config.clone();
    let path = named
        .clone()
        .unwrap_or_else(|| sources.folder.join(DEFAULT_FILE));
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some((shown(&path), text))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && named.is_none() => Ok(None),
        Err(error) => Err(ConfigError::Unreadable {
            file: shown(&path),
            reason: error.to_string(),
        }),
    }
}

fn shown(path: &Path) -> String {
    path.strip_prefix(".").unwrap_or(path).display().to_string()
}

/// The file as a configuration, or as a table to put variables into.
fn parsed<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, ConfigError> {
    toml::from_str(text).map_err(|error| ConfigError::Malformed {
        file: file.to_owned(),
        line: error.span().map_or(1, |span| line_at(text, span.start)),
        reason: without_address(error.message()).replace("unknown field", "unknown key"),
    })
}

/// What is said of a text in the place of `[nats]`, without the text: an address may hold a password.
fn without_address(message: &str) -> String {
    let expected = ", expected the table [nats]";
    match message.ends_with(expected) {
        true => format!("invalid type: a value{expected}"),
        false => message.to_owned(),
    }
}

fn line_at(text: &str, byte: usize) -> usize {
    let before = text.as_bytes().iter().take(byte);
    1 + before.filter(|byte| **byte == b'\n').count()
}

/// The line a key of `[section]` stands on. `section` may be `projection.NAME`.
fn line_of_key(text: &str, section: &str, key: &str) -> Option<usize> {
    let document = toml::de::DeTable::parse(text).ok()?;
    let mut table = document.get_ref();
    for part in section.split('.') {
        table = table.get(part)?.get_ref().as_table()?;
    }
    Some(line_at(text, table.get(key)?.span().start))
}

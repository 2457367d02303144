//! `FOLDLINE_SECTION_KEY`: every key of the fixed sections, from the environment.

use std::ffi::OsString;

use serde::Deserialize as _;

use super::Config;
use super::load::ConfigError;
use Kind::{Number, Switch, Text};

/// What a variable's text means.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Text,
    Number,
    Switch,
}

/// Every section with its keys. `[projection.NAME]` has none: names could not be told from keys.
#[rustfmt::skip] // One line for each section reads best.
pub(super) const SECTIONS: &[(&str, &[(&str, Kind)])] = &[
    ("nats", &[
        ("url", Text), ("context", Text), ("credentials", Text), ("user", Text), ("password", Text), ("token", Text),
        ("nkey", Text), ("nkey_file", Text), ("tls_ca", Text), ("tls_certificate", Text), ("tls_key", Text),
        ("tls_first", Switch), ("domain", Text), ("api_prefix", Text), ("inbox_prefix", Text),
    ]),
    ("modules", &[("dir", Text)]),
    ("store", &[
        ("dir", Text), ("cache_mib", Number), ("commit_events", Number), ("commit_mib", Number), ("commit_ms", Number),
    ]),
    ("http", &[("listen", Text), ("token", Text)]),
    ("limits", &[
        ("module_mib", Number), ("compile_mib", Number), ("compile_ms", Number), ("memory_mib", Number),
        ("call_ms", Number), ("batch_events", Number), ("batch_kib", Number), ("changes_per_batch", Number), ("changes_mib", Number), ("row_kib", Number), ("find_rows", Number),
        ("find_mib", Number), ("log_lines_per_batch", Number), ("batches_per_instance", Number),
    ]),
    ("recovery", &[
        ("restart_min_ms", Number), ("restart_max_ms", Number), ("stall_ms", Number), ("dead_letters", Number), ("held_events", Number),
        ("held_mib", Number), ("dead_letter_kib", Number),
    ]),
    ("host", &[("drain_ms", Number)]),
    ("log", &[("format", Text), ("level", Text)]),
];

/// Begins like a variable of `[nats]`, and names the nats-server program for the project's own tools.
const NOT_OURS: &str = "FOLDLINE_NATS_SERVER";

/// A variable that is set.
#[derive(Debug)]
pub(super) struct Variable {
    pub(super) name: String,
    pub(super) section: &'static str,
    pub(super) key: &'static str,
    kind: Kind,
    text: String,
}

pub(super) fn name(section: &str, key: &str) -> String {
    format!("FOLDLINE_{section}_{key}").to_ascii_uppercase()
}

/// The variables of `env` that are settings, in the order of [`SECTIONS`].
pub(super) fn variables(env: &[(OsString, OsString)]) -> Result<Vec<Variable>, ConfigError> {
    // An empty variable is how shells and containers say "not set".
    let env: Vec<_> = env.iter().filter(|(_, value)| !value.is_empty()).collect();
    let mut found = Vec::new();
    for &(section, keys) in SECTIONS {
        let names = env.iter().filter_map(|(name, _)| name.to_str());
        refuse_unknown(section, keys, names)?;
        for &(key, kind) in keys {
            let name = name(section, key);
            let Some((_, value)) = env.iter().find(|(set, _)| *set == *name) else {
                continue;
            };
            let Some(text) = value.to_str().map(str::to_owned) else {
                return Err(refused(&name, "the value is no UTF-8".into()));
            };
            found.push(Variable {
                name,
                section,
                key,
                kind,
                text,
            });
        }
    }
    Ok(found)
}

/// A misspelt variable must not go unnoticed.
fn refuse_unknown<'a>(
    section: &str,
    keys: &[(&str, Kind)],
    mut names: impl Iterator<Item = &'a str>,
) -> Result<(), ConfigError> {
    let prefix = name(section, "");
    let known: Vec<String> = keys.iter().map(|(key, _)| name(section, key)).collect();
    let unknown = names.find(|name| {
        name.starts_with(&prefix) && *name != NOT_OURS && !known.iter().any(|known| known == name)
    });
    let Some(unknown) = unknown else {
        return Ok(());
    };
    let reason = match &known[..] {
        [only] => format!("unknown variable, expected {only}"),
        several => format!("unknown variable, expected one of {}", several.join(", ")),
    };
    Err(refused(unknown, reason))
}

impl Variable {
    /// The configuration of `file` with this variable put into it. Reading it again for each variable tells
    /// whose fault an error is.
    pub(super) fn put(&self, file: &mut toml::Table) -> Result<Config, ConfigError> {
        let section = file.entry(self.section);
        let section = section.or_insert_with(|| toml::Table::new().into());
        if let Some(section) = section.as_table_mut() {
            section.insert(self.key.to_owned(), self.value());
        }
        Config::deserialize(file.clone())
            .map_err(|error| refused(&self.name, error.message().to_owned()))
    }

    /// What is no number stays text, and is refused as such where a number is needed; so with true and false.
    fn value(&self) -> toml::Value {
        let text = || self.text.clone().into();
        match self.kind {
            Number => self.text.parse::<i64>().map_or_else(|_| text(), Into::into),
            Switch => self
                .text
                .parse::<bool>()
                .map_or_else(|_| text(), Into::into),
            Text => text(),
        }
    }
}

fn refused(name: &str, reason: String) -> ConfigError {
    ConfigError::Variable {
        name: name.to_owned(),
        reason,
    }
}

//! `foldline.toml`, checked. Every key with its default and unit stands here; `docs/foldline.toml` is the
//! same as a file to start from.
//!
//! The environment overrides the file, and command line flags override both.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use crate::batch::BatchLimits;
use crate::event::Sequence;

mod check;
mod load;

pub use load::{ConfigError, Flags, Sources};

/// Everything `foldline run` can be told. The default is a complete configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `[nats]`
    pub nats: Nats,
    /// `[modules]`
    pub modules: Modules,
    /// `[store]`
    pub store: Store,
    /// `[http]`
    pub http: Http,
    /// `[limits]`
    pub limits: Limits,
    /// `[recovery]`
    pub recovery: Recovery,
    /// `[host]`
    pub host: Host,
    /// `[log]`
    pub log: Log,
    /// `[projection.NAME]`, by name
    pub projection: BTreeMap<String, Projection>,
}

/// `[nats]`: where the events are.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Nats {
    /// One server, or several of one cluster separated by commas.
    pub url: String,
    /// A `.creds` file, for servers that want a user.
    pub credentials: Option<PathBuf>,
}

/// `[modules]`: where the projections are.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Modules {
    /// Every `.wasm` file in this folder is a projection module.
    pub dir: PathBuf,
}

/// `[store]`: where the read models are kept.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    /// The data folder. One host at a time uses it.
    pub dir: PathBuf,
    /// MiB of rows kept in memory per projection; more makes projections that read their rows faster.
    pub cache_mib: u32,
}

/// `[http]`: where queries are answered.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    /// HOST:PORT; port 0 takes a free one.
    pub listen: String,
    /// When set, every request but the probes must carry it as `authorization: Bearer …`.
    pub token: Option<Secret>,
}

/// `[limits]`: what one module may use. A breach names the projection, the limit, the value and the sequence,
/// and touches no other projection.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// MiB of a module file.
    pub module_mib: u32,
    /// MiB of memory of one module instance.
    pub memory_mib: u32,
    /// Milliseconds one call of `project` may take, for a whole batch.
    pub call_ms: u32,
    /// Events in one batch.
    pub batch_events: u32,
    /// KiB of events in one batch; a single larger event still makes a batch of its own.
    pub batch_kib: u32,
    /// Rows one batch may put or delete.
    pub changes_per_batch: u32,
    /// KiB of one row.
    pub row_kib: u32,
    /// Rows one `find` may return.
    pub find_rows: u32,
    /// Lines one batch may log; more are counted and dropped.
    pub log_lines_per_batch: u32,
}

/// `[recovery]`: how a projection that stopped is started again. The wait doubles from the smallest to the
/// largest, with jitter, and falls back once it runs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recovery {
    /// Milliseconds before the first restart.
    pub restart_min_ms: u32,
    /// Milliseconds between later restarts, at most.
    pub restart_max_ms: u32,
}

/// `[host]`: the process itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Host {
    /// Milliseconds that commits and requests under way get to end when the host is stopped.
    pub drain_ms: u32,
}

/// `[log]`: what is written to stderr.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// For people or for programs.
    pub format: LogFormat,
    /// How much; `FOLDLINE_LOG` can say it per part, as in `foldline::source=debug,info`.
    pub level: LogLevel,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

/// How much is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Only what needs somebody.
    Error,
    /// And what may need somebody.
    Warn,
    /// And what happens to projections.
    Info,
    /// And every request and restart.
    Debug,
    /// Everything.
    Trace,
}

/// `[projection.NAME]`: what is different for one projection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Projection {
    /// The stream to read; found by the projection's subjects when none is named.
    pub stream: Option<String>,
    /// Where a new read model begins.
    pub start: Start,
}

/// Where a new read model begins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Start {
    /// With event 1; refused when the stream no longer holds it.
    #[default]
    Beginning,
    /// With whatever the stream still holds.
    First,
    /// With this event.
    Sequence(Sequence),
}

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    /// The text itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

impl Default for Nats {
    fn default() -> Self {
        Self {
            url: "nats://127.0.0.1:4222".into(),
            credentials: None,
        }
    }
}

impl Default for Modules {
    fn default() -> Self {
        Self {
            dir: "modules".into(),
        }
    }
}

impl Default for Store {
    fn default() -> Self {
        Self {
            dir: "data".into(),
            cache_mib: 64,
        }
    }
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:7070".into(),
            token: None,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            module_mib: 32,
            memory_mib: 256,
            call_ms: 10_000,
            batch_events: 1_000,
            batch_kib: 4_096,
            changes_per_batch: 100_000,
            row_kib: 1_024,
            find_rows: 1_000,
            log_lines_per_batch: 100,
        }
    }
}

impl Default for Recovery {
    fn default() -> Self {
        Self {
            restart_min_ms: 100,
            restart_max_ms: 5_000,
        }
    }
}

impl Default for Host {
    fn default() -> Self {
        Self { drain_ms: 10_000 }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            format: LogFormat::Text,
            level: LogLevel::Info,
        }
    }
}

const KIB: usize = 1_024;
const MIB: usize = 1_024 * KIB;

impl Store {
    /// Bytes of the row cache of one projection.
    pub fn cache_bytes(&self) -> usize {
        self.cache_mib as usize * MIB
    }
}

impl Limits {
    /// How large a batch may become.
    pub fn batch(&self) -> BatchLimits {
        BatchLimits {
            events: self.batch_events as usize,
            bytes: self.batch_kib as usize * KIB,
        }
    }

    /// Bytes of a module file.
    pub fn module_bytes(&self) -> usize {
        self.module_mib as usize * MIB
    }

    /// Bytes of memory of one module instance.
    pub fn memory_bytes(&self) -> usize {
        self.memory_mib as usize * MIB
    }

    /// Bytes of one row.
    pub fn row_bytes(&self) -> usize {
        self.row_kib as usize * KIB
    }

    /// Time of one call of `project`.
    pub fn call_time(&self) -> Duration {
        Duration::from_millis(self.call_ms.into())
    }
}

impl Recovery {
    /// The wait before the first restart.
    pub fn restart_min(&self) -> Duration {
        Duration::from_millis(self.restart_min_ms.into())
    }

    /// The longest wait between restarts.
    pub fn restart_max(&self) -> Duration {
        Duration::from_millis(self.restart_max_ms.into())
    }
}

impl Host {
    /// What commits and requests under way get to end when the host is stopped.
    pub fn drain(&self) -> Duration {
        Duration::from_millis(self.drain_ms.into())
    }
}

impl<'de> Deserialize<'de> for Start {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Start;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"beginning\", \"first\" or a sequence from 1 up")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Start, E> {
                match text {
                    "beginning" => Ok(Start::Beginning),
                    "first" => Ok(Start::First),
                    other => Err(E::invalid_value(serde::de::Unexpected::Str(other), &self)),
                }
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Start, E> {
                match Sequence::try_from(number) {
                    Ok(sequence @ 1..) => Ok(Start::Sequence(sequence)),
                    _ => Err(E::invalid_value(
                        serde::de::Unexpected::Signed(number),
                        &self,
                    )),
                }
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests;

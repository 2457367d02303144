//! `foldline.toml`, checked. Every key with its default and unit stands here; `docs/foldline.toml` is the
//! same as a file to start from.
//!
//! The environment overrides the file, `FOLDLINE_SECTION_KEY` for each key of the fixed sections, and command line
//! flags override both. What is said of the connection to NATS nowhere here is taken from the variables and
//! contexts of the `nats` command line: `nats.rs` says how.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::projection::poison::OnPoison;
use crate::source::position::{OnLostEvents, Start};

mod check;
mod env;
mod load;
mod nats;
mod parse;
mod units;

pub use load::{ConfigError, Flags, Sources};
pub use nats::Nats;

/// Everything `foldline run` can be told. The default is a complete configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// `[nats]`, with everything that a context or the variables of the `nats` command line add.
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

/// `[modules]`: where the projections are.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "the table [modules]")]
pub struct Modules {
    /// Every `.wasm` file in this folder is a projection module.
    pub dir: PathBuf,
}

/// `[store]`: where the read models are kept.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "the table [store]")]
pub struct Store {
    /// The data folder. One host at a time uses it.
    pub dir: PathBuf,
    /// MiB of rows kept in memory per projection; more makes projections that read their rows faster.
    pub cache_mib: usize,
    /// Events folded before a commit while more wait. With nothing waiting every batch is committed at once.
    pub commit_events: usize,
    /// MiB of changed rows before a commit while more events wait.
    pub commit_mib: usize,
    /// Milliseconds before a commit while more events wait, five times as many while more wait than one commit holds.
    pub commit_ms: u64,
}

/// `[http]`: where queries are answered.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "the table [http]")]
pub struct Http {
    /// Address and port; port 0 takes a free one.
    #[serde(deserialize_with = "parse::listen")]
    pub listen: SocketAddr,
    /// When set, every request but the probes must carry it as `authorization: Bearer …`.
    pub token: Option<Secret>,
}

/// `[limits]`: what one module may use. A breach names the projection, the limit, the value and the sequence,
/// and touches no other projection.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "the table [limits]")]
pub struct Limits {
    /// MiB of a module file.
    pub module_mib: usize,
    /// MiB of memory that compiling one module may take.
    pub compile_mib: usize,
    /// Milliseconds of processor time that it may take, rounded up to seconds.
    pub compile_ms: u64,
    /// MiB of memory of one module instance.
    pub memory_mib: usize,
    /// Milliseconds one call of `project` may take, for a whole batch.
    pub call_ms: u64,
    /// Events in one batch.
    pub batch_events: usize,
    /// KiB of events in one batch; a single larger event still makes a batch of its own.
    pub batch_kib: usize,
    /// Rows one batch may put or delete.
    pub changes_per_batch: usize,
    /// MiB of keys and rows in the changes of one batch.
    pub changes_mib: usize,
    /// KiB of one row.
    pub row_kib: usize,
    /// Rows one `find` may return.
    pub find_rows: usize,
    /// MiB of the rows one `find` may return.
    pub find_mib: usize,
    /// Lines one batch may log; more are counted and dropped.
    pub log_lines_per_batch: usize,
    /// Batches after which a module instance is replaced by a fresh one; 0 is never.
    pub batches_per_instance: usize,
}

/// `[recovery]`: how a projection that stopped is started again, and how much may be set aside of events that it cannot
/// apply. The wait doubles from the smallest to the largest, with jitter, and falls back once it runs.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "the table [recovery]")]
pub struct Recovery {
    /// Milliseconds before the first restart.
    pub restart_min_ms: u64,
    /// Milliseconds between later restarts, at most.
    pub restart_max_ms: u64,
    /// Milliseconds that a projection may apply nothing while events wait, before it counts as stalled; 0 is for ever.
    /// The time that a commit may gather events, five times `commit_ms`, comes on top.
    pub stall_ms: u64,
    /// Dead letters of one generation. At this and the next two limits the projection stops, and nothing is lost.
    pub dead_letters: usize,
    /// Events of one generation that are held behind poison events, with these.
    pub held_events: u64,
    /// MiB of these held events.
    pub held_mib: u64,
    /// KiB of an event's payload, and of its headers, that a dead letter keeps. Held events are kept as a whole.
    pub dead_letter_kib: usize,
}

/// `[host]`: the process itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "the table [host]")]
pub struct Host {
    /// Milliseconds that commits and requests under way get to end when the host is stopped.
    pub drain_ms: u64,
}

/// `[log]`: what is written to stderr.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "the table [log]")]
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
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(
    default,
    deny_unknown_fields,
    expecting = "a table of the projection's own, as [projection.orders]"
)]
pub struct Projection {
    /// The stream to read; found by the projection's subjects when none is named.
    pub stream: Option<String>,
    /// Where a new read model begins: "beginning", "first" (whatever the stream still holds), or a sequence.
    #[serde(deserialize_with = "parse::start")]
    pub start: Start,
    /// What becomes of it when the stream has dropped events that it has not read: "halt", "accept" or "rebuild".
    pub on_lost_events: OnLostEvents,
    /// What becomes of an event that always fails: "fail", "skip" or "hold".
    pub on_poison: OnPoison,
    /// The same while a generation is being built beside the live one.
    pub on_poison_building: OnPoison,
    /// Its own `[recovery] stall_ms`.
    pub stall_ms: Option<u64>,
    /// Who promotes a new version once it has caught up.
    pub promote: Promote,
    /// Whether the generation that was live before keeps advancing, so that it can be rolled back to.
    pub standby: bool,
}

/// Who promotes a new version once it has caught up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Promote {
    /// The host, by itself.
    #[default]
    Auto,
    /// An operator, with `foldline promote`.
    Manual,
}

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl<'de> Deserialize<'de> for Secret {
    /// Says nothing of a value of another type: it may be the secret, written without quotes.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = toml::Value::deserialize(deserializer);
        match text {
            Ok(toml::Value::String(text)) => Ok(Self(text)),
            _ => Err(D::Error::custom("no text; write it in quotes")),
        }
    }
}

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
            commit_events: 50_000,
            commit_mib: 16,
            commit_ms: 200,
        }
    }
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7070)),
            token: None,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            module_mib: 32,
            compile_mib: 2_048,
            compile_ms: 120_000,
            memory_mib: 256,
            call_ms: 10_000,
            batch_events: 1_000,
            batch_kib: 4_096,
            changes_per_batch: 100_000,
            changes_mib: 64,
            row_kib: 1_024,
            find_rows: 1_000,
            find_mib: 64,
            log_lines_per_batch: 100,
            batches_per_instance: 0,
        }
    }
}

impl Default for Projection {
    fn default() -> Self {
        Self {
            stream: None,
            start: Start::default(),
            on_lost_events: OnLostEvents::default(),
            on_poison: OnPoison::Hold,
            on_poison_building: OnPoison::Fail,
            stall_ms: None,
            promote: Promote::Auto,
            standby: true,
        }
    }
}

impl Default for Recovery {
    fn default() -> Self {
        Self {
            restart_min_ms: 100,
            restart_max_ms: 2_000,
            stall_ms: 60_000,
            dead_letters: 1_000,
            held_events: 100_000,
            held_mib: 64,
            dead_letter_kib: 64,
        }
    }
}

impl Default for Host {
    fn default() -> Self {
        Self { drain_ms: 15_000 }
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

#[cfg(test)]
mod tests;

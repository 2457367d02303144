//! The macros of the `log` crate write to the host's log.

use log::{Level, LevelFilter, Log, Metadata, Record};

use super::bindings::foldline::projection::log as host;

struct HostLog;

/// Installs the host's log, from the second call on without effect. Trace is below what the
/// contract has, so it is dropped before a message is put together.
pub(super) fn forward() {
    if log::set_logger(&HostLog).is_ok() {
        log::set_max_level(LevelFilter::Debug);
    }
}

/// Writes one line.
pub(super) fn error(message: &str) {
    host::write(host::Level::Error, message);
}

impl Log for HostLog {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= Level::Debug
    }

    fn log(&self, record: &Record<'_>) {
        let level = match record.level() {
            Level::Error => host::Level::Error,
            Level::Warn => host::Level::Warn,
            Level::Info => host::Level::Info,
            Level::Debug => host::Level::Debug,
            Level::Trace => return,
        };
        match record.args().as_str() {
            Some(message) => host::write(level, message),
            None => host::write(level, &record.args().to_string()),
        }
    }

    fn flush(&self) {}
}

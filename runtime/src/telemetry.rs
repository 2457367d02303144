//! Logging: to stderr, for people or for programs.

use std::io::IsTerminal as _;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

use crate::config::{Log, LogFormat, LogLevel};

/// The variable that overrides `[log] level`, in `tracing`'s own syntax.
pub const FILTER_VARIABLE: &str = "FOLDLINE_LOG";

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is malformed.
    #[error("{FILTER_VARIABLE}={filter:?} is no log filter: {reason}")]
    Filter {
        /// As given.
        filter: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Logging was already set up in this process.
    #[error("logging was already set up in this process")]
    Again,
}

/// Sends log lines to stderr from now on, as `log` says. `filter` is the value of [`FILTER_VARIABLE`], if set.
///
/// # Errors
/// If the filter is malformed, or logging was already set up.
pub fn init(log: &Log, filter: Option<&str>) -> Result<(), TelemetryError> {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(env_filter(log.level, filter)?)
        .with_writer(std::io::stderr)
        // A line that cannot be written would be reported on stderr too, and that panics when nobody reads it any more.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal());
    match log.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    }
    .map_err(|_| TelemetryError::Again)
}

/// The time now as people read it in a status: RFC 3339, UTC, whole seconds.
pub fn now() -> String {
    let now = OffsetDateTime::now_utc();
    let now = now.replace_nanosecond(0).unwrap_or(now);
    // The year has four digits, so it always has this form.
    now.format(&Rfc3339).unwrap_or_default()
}

/// Our own lines at the level asked for; of the libraries only what may need somebody.
fn env_filter(level: LogLevel, filter: Option<&str>) -> Result<EnvFilter, TelemetryError> {
    let level = match level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "info",
        LogLevel::Debug => "debug",
        LogLevel::Trace => "trace",
    };
    let ours = format!("warn,foldline={level},tower_http={level}");
    let filter = filter.filter(|filter| !filter.is_empty()).unwrap_or(&ours);
    let malformed = |reason| TelemetryError::Filter {
        filter: filter.to_owned(),
        reason,
    };
    if let Some(word) = filter.split(',').find(|word| is_misspelt(word.trim())) {
        return Err(malformed(format!(
            "{word:?} is no level (error, warn, info, debug, trace, off); for a part of the program write PART=LEVEL"
        )));
    }
    EnvFilter::try_new(filter).map_err(|error| malformed(error.to_string()))
}

/// A word alone is taken for a part of the program of which everything is logged: of a level that is misspelt that would
/// be nothing at all.
fn is_misspelt(word: &str) -> bool {
    let is_part = word.starts_with("foldline") || word.contains(['=', ':', '[']);
    let is_level = word.parse::<LevelFilter>().is_ok();
    !(word.is_empty() || is_part || is_level)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_malformed_filter_is_named() {
        for filter in ["foldline=loud", "loud", "warn,inof"] {
            let error = env_filter(LogLevel::Info, Some(filter)).unwrap_err();
            assert!(
                error.to_string().contains(&format!("{filter:?}")),
                "{error}"
            );
        }
    }

    #[test]
    fn the_level_is_for_our_own_lines_and_the_variable_overrides_it() {
        let of = |filter| env_filter(LogLevel::Debug, filter).unwrap().to_string();
        assert!(of(None).contains("foldline=debug") && of(None).contains("warn"));
        assert_eq!(of(Some("trace")), "trace");
        assert!(of(Some("off,foldline::source=debug")).contains("debug"));
        assert_eq!(of(Some("")), of(None));
    }
}

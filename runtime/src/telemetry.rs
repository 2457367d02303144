//! Logging: to stderr, for people or for programs.

use std::fmt::{self, Debug, Write as _};
use std::io::IsTerminal as _;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tracing::field::Field;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::MakeExt as _;
use tracing_subscriber::fmt::FormatFields;
use tracing_subscriber::fmt::format::{Writer, debug_fn};

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
        LogFormat::Text => builder.fmt_fields(fields()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    }
    .map_err(|_| TelemetryError::Again)
}

/// The fields of a line for people. Events and modules have a say in them: nothing of theirs may look like another line, or
/// tell a terminal what to do.
fn fields() -> impl for<'w> FormatFields<'w> + 'static {
    let one = |writer: &mut Writer<'_>, field: &Field, value: &dyn Debug| match field.name() {
        "message" => write!(Shown(writer), "{value:?}"),
        name => write!(Shown(writer), "{name}={value:?}"),
    };
    debug_fn(one).delimited(" ")
}

/// Writes what a terminal would obey as an escape.
struct Shown<'a, W>(&'a mut W);

impl<W: fmt::Write> fmt::Write for Shown<'_, W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for part in text.split_inclusive(is_obeyed) {
            let obeyed = part.chars().next_back().filter(|c| is_obeyed(*c));
            let plain = &part[..part.len() - obeyed.map_or(0, char::len_utf8)];
            self.0.write_str(plain)?;
            obeyed.map_or(Ok(()), |c| write!(self.0, "{}", c.escape_default()))?;
        }
        Ok(())
    }
}

/// What a terminal obeys instead of showing it: control characters, and marks that change the direction of writing. Data
/// must not be able to clear the screen, hide a line or begin one.
pub fn is_obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
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
    fn nothing_in_a_field_begins_a_line_or_is_obeyed_by_a_terminal() {
        let mut line = String::new();
        let text = "a\r\n2026 ERROR b\u{1b}[2J\u{202e}c ü";
        write!(Shown(&mut line), "{text}").unwrap();
        assert_eq!(line, "a\\r\\n2026 ERROR b\\u{1b}[2J\\u{202e}c ü");
    }

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

//! What the person at the terminal is told when a command does not work.

use std::io::{self, Write as _};
use std::process::ExitCode;

use foldline::config::ConfigError;
use foldline::telemetry::TelemetryError;

use super::output::printable;

const FAILED: u8 = 1;
const WRONG_USAGE: u8 = 2;

/// Why a command ends, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CliError {
    /// Names the thing and the value.
    pub(crate) message: String,
    /// What to do next.
    pub(crate) hint: Option<String>,
    /// The process's exit code.
    pub(crate) code: u8,
}

impl CliError {
    /// It was asked for correctly, and failed.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            hint: None,
            code: FAILED,
        }
    }

    /// The command line or the configuration is wrong.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self {
            code: WRONG_USAGE,
            ..Self::failed(message)
        }
    }

    /// The same, with what to do next.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Tells the person, and says how the process ends.
    pub(crate) fn report(&self) -> ExitCode {
        self.tell();
        ExitCode::from(self.code)
    }

    /// Tells the person.
    pub(crate) fn tell(&self) {
        let mut stderr = io::stderr().lock();
        // When stderr is gone there is nobody left to tell.
        if !self.message.is_empty() {
            let _ = writeln!(stderr, "error: {}", printable(&self.message));
        }
        if let Some(hint) = &self.hint {
            let _ = writeln!(stderr, "hint: {}", printable(hint));
        }
    }
}

impl From<ConfigError> for CliError {
    fn from(error: ConfigError) -> Self {
        Self::usage(error.to_string()).hint(error.hint())
    }
}

impl From<TelemetryError> for CliError {
    fn from(error: TelemetryError) -> Self {
        Self::usage(error.to_string())
            .hint("write for example FOLDLINE_LOG=debug or FOLDLINE_LOG=warn,foldline=debug")
    }
}

/// Output could not be written. A reader that has seen enough, as in `foldline query … | head`, is no failure.
impl From<io::Error> for CliError {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self {
                message: String::new(),
                hint: None,
                code: 0,
            };
        }
        Self::failed(format!("the output cannot be written: {error}"))
    }
}

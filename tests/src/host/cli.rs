//! The command line, as a person types it.

use std::process::{Command, Stdio};

use serde_json::Value;

use super::{Host, binary};

/// What a command printed, and how it ended.
#[derive(Debug, Clone)]
pub struct CliOutput {
    /// The exit code.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl CliOutput {
    /// Standard output as one JSON document.
    ///
    /// # Panics
    /// If it is none.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Fails unless the command ended with this code and stderr says `error:` and `hint:`, and all of `parts`.
    ///
    /// # Panics
    /// If it does not.
    #[track_caller]
    pub fn assert_explains(&self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, code, "{self:?}");
        for part in ["error: ", "hint: "].iter().chain(parts) {
            assert!(
                self.stderr.contains(part),
                "stderr does not say {part:?}:\n{}",
                self.stderr
            );
        }
    }
}

/// Runs `foldline ARGUMENTS` to its end.
///
/// # Panics
/// If it cannot be run.
pub fn foldline(arguments: &[&str]) -> CliOutput {
    end(Command::new(binary()).args(arguments))
}

impl Host {
    /// Runs `foldline ARGUMENTS --host THIS` to its end.
    pub fn cli(&self, arguments: &[&str]) -> CliOutput {
        end(Command::new(binary())
            .args(arguments)
            .args(["--host", self.address()]))
    }

    /// Starts a second process on these folders and waits until it ends.
    pub fn run_to_end(&self) -> CliOutput {
        end(&mut self.command())
    }
}

fn end(command: &mut Command) -> CliOutput {
    let output = command
        .stdin(Stdio::null())
        .env_remove("FOLDLINE_HOST")
        .output();
    let output = output.expect("foldline can be run");
    CliOutput {
        code: output.status.code().expect("foldline was not killed"),
        stdout: String::from_utf8(output.stdout).expect("stdout is UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("stderr is UTF-8"),
    }
}

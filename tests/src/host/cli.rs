//! The command line, as a person types it.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::{Host, binary};
use crate::wait::wait_until;

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

/// Runs a command to its end. One that does not end is killed, and the test fails.
fn end(command: &mut Command) -> CliOutput {
    let [mut stdout, mut stderr] =
        [(); 2].map(|()| tempfile::tempfile().expect("a temporary file"));
    let shared = |file: &File| file.try_clone().expect("a second handle");
    command
        .stdin(Stdio::null())
        .stdout(shared(&stdout))
        .stderr(shared(&stderr))
        .env_remove("FOLDLINE_HOST");
    let mut process = KilledOnDrop(command.spawn().expect("foldline can be run"));
    let status = wait_until(&format!("{command:?} ends"), || {
        process.0.try_wait().expect("foldline can be asked")
    });
    CliOutput {
        code: status.code().expect("foldline was not killed"),
        stdout: content(&mut stdout),
        stderr: content(&mut stderr),
    }
}

fn content(file: &mut File) -> String {
    let mut text = String::new();
    file.rewind().expect("the file can be read");
    file.read_to_string(&mut text).expect("the output is UTF-8");
    text
}

struct KilledOnDrop(Child);

impl Drop for KilledOnDrop {
    fn drop(&mut self) {
        // It has ended, unless the test has failed.
        let _ = self.0.kill();
    }
}

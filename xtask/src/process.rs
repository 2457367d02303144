//! Running other programs, with errors that name the command.

use std::env;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};

/// How many lines of a quiet command's output are shown when it fails.
const LINES_SHOWN: usize = 20;

/// How often a command with a time limit is looked at.
const POLL: Duration = Duration::from_millis(50);

/// Lets a host or a service begin with its defaults, whatever the person who starts it has set for an own one: Foldline's
/// variables, and those that say which NATS server to use.
pub fn forget_settings(command: &mut Command) {
    for (name, _) in env::vars_os() {
        let shown = name.to_string_lossy();
        if shown.starts_with("FOLDLINE_") || shown.starts_with("NATS_") {
            command.env_remove(&name);
        }
    }
}

/// Runs a command with its output on the terminal.
///
/// # Errors
/// When it cannot be started or does not succeed.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| not_started(command))?;
    succeeded(command, status)
}

/// Runs a command and returns what it printed on stdout, without the line end.
///
/// # Errors
/// When it cannot be started or does not succeed.
pub fn read(command: &mut Command) -> Result<String> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| not_started(command))?;
    succeeded(command, output.status)?;
    Ok(String::from_utf8_lossy(&output.stdout)
        .trim_end()
        .to_owned())
}

/// Runs a command with its output in `log`, for at most `limit`. On failure the end of the output
/// is part of the error.
///
/// # Errors
/// When it cannot be started, does not succeed, or takes longer.
pub fn run_quietly(command: &mut Command, limit: Duration, log: &Path) -> Result<()> {
    let output = File::create(log).with_context(|| format!("creating {}", log.display()))?;
    command
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output);
    let status = status_within(command, limit)?;
    succeeded(command, status).map_err(|error| anyhow!("{error}; it printed:\n{}", tail(log)))
}

fn status_within(command: &mut Command, limit: Duration) -> Result<ExitStatus> {
    let mut child = command.spawn().with_context(|| not_started(command))?;
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        thread::sleep(POLL);
    }
    child.kill()?;
    child.wait()?;
    bail!(
        "`{}` was stopped after {} s without an end",
        line(command),
        limit.as_secs()
    )
}

/// The last lines of a log file, indented; a file that cannot be read is shown as its error.
pub fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_else(|error| error.to_string());
    let lines: Vec<&str> = text.lines().collect();
    let shown = &lines[lines.len().saturating_sub(LINES_SHOWN)..];
    let indented = shown.iter().map(|line| format!("    {line}"));
    indented.collect::<Vec<_>>().join("\n")
}

/// The first executable of this name on `PATH`.
pub fn on_path(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

fn succeeded(command: &Command, status: ExitStatus) -> Result<()> {
    if !status.success() {
        bail!("`{}` failed ({status})", line(command));
    }
    Ok(())
}

fn not_started(command: &Command) -> String {
    format!("`{}` could not be started", line(command))
}

/// The command as a person would type it, the program without its folder.
fn line(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    let words = std::iter::once(name).chain(command.get_args());
    words
        .map(OsStr::to_string_lossy)
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_quiet_command_shows_what_it_printed() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo first; echo second >&2; exit 3"]);
        let log = folder.path().join("log");
        let error = run_quietly(&mut command, Duration::from_secs(10), &log).unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("first") && text.contains("second"), "{text}");
        assert!(text.contains("exit status: 3"), "{text}");
    }

    #[test]
    fn a_command_without_an_end_is_stopped() {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new("sleep");
        let log = folder.path().join("log");
        let limit = Duration::from_millis(100);
        let error = run_quietly(command.arg("60"), limit, &log).unwrap_err();
        assert!(
            error.to_string().contains("`sleep 60` was stopped"),
            "{error:#}"
        );
    }
}

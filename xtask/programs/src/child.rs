//! A program that is ended with whoever started it.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use xtask::failure::Failure;
use xtask::process;

/// How long a program may take to end when asked, before it is killed. Longer than the host gives itself, so that
/// what it says of a drain that failed is seen.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(5);

/// A running program. It is ended on drop: after success, error, panic and an interruption that is listened to alike.
#[derive(Debug)]
pub struct Child {
    name: &'static str,
    process: std::process::Child,
    log: PathBuf,
    started: Instant,
}

impl Child {
    /// Starts `program` in `folder`, which is made, with no stdin, and its output in `<name>.log` there; `arguments` may
    /// change all of that.
    ///
    /// Its process group is its own, so that Ctrl-C reaches only whoever started it, who ends things in order. Where
    /// setpriv exists, the kernel kills it if that one is killed. The kernel's signal goes out when the thread ends that
    /// started the program, so call this from the main thread.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn start(
        name: &'static str,
        program: &Path,
        folder: &Path,
        arguments: impl FnOnce(&mut Command),
    ) -> Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
        let log = folder.join(format!("{name}.log"));
        let output = File::create(&log).with_context(|| format!("creating {}", log.display()))?;
        let mut command = bound_to_this_thread(program);
        command
            .current_dir(folder)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        arguments(&mut command);
        let started = Instant::now();
        let process = command
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        Ok(Self {
            name,
            process,
            log,
            started,
        })
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// When it was started.
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Whether it still runs.
    ///
    /// # Errors
    /// If the program has ended, with the end of its log.
    pub fn check(&mut self) -> Result<()> {
        if let Some(status) = self.process.try_wait()? {
            bail!(self.failure(&format!("ended by itself ({status})")));
        }
        Ok(())
    }

    /// Waits until the program prints this line on its stdout, which was made a pipe.
    ///
    /// # Errors
    /// If it ends before, with the end of its log.
    pub fn wait_for_line(&mut self, line: &str) -> Result<()> {
        let stdout = self.process.stdout.as_mut();
        let lines = BufReader::new(stdout.context("its stdout is no pipe")?).lines();
        if !lines.map_while(Result::ok).any(|printed| printed == line) {
            let status = self.process.wait()?;
            bail!(self.failure(&format!("ended before it was done ({status})")));
        }
        Ok(())
    }

    fn failure(&self, what: &str) -> Failure {
        let log = process::tail(&self.log);
        Failure::new(
            format_args!("{} {what}; its log ends:\n{log}", self.name),
            "the log says why; once that is repaired, run the same command again",
        )
    }

    /// Asks the program to end, by the end of its stdin and SIGTERM, waits for it, and kills it when it takes too long.
    ///
    /// # Errors
    /// If the system does not let it be ended.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        drop(self.process.stdin.take());
        if let Some(status) = self.process.try_wait()? {
            return Ok(status);
        }
        kill_process(Pid::from_child(&self.process), Signal::TERM)?;
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.process.try_wait()? {
                return Ok(status);
            }
            thread::sleep(POLL);
        }
        self.process.kill()?;
        Ok(self.process.wait()?)
    }

    /// Ends the program, which has to succeed at it.
    ///
    /// # Errors
    /// As [`stop`](Self::stop), and if it does not succeed, with the end of its log.
    pub fn finish(&mut self) -> Result<()> {
        let status = self.stop()?;
        if !status.success() {
            bail!(self.failure(&format!("was asked to end and failed ({status})")));
        }
        Ok(())
    }
}

impl Drop for Child {
    #[expect(
        clippy::print_stderr,
        reason = "a drop has no other way to say it to a person"
    )]
    fn drop(&mut self) {
        if let Err(error) = self.stop() {
            eprintln!(
                "warning: {} (process {}) may still run: {error}",
                self.name,
                self.id()
            );
        }
    }
}

fn bound_to_this_thread(program: &Path) -> Command {
    match process::on_path("setpriv") {
        Some(setpriv) => {
            let mut command = Command::new(setpriv);
            command.args(["--pdeathsig", "KILL", "--"]).arg(program);
            command
        }
        None => Command::new(program),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> (tempfile::TempDir, Child) {
        let folder = tempfile::tempdir().unwrap();
        let child = Child::start("shell", Path::new("/bin/sh"), folder.path(), |command| {
            command.args(["-c", script]);
        });
        (folder, child.unwrap())
    }

    #[test]
    fn nothing_runs_after_a_drop() {
        let (_folder, child) = shell("sleep 60");
        let pid = Pid::from_child(&child.process);
        drop(child);
        assert!(rustix::process::test_kill_process(pid).is_err());
    }

    #[test]
    fn a_program_that_ended_is_reported_with_its_log() {
        let (_folder, mut child) = shell("echo the reason; exit 7");
        child.process.wait().unwrap();
        let error = child.check().unwrap_err().to_string();
        assert!(
            error.contains("exit status: 7") && error.contains("the reason"),
            "{error}"
        );
    }

    #[test]
    fn a_program_that_ends_before_its_line_is_reported_with_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let mut child = Child::start("shell", Path::new("/bin/sh"), folder.path(), |command| {
            command.args(["-c", "echo the reason >&2; exit 7"]);
            command.stdout(Stdio::piped());
        })
        .unwrap();
        let error = child.wait_for_line("done").unwrap_err().to_string();
        assert!(
            error.contains("exit status: 7") && error.contains("the reason"),
            "{error}"
        );
    }
}

//! A program that runs as long as the demo needs it, and no longer.

use std::fs::File;
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
const POLL: Duration = Duration::from_millis(20);

/// A running program. It is ended on drop: after success, error, panic and Ctrl-C alike.
pub(crate) struct Child {
    name: &'static str,
    process: std::process::Child,
    log: PathBuf,
}

impl Child {
    /// Starts `program` in `folder`, where also its output goes, to `<name>.log`.
    ///
    /// Its process group is its own, so that Ctrl-C reaches only the demo, which ends things in
    /// order. Where setpriv exists, the kernel kills it if the demo itself is killed.
    pub(crate) fn start(
        name: &'static str,
        program: &Path,
        folder: &Path,
        arguments: impl FnOnce(&mut Command),
    ) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let output = File::create(&log).with_context(|| format!("creating {}", log.display()))?;
        let mut command = bound_to_this_thread(program);
        arguments(&mut command);
        command.current_dir(folder).process_group(0);
        command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        let process = command
            .spawn()
            .with_context(|| format!("starting {}", program.display()))?;
        Ok(Self { name, process, log })
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// Fails if the program has ended, with the end of its log.
    pub(crate) fn check(&mut self) -> Result<()> {
        if let Some(status) = self.process.try_wait()? {
            bail!(self.failure(&format!("ended by itself ({status})")));
        }
        Ok(())
    }

    fn failure(&self, what: &str) -> Failure {
        let log = process::tail(&self.log);
        Failure::new(
            format_args!("{} {what}; its log ends:\n{log}", self.name),
            "the log says why; once that is repaired, run `cargo xtask demo` again",
        )
    }

    /// Asks the program to end, waits for it, and kills it when it takes too long.
    pub(crate) fn stop(&mut self) -> Result<ExitStatus> {
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
    pub(crate) fn finish(&mut self) -> Result<()> {
        let status = self.stop()?;
        if !status.success() {
            bail!(self.failure(&format!("was asked to end and failed ({status})")));
        }
        Ok(())
    }
}

impl Drop for Child {
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

/// The kernel's signal goes out when the thread that started the program ends, so call this from
/// the main thread.
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
}

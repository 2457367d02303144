//! A program that runs as long as a measurement needs it, and what it used.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use xtask::failure::Failure;
use xtask::process;

/// How long a program may take to end when asked, before it is killed.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(5);

/// Linux counts processor time in this unit, whatever the kernel's own clock.
const TICKS_PER_SECOND: f64 = 100.0;

/// A running program; it is ended on drop.
pub(crate) struct Child {
    name: &'static str,
    process: std::process::Child,
    log: PathBuf,
    /// When it was started.
    pub(crate) started: Instant,
}

/// What a process used since it was started.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    /// Processor time in user and kernel, in seconds.
    pub(crate) cpu: f64,
    /// Largest resident memory, in bytes.
    pub(crate) peak: u64,
    /// Handed to the kernel to be written, in bytes: to files, and little to sockets.
    pub(crate) written: u64,
}

impl Child {
    /// Starts `program` in `folder`, with stderr in `<name>.log` there. Where setpriv exists, the kernel kills it
    /// if the benchmark itself is killed; so call this from the main thread.
    pub(crate) fn start(
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
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
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

    /// Waits until the program prints this line on stdout.
    pub(crate) fn wait_for_line(&mut self, line: &str) -> Result<()> {
        let stdout: &mut ChildStdout = self
            .process
            .stdout
            .as_mut()
            .context("its stdout is piped")?;
        let found = BufReader::new(stdout)
            .lines()
            .map_while(Result::ok)
            .any(|printed| printed == line);
        if !found {
            let status = self.process.wait()?;
            bail!(self.failure(&format!("ended before it was done ({status})")));
        }
        Ok(())
    }

    /// What it has used so far.
    pub(crate) fn usage(&self) -> Result<Usage> {
        usage(self.id())
    }

    fn failure(&self, what: &str) -> Failure {
        let log = process::tail(&self.log);
        let hint = "the log says why; once that is repaired, run `cargo xtask bench` again";
        Failure::new(
            format_args!("{} {what}; its log ends:\n{log}", self.name),
            hint,
        )
    }

    /// Lets a program end that waits for the end of its stdin, or asks it with SIGTERM, and waits for it.
    pub(crate) fn finish(&mut self) -> Result<()> {
        drop(self.process.stdin.take());
        if self.process.try_wait()?.is_none() {
            kill_process(Pid::from_child(&self.process), Signal::TERM)?;
        }
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if self.process.try_wait()?.is_some() {
                return Ok(());
            }
            thread::sleep(POLL);
        }
        self.process.kill()?;
        self.process.wait()?;
        Ok(())
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if let Err(error) = self.finish() {
            eprintln!(
                "warning: {} (process {}) may still run: {error}",
                self.name,
                self.id()
            );
        }
    }
}

/// What the process `id` has used so far.
pub(crate) fn usage(id: u32) -> Result<Usage> {
    let read = |file: &str| {
        let path = format!("/proc/{id}/{file}");
        fs::read_to_string(&path).with_context(|| format!("reading {path}"))
    };
    let (stat, status, io) = (read("stat")?, read("status")?, read("io")?);
    let cpu =
        ticks(&stat).context("/proc/PID/stat has another form than expected")? / TICKS_PER_SECOND;
    let (peak, written) = (number(&status, "VmHWM:"), number(&io, "wchar:"));
    Ok(Usage {
        cpu,
        peak: peak * 1024,
        written,
    })
}

/// The number behind `name` at the beginning of a line; 0 where there is none.
fn number(text: &str, name: &str) -> u64 {
    let value = text.lines().find_map(|line| line.strip_prefix(name));
    let digits = value.and_then(|value| value.split_whitespace().next());
    digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

/// User and system time, the 14th and 15th field. The second one, in brackets, may hold spaces.
fn ticks(stat: &str) -> Option<f64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<f64>().ok();
    Some(next()? + next()?)
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

    #[test]
    fn processor_time_is_read_past_a_name_with_brackets() {
        let stat = "7 (a (b) c) S 1 7 7 0 -1 4194560 100 0 0 0 150 50 0 0 20 0 1 0";
        assert_eq!(ticks(stat), Some(200.0));
    }

    #[test]
    fn a_program_that_ends_too_early_is_reported_with_its_log() {
        let folder = tempfile::tempdir().unwrap();
        let shell = Path::new("/bin/sh");
        let mut child = Child::start("shell", shell, folder.path(), |command| {
            command.args(["-c", "echo the reason >&2; exit 7"]);
        });
        let error = child
            .as_mut()
            .unwrap()
            .wait_for_line("done")
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("exit status: 7") && error.contains("the reason"),
            "{error}"
        );
    }
}

//! A `foldline run` as a process of its own, with its own folders, that can be killed and started again.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::JoinHandle;

use tempfile::TempDir;

use crate::guests;
use crate::wait::wait_until;

mod cli;
mod http;
mod log;
mod modules;

pub use cli::{CliOutput, foldline};
pub use http::Answer;
pub use log::Log;

/// A host with its folders. It need not be running. It is killed on drop; what it logged is shown when the
/// test fails.
#[derive(Debug)]
pub struct Host {
    folders: TempDir,
    arguments: Vec<String>,
    variables: Vec<(String, String)>,
    /// A program that ends by becoming the host, with its arguments.
    prelude: Vec<String>,
    log: Log,
    http: ureq::Agent,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    /// `http://127.0.0.1:PORT`
    address: String,
    /// Ends when the process has closed its stderr.
    reader: JoinHandle<()>,
}

impl Host {
    /// A host for the NATS server at `url` that is not started yet, with empty folders.
    ///
    /// # Panics
    /// If there is no place for temporary folders.
    pub fn new(url: &str) -> Self {
        let folders = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(folders.path().join("modules")).expect("a folder for modules");
        let host = Self {
            folders,
            arguments: Vec::new(),
            variables: Vec::new(),
            prelude: Vec::new(),
            log: Log::default(),
            http: http::agent(),
            running: None,
        };
        host.configured(&format!("[nats]\nurl = \"{url}\"\n"))
    }

    /// A host with these modules, started.
    pub fn start(url: &str, modules: &[&str]) -> Self {
        let mut host = Self::new(url);
        for name in modules {
            host.drop_module(&format!("{name}.wasm"), &guests::module(name));
        }
        host.restart();
        host
    }

    /// Adds lines to its `foldline.toml`.
    ///
    /// # Panics
    /// If the file cannot be written.
    #[must_use]
    pub fn configured(mut self, lines: &str) -> Self {
        let file = self.folder("foldline.toml");
        let config = std::fs::read_to_string(&file).unwrap_or_default() + lines;
        std::fs::write(&file, config).expect("the config can be written");
        if self.arguments.is_empty() {
            self.arguments = vec!["--config".into(), file.display().to_string()];
        }
        self
    }

    /// Starts it with this flag from now on.
    #[must_use]
    pub fn with_argument(mut self, flag: &str, value: &str) -> Self {
        self.arguments.extend([flag.to_owned(), value.to_owned()]);
        self
    }

    /// Starts it with this variable from now on.
    #[must_use]
    pub fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts it through this program from now on: it is given the host's command line behind these arguments, and must
    /// become the host in the same process.
    #[must_use]
    pub fn started_by(mut self, prelude: &[&str]) -> Self {
        self.prelude = prelude.iter().map(|&word| word.to_owned()).collect();
        self
    }

    /// Starts it, after a kill if it runs, and waits until it serves.
    ///
    /// # Panics
    /// If it ends instead.
    pub fn restart(&mut self) {
        self.kill();
        let mut child = self
            .command()
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| {
                let binary = binary();
                panic!(
                    "{}: {error}\nhint: `cargo xtask test` builds the host",
                    binary.display()
                )
            });
        let before = self.log.len();
        let stderr = child.stderr.take().expect("stderr is piped");
        let log = self.log.clone();
        let reader = std::thread::spawn(move || {
            BufReader::new(stderr)
                .lines()
                .map_while(Result::ok)
                .for_each(|line| log.push(line));
        });
        let address = wait_until("the host serves", || {
            if let Some(status) = child.try_wait().expect("the host can be asked") {
                panic!("the host ended with {status}:\n{}", self.log);
            }
            self.log.address_after(before)
        });
        self.running = Some(Running {
            child,
            address,
            reader,
        });
    }

    /// The command that starts a host on these folders; nothing is started.
    pub fn command(&self) -> Command {
        let mut command = match self.prelude.split_first() {
            Some((program, arguments)) => {
                let mut command = Command::new(program);
                command.args(arguments).arg(binary());
                command
            }
            None => Command::new(binary()),
        };
        command
            .arg("run")
            .args(&self.arguments)
            .args(["--listen", "127.0.0.1:0", "--modules"])
            .arg(self.modules())
            .arg("--data")
            .arg(self.data())
            .stdin(Stdio::null())
            .env_remove("FOLDLINE_LOG");
        for (name, _) in std::env::vars_os() {
            // Whoever runs the tests may use NATS otherwise.
            if name.to_str().is_some_and(|name| name.starts_with("NATS_")) {
                command.env_remove(name);
            }
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Kills it as `kill -9` does, if it runs. The folders stay.
    ///
    /// # Panics
    /// If it cannot be killed.
    pub fn kill(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.child.kill().expect("the host can be killed");
            running.child.wait().expect("the host can be waited for");
            running.reader.join().expect("its log was read");
        }
    }

    /// Sends it a signal (`TERM`, `INT`) and waits until it has ended.
    ///
    /// # Panics
    /// If it does not run, or does not end.
    pub fn end_with(&mut self, signal: &str) -> ExitStatus {
        let mut running = self.running.take().expect("the host runs");
        send(signal, running.child.id());
        let status = wait_until("the host ends after the signal", || {
            running.child.try_wait().expect("the host can be asked")
        });
        running.reader.join().expect("its log was read");
        status
    }

    /// Its process id.
    ///
    /// # Panics
    /// If it does not run.
    pub fn pid(&self) -> u32 {
        self.running.as_ref().expect("the host runs").child.id()
    }

    /// Whether the process still runs.
    pub fn is_running(&mut self) -> bool {
        self.running
            .as_mut()
            .is_some_and(|running| matches!(running.child.try_wait(), Ok(None)))
    }

    /// Everything it wrote to stderr since it was made.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// `http://127.0.0.1:PORT`
    ///
    /// # Panics
    /// If it does not run.
    pub fn address(&self) -> &str {
        &self.running.as_ref().expect("the host runs").address
    }

    /// The modules folder.
    pub fn modules(&self) -> PathBuf {
        self.folder("modules")
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.folder("data")
    }

    /// A file or folder of this test.
    pub fn folder(&self, name: &str) -> PathBuf {
        self.folders.path().join(name)
    }
}

/// Sends a signal (`TERM`, `INT`) to a process.
///
/// # Panics
/// If there is no such process.
pub fn send(signal: &str, pid: u32) {
    // The shell has `kill` built in everywhere; the standard library has only `kill -9`.
    let sent = Command::new("sh")
        .arg("-c")
        .arg(format!("kill -{signal} {pid}"))
        .status();
    assert!(sent.expect("sh runs").success(), "the signal was sent");
}

impl Drop for Host {
    fn drop(&mut self) {
        if std::thread::panicking() && self.running.is_some() {
            let status = self.try_get("/v1/projections").map(|answer| answer.body);
            eprintln!("--- status of the host: {status:?}");
        }
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- log of the host\n{}---", self.log);
        }
    }
}

/// `FOLDLINE_BIN`, else the binary that was built beside this test.
fn binary() -> PathBuf {
    let built = || {
        Path::join(
            &guests::profile_folder(),
            format!("foldline{}", std::env::consts::EXE_SUFFIX),
        )
    };
    std::env::var_os("FOLDLINE_BIN").map_or_else(built, PathBuf::from)
}

//! A real nats-server with JetStream, for tests: a port and a store of its own, killed on drop.

use std::io::{BufRead, BufReader, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::wait::wait_until;

pub mod certificates;
pub mod operator;

/// Longest time a server may take until it answers.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// The server's configuration, in its folder.
const CONFIG: &str = "nats-server.conf";

/// What it says, in the same folder.
const LOG: &str = "nats-server.log";

/// What is acknowledged is on disk.
const SYNCED: &str = "jetstream { sync_interval: always }";

/// A running (or killed) nats-server.
#[derive(Debug)]
pub struct NatsServer {
    folder: tempfile::TempDir,
    port: Port,
    process: Option<Child>,
}

impl NatsServer {
    /// Starts a server on a free port of 127.0.0.1, with JetStream and an empty store.
    ///
    /// # Panics
    /// If there is no nats-server, or it does not come up: a test without it has nothing to test.
    pub fn start() -> Self {
        Self::start_with("jetstream: enabled")
    }

    /// The same, with everything on disk before it is acknowledged: what was acknowledged survives a kill.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub fn start_synced() -> Self {
        Self::start_with(SYNCED)
    }

    /// The same with a configuration of one's own; its place, port and store are added.
    ///
    /// # Panics
    /// As [`start`](Self::start).
    pub fn start_with(config: &str) -> Self {
        // A program that knows nothing of reservations may take the port between the search and the start.
        let mut said = String::new();
        for _ in 0..10 {
            let folder = tempfile::tempdir().expect("a temporary folder");
            std::fs::write(folder.path().join(CONFIG), config).expect("the config can be written");
            let mut server = Self {
                folder,
                port: Port::reserve(),
                process: None,
            };
            if server.spawn().is_ok() {
                return server;
            }
            said = std::fs::read_to_string(server.folder.path().join(LOG)).unwrap_or_default();
        }
        panic!(
            "{} does not start with {config}: {said}",
            binary().display()
        );
    }

    /// `nats://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port.number)
    }

    /// Kills it without warning, as `kill -9` does. The store stays.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("nats-server can be killed");
            process.wait().expect("nats-server can be waited for");
        }
    }

    /// Restarts it with everything on disk before it is acknowledged, as [`start_synced`](Self::start_synced)
    /// does. Filling a stream first and being careful afterwards is many times faster.
    ///
    /// # Panics
    /// If it does not come up.
    pub fn restart_synced(&mut self) {
        self.kill();
        let config = self.folder.path().join(CONFIG);
        std::fs::write(config, SYNCED).expect("the config can be written");
        self.restart();
    }

    /// Kills it if it runs, and starts it again on the same port with the same store.
    ///
    /// # Panics
    /// If it does not come up.
    pub fn restart(&mut self) {
        self.kill();
        self.spawn().expect("nats-server comes back");
    }

    /// Stops it in order, as an operator does: clients are told, and have a moment to go elsewhere.
    ///
    /// # Panics
    /// If it cannot be told.
    pub fn lame_duck(&mut self) {
        let process = self.process.as_ref().expect("the server runs");
        let told = Command::new(binary())
            .args(["--signal", &format!("ldm={}", process.id())])
            .status();
        assert!(
            told.expect("nats-server can be run").success(),
            "it was told"
        );
    }

    /// Waits until it has ended by itself.
    ///
    /// # Panics
    /// If it does not.
    pub fn wait_until_ended(&mut self) {
        let process = self.process.as_mut().expect("the server runs");
        wait_until("nats-server ends", || {
            process.try_wait().expect("nats-server can be asked")
        });
        self.process = None;
    }

    /// The lines of its log that contain this.
    ///
    /// # Panics
    /// If it has no log.
    pub fn log_lines_with(&self, part: &str) -> Vec<String> {
        let log = std::fs::read_to_string(self.folder.path().join(LOG)).expect("it has a log");
        let lines = log.lines().filter(|line| line.contains(part));
        lines.map(str::to_owned).collect()
    }

    /// Publishes an event as it stands, headers that no client library would send included, and waits until the server has
    /// taken it.
    ///
    /// # Panics
    /// If the server does not take it.
    pub fn publish_raw(&self, subject: &str, headers: &[u8]) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port.number)).expect("it listens");
        let length = headers.len();
        let connect = "CONNECT {\"verbose\":false,\"headers\":true}";
        let publish = format!("{connect}\r\nHPUB {subject} {length} {length}\r\n");
        let message = [publish.as_bytes(), headers, b"\r\nPING\r\n"].concat();
        stream.write_all(&message).expect("it can be written to");
        let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
        // The first one is the greeting.
        let answer = lines.nth(1);
        assert_eq!(answer.as_deref(), Some("PONG"), "the event is taken");
    }

    /// The folder of its store, which outlives [`Self::kill`].
    pub fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    fn spawn(&mut self) -> Result<()> {
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join(LOG))?;
        let process = Command::new(binary())
            .arg("--config")
            .arg(self.folder.path().join(CONFIG))
            .args(["--addr", "127.0.0.1", "--port"])
            .arg(self.port.number.to_string())
            .arg("--store_dir")
            .arg(self.store())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| {
                format!(
                    "{} cannot be run\nhint: `cargo xtask test` provides a nats-server; or put one (2.12 or newer) on PATH, or its path into FOLDLINE_NATS_SERVER",
                    binary().display()
                )
            });
        match process {
            Ok(process) => self.process = Some(process),
            // No use in trying other ports.
            Err(error) => panic!("{error:#}"),
        }
        self.wait_until_ready()
    }

    /// Waits for the greeting that a server sends once JetStream is up.
    fn wait_until_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        while Instant::now() < deadline {
            let process = self.process.as_mut().context("it was started")?;
            if let Some(status) = process.try_wait()? {
                bail!("nats-server ended with {status}");
            }
            if greets(self.port.number) {
                return Ok(());
            }
            // The server has no way to call us: ask again, with a pause.
            std::thread::sleep(Duration::from_millis(10));
        }
        bail!("nats-server did not answer within {READY_WITHIN:?}")
    }
}

impl Drop for NatsServer {
    fn drop(&mut self) {
        self.kill();
    }
}

fn greets(port: u16) -> bool {
    let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) else {
        return false;
    };
    let mut line = String::new();
    let read = stream
        .set_read_timeout(Some(Duration::from_secs(1)))
        .and_then(|()| BufReader::new(stream).read_line(&mut line));
    read.is_ok() && line.starts_with("INFO ")
}

/// A TCP port of 127.0.0.1 that no other test on this machine gets, also not while the server is down: two
/// servers that are started at the same moment must not be taken for each other, and one that was killed must
/// be able to come back.
#[derive(Debug)]
struct Port {
    number: u16,
    /// Nothing is sent over it. UDP ports are a space of their own, and the system lets one process have each.
    _reservation: UdpSocket,
}

impl Port {
    /// A free port below those that the system gives to outgoing connections: a client that tries to reconnect
    /// to a port in that range while the server is down can take the port itself.
    fn reserve() -> Self {
        loop {
            let number = rand::random_range(15_000..32_000);
            let Ok(reservation) = UdpSocket::bind(("127.0.0.1", number)) else {
                continue;
            };
            if TcpListener::bind(("127.0.0.1", number)).is_ok() {
                return Self {
                    number,
                    _reservation: reservation,
                };
            }
        }
    }
}

/// `FOLDLINE_NATS_SERVER`, else whatever PATH has.
fn binary() -> PathBuf {
    std::env::var_os("FOLDLINE_NATS_SERVER").map_or_else(|| "nats-server".into(), PathBuf::from)
}

//! A nats-server with JetStream of one's own: free port, its data in a folder.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde::Deserialize;

use crate::Child;

const READY_WITHIN: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

/// A running server. It is ended on drop.
#[derive(Debug)]
pub struct NatsServer {
    child: Child,
    url: String,
}

/// What the server writes to the file in `--ports_file_dir` once it accepts connections.
#[derive(Deserialize)]
struct Ports {
    nats: Vec<String>,
}

impl NatsServer {
    /// Starts the server and waits until it accepts connections. Call it from the main thread, as [`Child::start`].
    ///
    /// # Errors
    /// If it cannot be started, ends, or takes too long.
    pub fn start(binary: &Path, folder: &Path) -> Result<Self> {
        let ports = folder.join("ports");
        fs::create_dir_all(&ports)?;
        let mut child = Child::start("nats-server", binary, folder, |command| {
            command.args(["--jetstream", "--addr", "127.0.0.1", "--port", "-1"]);
            command.arg("--store_dir").arg(folder.join("jetstream"));
            command.arg("--ports_file_dir").arg(&ports);
        })?;
        let deadline = Instant::now() + READY_WITHIN;
        while Instant::now() < deadline {
            child.check()?;
            if let Some(url) = read_ports(&ports) {
                return Ok(Self { child, url });
            }
            thread::sleep(POLL);
        }
        bail!("nats-server accepts no connections after {READY_WITHIN:?}")
    }

    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// `nats://127.0.0.1:PORT`
    pub fn url(&self) -> &str {
        &self.url
    }
}

/// None while the file is missing or not yet written to its end.
fn read_ports(folder: &Path) -> Option<String> {
    let file = fs::read_dir(folder).ok()?.next()?.ok()?;
    let ports: Ports = serde_json::from_slice(&fs::read(file.path()).ok()?).ok()?;
    ports.nats.into_iter().next()
}

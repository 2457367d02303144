//! A nats-server with JetStream of its own: free port, its data in a temporary folder.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use serde::Deserialize;

use crate::child::{Child, Usage};

const READY_WITHIN: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(20);

/// A running server.
pub(crate) struct NatsServer {
    child: Child,
    /// `nats://127.0.0.1:PORT`
    pub(crate) url: String,
}

/// What the server writes to the file in `--ports_file_dir` once it accepts connections.
#[derive(Deserialize)]
struct Ports {
    nats: Vec<String>,
}

impl NatsServer {
    /// Starts the server and waits until it accepts connections.
    pub(crate) fn start(binary: &Path, folder: &Path) -> Result<Self> {
        let ports = folder.join("ports");
        fs::create_dir_all(&ports)?;
        let mut child = Child::start("nats-server", binary, folder, |command| {
            command.args([
                "--jetstream",
                "--addr",
                "127.0.0.1",
                "--port",
                "-1",
                "--store_dir",
            ]);
            command
                .arg(folder.join("jetstream"))
                .arg("--ports_file_dir")
                .arg(&ports);
        })?;
        let deadline = Instant::now() + READY_WITHIN;
        while Instant::now() < deadline {
            child.check()?;
            if let Some(url) = read_ports(&ports) {
                return Ok(Self { child, url });
            }
            thread::sleep(POLL);
        }
        bail!("nats-server accepts no connections after 20 s")
    }

    /// What it has used so far.
    pub(crate) fn usage(&self) -> Result<Usage> {
        self.child.usage()
    }
}

/// None while the file is missing or not yet written to its end.
fn read_ports(folder: &Path) -> Option<String> {
    let file = fs::read_dir(folder).ok()?.next()?.ok()?;
    let ports: Ports = serde_json::from_slice(&fs::read(file.path()).ok()?).ok()?;
    ports.nats.into_iter().next()
}

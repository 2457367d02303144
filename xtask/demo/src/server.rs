//! A nats-server with JetStream for the demo alone: free port, its data in a temporary folder.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::Deserialize;
use tokio::time::{sleep, timeout};

use crate::child::Child;

const READY_WITHIN: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

/// A running server.
pub(crate) struct NatsServer {
    /// Ends the server when it is dropped.
    _child: Child,
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
    pub(crate) async fn start(binary: &Path, folder: &Path) -> Result<Self> {
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
        let url = timeout(READY_WITHIN, address(&mut child, &ports))
            .await
            .with_context(|| {
                format!("nats-server accepts no connections after {READY_WITHIN:?}")
            })??;
        Ok(Self { _child: child, url })
    }
}

async fn address(child: &mut Child, ports: &Path) -> Result<String> {
    loop {
        child.check()?;
        if let Some(url) = read_ports(ports) {
            return Ok(url);
        }
        sleep(POLL).await;
    }
}

/// None while the file is missing or not yet written to its end.
fn read_ports(folder: &Path) -> Option<String> {
    let file = fs::read_dir(folder).ok()?.next()?.ok()?;
    let ports: Ports = serde_json::from_slice(&fs::read(file.path()).ok()?).ok()?;
    ports.nats.into_iter().next()
}

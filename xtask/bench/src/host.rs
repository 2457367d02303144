//! The host process, and what it says of itself over HTTP.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use foldline_programs::Child;
use serde::Deserialize;
use xtask::process;

use crate::stage::Stage;

/// Longest time without an answer that is not "not yet".
const STUCK_AFTER: Duration = Duration::from_secs(600);
const POLL: Duration = Duration::from_millis(2);

/// A running host.
pub(crate) struct Host {
    pub(crate) child: Child,
    /// `http://127.0.0.1:PORT`
    pub(crate) url: String,
    pub(crate) agent: ureq::Agent,
    data: PathBuf,
}

/// The part of a projection's status that is looked at.
#[derive(Deserialize)]
pub(crate) struct Projection {
    pub(crate) status: String,
    pub(crate) checkpoint: u64,
    /// The live one and those beside it.
    pub(crate) generations: Vec<Generation>,
}

/// The part of a generation's status that is looked at.
#[derive(Deserialize)]
pub(crate) struct Generation {
    pub(crate) number: u32,
    pub(crate) state: String,
}

impl Host {
    /// Starts a host on `modules` and `data` in `folder`; it need not answer yet.
    pub(crate) fn start(stage: &Stage<'_>, folder: &Path, config: Option<&Path>) -> Result<Self> {
        Self::start_with(stage, folder, config, |_| ())
    }

    /// The same below another program: its command line is handed over and may be changed.
    pub(crate) fn start_with(
        stage: &Stage<'_>,
        folder: &Path,
        config: Option<&Path>,
        change: impl FnOnce(&mut Command),
    ) -> Result<Self> {
        let (data, listen) = (folder.join("data"), format!("127.0.0.1:{}", free_port()?));
        fs::create_dir_all(&data)?;
        fs::create_dir_all(folder.join("modules"))?;
        let cache = data.join(".cache");
        if !cache.exists() {
            symlink(stage.compile_cache()?, cache)?;
        }
        let child = Child::start("foldline", &stage.programs.host, folder, |command| {
            process::forget_settings(command);
            command
                .arg("run")
                .args(["--nats", stage.server.url(), "--listen", &listen]);
            command.args(["--modules", "modules", "--data", "data"]);
            if let Some(config) = config {
                command.arg("--config").arg(config);
            }
            change(command);
        })?;
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            // A proxy for the web is not meant for a host on this machine.
            .proxy(None)
            .build()
            .into();
        Ok(Self {
            child,
            url: format!("http://{listen}"),
            agent,
            data,
        })
    }

    /// Waits until a query sees event `sequence`, which wakes at once, and the projection calls itself live.
    pub(crate) fn wait_until_live(&mut self, name: &str, table: &str, sequence: u64) -> Result<()> {
        let rows =
            format!("/v1/read-models/{name}/{table}?limit=1&min_sequence={sequence}&timeout=60s");
        self.wait_for(&rows, |_| true)?;
        self.wait_for(&format!("/v1/projections/{name}"), |body| {
            let projection: Option<Projection> = serde_json::from_str(body).ok();
            projection.is_some_and(|found| found.status == "live" && found.checkpoint >= sequence)
        })
    }

    /// Asks until the answer is a good one.
    pub(crate) fn wait_for(&mut self, path: &str, is_good: impl Fn(&str) -> bool) -> Result<()> {
        let (url, deadline) = (format!("{}{path}", self.url), Instant::now() + STUCK_AFTER);
        let mut last = String::from("nothing");
        while Instant::now() < deadline {
            if let Ok(mut answer) = self.agent.get(&url).call() {
                let body = answer.body_mut().read_to_string()?;
                if answer.status() == 200 && is_good(&body) {
                    return Ok(());
                }
                last = body;
            }
            self.child.check()?;
            thread::sleep(POLL);
        }
        bail!("{url} still answers {last}")
    }

    /// What a projection says of itself.
    pub(crate) fn projection(&self, name: &str) -> Result<Projection> {
        let url = format!("{}/v1/projections/{name}", self.url);
        let mut answer = self
            .agent
            .get(&url)
            .call()
            .with_context(|| format!("GET {url}"))?;
        Ok(answer.body_mut().read_json()?)
    }

    /// Has the live version of a projection built again beside the live read model.
    pub(crate) fn rebuild(&self, name: &str) -> Result<()> {
        let url = format!("{}/v1/projections/{name}/rebuild", self.url);
        let asked = self.agent.post(&url).send_empty();
        let answer = asked.with_context(|| format!("POST {url}"))?;
        anyhow::ensure!(
            answer.status().is_success(),
            "POST {url}: {}",
            answer.status()
        );
        Ok(())
    }

    /// The SQLite file of a projection.
    pub(crate) fn database(&self, name: &str) -> Result<PathBuf> {
        let folder = self.data.join(name);
        for entry in
            fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))?
        {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "db") {
                return Ok(path);
            }
        }
        bail!("there is no read model in {}", folder.display())
    }
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("finding a free port")?;
    Ok(listener.local_addr()?.port())
}

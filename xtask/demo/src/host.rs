//! The host process, and what it says of itself over HTTP.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use foldline_programs::Child;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep};
use xtask::failure::Failure;
use xtask::process;

/// What `foldline run` listens on by default, and its client commands look at.
const DEFAULT_PORT: u16 = 7070;
/// Generous, like every limit here: a slow machine shows the same, only later.
const READY_WITHIN: Duration = Duration::from_secs(120);
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);

const PROJECTIONS: &str = "/v1/projections";

/// As an argument of `foldline query`.
const ROWS_SHOWN: &str = "5";

/// A running host.
pub(crate) struct Host {
    pub(crate) child: Child,
    /// `http://127.0.0.1:PORT`
    pub(crate) url: String,
    binary: PathBuf,
    agent: ureq::Agent,
}

/// The part of a projection's status the demo looks at.
#[derive(Clone, Deserialize)]
pub(crate) struct Projection {
    pub(crate) name: String,
    /// The version that is served.
    pub(crate) version: u32,
    /// The built copies of the read model.
    pub(crate) generations: Vec<Generation>,
    /// Of the running module: SHA-256 in hexadecimal.
    pub(crate) digest: String,
    pub(crate) status: String,
    /// Sequence of the last event applied.
    pub(crate) checkpoint: u64,
    last_error: Option<Problem>,
}

/// One built copy of a read model.
#[derive(Clone, Deserialize)]
pub(crate) struct Generation {
    /// `building`, `live`, `standby` or `failed`.
    pub(crate) state: String,
    pub(crate) events_done: u64,
    pub(crate) lag: u64,
}

/// What to show of a table.
pub(crate) struct Query<'a> {
    projection: &'a str,
    table: &'a str,
    filter: Option<&'a str>,
    /// The column to sort by, largest first.
    largest: &'a str,
}

#[derive(Clone, Deserialize)]
struct Problem {
    error: String,
    hint: Option<String>,
}

#[derive(Deserialize)]
struct RefusedModule {
    file: String,
    #[serde(flatten)]
    problem: Problem,
}

#[derive(Deserialize)]
struct Projections {
    projections: Vec<Projection>,
    modules: Vec<RefusedModule>,
}

impl Host {
    /// Starts the host on the default port, or a free one if that is taken, and waits until it
    /// answers.
    pub(crate) async fn start(binary: &Path, folder: &Path, nats: &str) -> Result<Self> {
        let listen = format!("127.0.0.1:{}", port()?);
        let child = Child::start("foldline", binary, folder, |command| {
            process::forget_settings(command);
            command.args(["run", "--nats", nats, "--listen", &listen]);
            command.arg("--modules").arg(folder.join("modules"));
            command.arg("--data").arg(folder.join("data"));
        })?;
        let url = format!("http://{listen}");
        let mut host = Self {
            child,
            url,
            binary: binary.to_owned(),
            agent: agent(),
        };
        host.wait_until_it_answers().await?;
        Ok(host)
    }

    async fn wait_until_it_answers(&mut self) -> Result<()> {
        let deadline = Instant::now() + READY_WITHIN;
        while let Err(error) = self.get::<Projections>(PROJECTIONS).await {
            if Instant::now() > deadline {
                let seconds = READY_WITHIN.as_secs();
                return Err(error.context(format!("the host does not answer after {seconds} s")));
            }
        }
        Ok(())
    }

    /// All projections by name.
    ///
    /// # Errors
    /// When one of them has failed or a module was refused: nothing of the demo may.
    pub(crate) async fn projections(&mut self) -> Result<BTreeMap<String, Projection>> {
        let answer: Projections = self.get(PROJECTIONS).await?;
        if let Some(module) = answer.modules.first() {
            bail!(
                module
                    .problem
                    .failure(&format!("the host refused {}", module.file))
            );
        }
        let mut failed = answer
            .projections
            .iter()
            .filter(|each| each.status == "failed");
        if let Some(projection) = failed.next() {
            bail!(projection.failure());
        }
        let named = answer
            .projections
            .into_iter()
            .map(|each| (each.name.clone(), each));
        Ok(named.collect())
    }

    /// How many rows of a read model match, of the first `limit`.
    pub(crate) async fn count_rows(&mut self, path_and_query: &str) -> Result<usize> {
        let path = format!("/v1/read-models/{path_and_query}");
        self.get::<Vec<serde_json::Value>>(&path)
            .await
            .map(|rows| rows.len())
    }

    /// A host that just ended is reported as that, and not as a connection that broke.
    async fn get<T: DeserializeOwned + Send + 'static>(&mut self, path: &str) -> Result<T> {
        let (agent, url) = (self.agent.clone(), format!("{}{path}", self.url));
        let answer = tokio::task::spawn_blocking(move || get(&agent, &url)).await?;
        if answer.is_err() {
            sleep(POLL).await;
            self.child.check()?;
        }
        answer
    }

    /// Shows the first rows of a table, as `foldline query` prints them.
    pub(crate) async fn query(&self, query: Query<'_>) -> Result<()> {
        let order = format!("{}.desc", query.largest);
        let mut arguments = vec!["query", query.projection, query.table];
        arguments.extend(query.filter);
        arguments.extend(["--order", &order, "--limit", ROWS_SHOWN]);
        self.show(&arguments).await
    }

    /// Runs a client command of the binary against this host, with its output on the terminal.
    pub(crate) async fn show(&self, arguments: &[&str]) -> Result<()> {
        let line = arguments.join(" ");
        println!("$ foldline {line}");
        let mut command = tokio::process::Command::new(&self.binary);
        command
            .args(arguments)
            .env("FOLDLINE_HOST", &self.url)
            .kill_on_drop(true);
        let status = command.status().await.context("starting foldline")?;
        if !status.success() {
            bail!("`foldline {line}` failed ({status})");
        }
        println!();
        Ok(())
    }

    /// What to put before `foldline` so that it finds this host; nothing on the default port.
    pub(crate) fn environment(&self) -> String {
        if self.url.ends_with(&format!(":{DEFAULT_PORT}")) {
            return String::new();
        }
        format!("FOLDLINE_HOST={} ", self.url)
    }
}

impl Projection {
    fn failure(&self) -> Failure {
        let what = format!("projection {} failed", self.name);
        match &self.last_error {
            Some(problem) => problem.failure(&what),
            None => Failure::new(what, "`foldline run` by hand shows more"),
        }
    }
}

impl<'a> Query<'a> {
    /// Rows of a table, those with the largest `largest` first.
    pub(crate) fn new(projection: &'a str, table: &'a str, largest: &'a str) -> Self {
        Self {
            projection,
            table,
            filter: None,
            largest,
        }
    }

    /// Only rows that match `column=operator.value`.
    pub(crate) fn only(self, filter: &'a str) -> Self {
        Self {
            filter: Some(filter),
            ..self
        }
    }
}

impl Problem {
    fn failure(&self, what: &str) -> Failure {
        let hint = self
            .hint
            .as_deref()
            .unwrap_or("the host's log, shown by `cargo xtask demo`");
        Failure::new(format_args!("{what}: {}", self.error), hint)
    }
}

fn get<T: DeserializeOwned>(agent: &ureq::Agent, url: &str) -> Result<T> {
    let mut answer = agent
        .get(url)
        .call()
        .with_context(|| format!("GET {url}"))?;
    answer
        .body_mut()
        .read_json()
        .with_context(|| format!("GET {url}: not the JSON expected"))
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        // A proxy for the web is not meant for a host on this machine.
        .proxy(None)
        .timeout_global(Some(ANSWER_WITHIN))
        .build()
        .into()
}

fn port() -> Result<u16> {
    let bind = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    let listener = bind(DEFAULT_PORT)
        .or_else(|_| bind(0))
        .context("finding a free port")?;
    Ok(listener.local_addr()?.port())
}

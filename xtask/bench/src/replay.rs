//! One replay of the stream from its first event, by one contender, timed from the start of its process until
//! everything is committed.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use foldline_programs::Child;
use serde::Serialize;

use crate::host::Host;
use crate::peer::DONE;
use crate::python::Script;
use crate::rows;
use crate::stage::Stage;
use crate::usage::usage;

/// Ten projections on one stream.
const MANY: usize = 10;

/// The projection that is measured, and its table.
pub(crate) const PROJECTION: &str = "order-summary";
pub(crate) const TABLE: &str = "orders";

/// The tutorials' way, and those in Python, are so slow that they get only the first events.
const FEW_EVENTS: u64 = 50_000;
const PYTHON_EVENTS: u64 = 100_000;

/// Who replays the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contender {
    Drain,
    Foldline,
    Native,
    PerEventAck,
    PerEventDoubleAck,
    Python,
    Pathway,
    Many,
}

/// What one replay took.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Replay {
    pub(crate) seconds: f64,
    /// Events read from the stream.
    pub(crate) events: u64,
    /// Events applied, over all projections.
    pub(crate) applied: u64,
    /// Processor time of the contender and of the server, in seconds.
    pub(crate) cpu: f64,
    pub(crate) server_cpu: f64,
    /// Largest resident memory of the contender, in bytes.
    pub(crate) peak: u64,
    /// What the contender wrote, in bytes.
    pub(crate) written: u64,
    /// Over the rows; none for who keeps none.
    pub(crate) rows: Option<String>,
}

impl Replay {
    /// Events applied per second.
    pub(crate) fn rate(&self) -> f64 {
        self.applied as f64 / self.seconds
    }
}

impl Contender {
    pub(crate) const ALL: [Self; 8] = [
        Self::Drain,
        Self::Foldline,
        Self::Native,
        Self::PerEventAck,
        Self::PerEventDoubleAck,
        Self::Python,
        Self::Pathway,
        Self::Many,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Drain => "drain",
            Self::Foldline => "foldline",
            Self::Native => "native",
            Self::PerEventAck => "per-event-ack",
            Self::PerEventDoubleAck => "per-event-double-ack",
            Self::Python => "python",
            Self::Pathway => "pathway",
            Self::Many => "many",
        }
    }

    /// How much of the stream it reads.
    pub(crate) fn events(self, stage: &Stage<'_>) -> u64 {
        match self {
            Self::PerEventAck | Self::PerEventDoubleAck => stage.events.min(FEW_EVENTS),
            Self::Python | Self::Pathway => stage.events.min(PYTHON_EVENTS),
            _ => stage.events,
        }
    }

    /// Installs what it needs, and gives it a stream that ends where it has to stop if it reads on otherwise.
    pub(crate) fn prepare(self, stage: &Stage<'_>) -> Result<()> {
        if let Some(script) = self.script() {
            script.interpreter(stage.programs)?;
        }
        if self == Self::Pathway {
            stage.copy_first(self.events(stage))?;
        }
        Ok(())
    }

    /// Of those written in Python.
    fn script(self) -> Option<&'static Script> {
        match self {
            Self::Python => Some(&Script::CLIENT_ALONE),
            Self::Pathway => Some(&Script::PATHWAY),
            _ => None,
        }
    }

    /// Replays the stream in a folder of its own, which is gone afterwards.
    pub(crate) fn replay(self, stage: &Stage<'_>, config: Option<&Path>) -> Result<Replay> {
        let folder = stage.run_folder()?;
        let (name, events) = (self.name(), self.events(stage));
        let replay = match (self, self.script()) {
            (Self::Foldline, _) => host(stage, folder.path(), config, &[PROJECTION.to_owned()]),
            (Self::Many, _) => host(stage, folder.path(), config, &many()),
            (_, Some(script)) => run_script(stage, folder.path(), script, events),
            _ => peer(stage, folder.path(), name, events),
        };
        replay.with_context(|| format!("replaying with {name}"))
    }
}

/// A hand-written service reading the first `events`.
pub(crate) fn peer(stage: &Stage<'_>, folder: &Path, name: &str, events: u64) -> Result<Replay> {
    let database = folder.join("orders.db");
    time(stage, folder, &stage.programs.this, events, |command| {
        command.args([
            "peer",
            name,
            "--url",
            stage.server.url(),
            "--last",
            &events.to_string(),
        ]);
        command.arg("--database").arg(&database);
    })
}

/// A service written in Python, reading the first `events`.
fn run_script(stage: &Stage<'_>, folder: &Path, script: &Script, events: u64) -> Result<Replay> {
    let python = script.interpreter(stage.programs)?;
    time(stage, folder, &python, events, |command| {
        command
            .arg(script.path())
            .args([stage.server.url(), &events.to_string(), "orders.db"]);
    })
}

/// Runs a service that makes `orders.db` in `folder` and says when it is done.
fn time(
    stage: &Stage<'_>,
    folder: &Path,
    program: &Path,
    events: u64,
    arguments: impl FnOnce(&mut Command),
) -> Result<Replay> {
    let before = usage(stage.server.id())?;
    let mut child = Child::start("peer", program, folder, |command| {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        arguments(command);
    })?;
    child.wait_for_line(DONE)?;
    let seconds = child.started().elapsed().as_secs_f64();
    let (used, server) = (usage(child.id())?, usage(stage.server.id())?);
    child.stop()?;
    let database = folder.join("orders.db");
    let rows = database
        .exists()
        .then(|| rows::hash(&database))
        .transpose()?;
    let (cpu, server_cpu) = (used.cpu, server.cpu - before.cpu);
    Ok(Replay {
        seconds,
        events,
        applied: events,
        cpu,
        server_cpu,
        peak: used.peak,
        written: used.written,
        rows,
    })
}

/// The host with the projection order-summary under each of these names.
fn host(
    stage: &Stage<'_>,
    folder: &Path,
    config: Option<&Path>,
    names: &[String],
) -> Result<Replay> {
    put_modules(stage, folder, names)?;
    let before = usage(stage.server.id())?;
    let mut host = Host::start(stage, folder, config)?;
    for name in names {
        host.wait_until_live(name, TABLE, stage.events)?;
    }
    let seconds = host.child.started().elapsed().as_secs_f64();
    let (used, server) = (usage(host.child.id())?, usage(stage.server.id())?);
    host.child.stop()?;
    let rows = equal_rows(&host, names)?;
    Ok(Replay {
        seconds,
        events: stage.events,
        applied: stage.events * names.len() as u64,
        cpu: used.cpu,
        server_cpu: server.cpu - before.cpu,
        peak: used.peak,
        written: used.written,
        rows: Some(rows),
    })
}

fn equal_rows(host: &Host, names: &[String]) -> Result<String> {
    let mut hashes = names
        .iter()
        .map(|name| rows::hash(&host.database(name)?))
        .collect::<Result<Vec<_>>>()?;
    hashes.dedup();
    match <[String; 1]>::try_from(hashes) {
        Ok([hash]) => Ok(hash),
        Err(hashes) => bail!(
            "{} projections of the same code have different rows",
            hashes.len()
        ),
    }
}

/// Names as long as that of the projection.
fn many() -> Vec<String> {
    let stem = &PROJECTION[..PROJECTION.len() - 1];
    (0..MANY).map(|number| format!("{stem}{number}")).collect()
}

/// The name of a projection is in its module. A copy under another name of the same length is made by replacing
/// it there, which keeps the code the same.
pub(crate) fn put_modules(stage: &Stage<'_>, folder: &Path, names: &[String]) -> Result<()> {
    let (modules, original) = (folder.join("modules"), stage.guest(PROJECTION));
    fs::create_dir_all(&modules)?;
    let module = fs::read(&original).with_context(|| format!("reading {}", original.display()))?;
    for name in names {
        let renamed = replaced(&module, PROJECTION.as_bytes(), name.as_bytes());
        fs::write(xtask::guests::module(&modules, name), renamed)?;
    }
    Ok(())
}

fn replaced(bytes: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    debug_assert_eq!(old.len(), new.len());
    let mut bytes = bytes.to_vec();
    let mut at = 0;
    while let Some(found) = bytes[at..]
        .windows(old.len())
        .position(|window| window == old)
    {
        at += found;
        bytes[at..at + old.len()].copy_from_slice(new);
        at += old.len();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_occurrence_of_a_name_is_replaced() {
        assert_eq!(
            replaced(b"a-one b-one one", b"one", b"two"),
            b"a-two b-two two"
        );
    }
}

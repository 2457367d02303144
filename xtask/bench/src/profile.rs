//! Where the host's time goes: one replay under perf.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use xtask::process;

use crate::child::Child;
use crate::host::Host;
use crate::replay::{PROJECTION, TABLE, put_modules};
use crate::stage::Stage;

/// Samples per second and thread; a prime, so that nothing periodic is always or never met.
const FREQUENCY: &str = "997";

/// Replays the stream once with perf attached; returns the text file with what it found.
pub(crate) fn record(stage: &Stage<'_>, config: Option<&Path>) -> Result<PathBuf> {
    let perf =
        process::on_path("perf").context("perf is not on PATH: on Debian, install linux-perf")?;
    let folder = stage.run_folder()?;
    put_modules(stage, folder.path(), &[PROJECTION.to_owned()])?;
    let results = stage.programs.results()?;
    let (data, report) = (results.join("perf.data"), results.join("profile.txt"));
    let mut host = Host::start(stage, folder.path(), config)?;
    let id = host.child.id().to_string();
    let mut recorder = Child::start("perf", &perf, folder.path(), |command| {
        command.args([
            "record",
            "--quiet",
            "--call-graph",
            "fp",
            "--freq",
            FREQUENCY,
            "--pid",
            &id,
            "--output",
        ]);
        command.arg(&data);
    })?;
    host.wait_until_live(PROJECTION, TABLE, stage.events)?;
    recorder.finish()?;
    host.child.finish()?;
    let mut command = Command::new(perf);
    command.args([
        "report",
        "--stdio",
        "--no-children",
        "--percent-limit",
        "0.4",
        "--call-graph",
        "none",
    ]);
    command
        .args(["--sort", "comm,dso,symbol", "--input"])
        .arg(&data);
    let output = File::create(&report).with_context(|| format!("creating {}", report.display()))?;
    if !command
        .stdin(Stdio::null())
        .stdout(output)
        .status()?
        .success()
    {
        bail!("perf could not read {}", data.display());
    }
    Ok(report)
}

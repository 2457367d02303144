//! Where the host's time goes: one replay under perf.

mod components;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use foldline_programs::Child;
use xtask::process;

use crate::host::Host;
use crate::replay::{PROJECTION, TABLE, put_modules};
use crate::report;
use crate::stage::Stage;

/// Samples per second and thread; a prime, so that nothing periodic is always or never met.
const FREQUENCY: u32 = 997;

/// The host has no frame pointers: stacks are copied, this many bytes, and unwound afterwards.
const STACKS: &str = "dwarf,8192";

/// Replays the stream once with perf attached, and says where the processor time went.
pub(crate) fn record(stage: &Stage<'_>, config: Option<&Path>) -> Result<()> {
    let perf =
        process::on_path("perf").context("perf is not on PATH: on Debian, install linux-perf")?;
    let folder = stage.run_folder()?;
    put_modules(stage, folder.path(), &[PROJECTION.to_owned()])?;
    let results = stage.programs.results()?;
    let data = results.join("perf.data");
    let mut host = Host::start(stage, folder.path(), config)?;
    let id = host.child.id().to_string();
    let mut recorder = Child::start("perf", &perf, folder.path(), |command| {
        command.args(["record", "--quiet", "--call-graph", STACKS, "--freq"]);
        command
            .arg(FREQUENCY.to_string())
            .args(["--pid", &id, "--output"])
            .arg(&data);
    })?;
    host.wait_until_live(PROJECTION, TABLE, stage.events)?;
    recorder.stop()?;
    host.child.stop()?;
    let functions = results.join("profile.txt");
    let by_function = [
        "report",
        "--stdio",
        "--no-children",
        "--no-inline",
        "--percent-limit",
        "0.3",
    ];
    let sort = ["--call-graph", "none", "--sort", "dso,symbol"];
    fs::write(
        &functions,
        read(&perf, &data, &[&by_function[..], &sort].concat())?,
    )?;
    let script = read(
        &perf,
        &data,
        &["script", "--no-inline", "-F", "tid,ip,sym,dso"],
    )?;
    println!(
        "{}",
        report::components(&components::count(&script), FREQUENCY, stage.events)
    );
    println!("    by function: {}", functions.display());
    Ok(())
}

fn read(perf: &Path, data: &Path, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(perf);
    command
        .args(arguments)
        .arg("--input")
        .arg(data)
        .stdin(Stdio::null())
        .stderr(Stdio::null());
    let output = command.output()?;
    if !output.status.success() {
        bail!("`perf {}` could not read {}", arguments[0], data.display());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

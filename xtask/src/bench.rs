//! `cargo xtask bench`: builds the host and the benchmark as they are released, then becomes the benchmark.

use std::env;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use clap::Args;

use crate::failure::OrFail as _;
use crate::setup::Setup;
use crate::step::step;
use crate::workspace::Workspace;
use crate::{guests, process};

/// What to measure. The benchmark parses the same arguments again, with this same type.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Order events in the stream
    #[arg(long, default_value_t = 1_000_000)]
    pub events: u64,
    /// Timed runs of each, after one that warms up
    #[arg(long, default_value_t = 5)]
    pub runs: usize,
    /// Only these, separated by commas, for example `drain,foldline,native`; the names are those of the table
    #[arg(long, value_delimiter = ',')]
    pub only: Vec<String>,
    /// What the orders' ids look like: `sequential` (as with UUIDv7 or a counter) or `random` (as with UUIDv4)
    #[arg(long, default_value = "sequential")]
    pub ids: String,
    /// A `foldline` to measure instead of the one that is built from here, such as that of `cargo xtask release`
    #[arg(long)]
    pub host: Option<PathBuf>,
    /// A foldline.toml for the host; without one it runs with its defaults
    #[arg(long)]
    pub config: Option<PathBuf>,
    /// The single steps of a replay instead: packing, guest calls, commits, subject matching
    #[arg(long, exclusive = true)]
    pub micro: bool,
    /// Record one replay of the host with perf, and write a report; needs Linux' perf
    #[arg(long)]
    pub profile: bool,
}

/// Builds, then turns this process into the benchmark.
///
/// # Errors
/// When something does not compile or the benchmark cannot be started.
pub fn run(workspace: &Workspace, setup: &Setup, options: &Options) -> Result<()> {
    if options.micro {
        return micro(workspace, setup);
    }
    let host = match &options.host {
        Some(host) => std::path::absolute(host)?,
        None => {
            build(workspace, "foldline")?;
            released(workspace, "foldline")
        }
    };
    let mut bench = command(workspace, setup, &host)?;
    bench.args(env::args_os().skip(2));
    Err(bench.exec()).or_fail(
        "the benchmark could not be started",
        "run `cargo xtask bench` again",
    )
}

/// The benchmark of this host, without arguments; builds the rest of what it needs.
///
/// # Errors
/// When something does not compile.
pub fn command(workspace: &Workspace, setup: &Setup, host: &Path) -> Result<Command> {
    build(workspace, "foldline-bench")?;
    guests::build(workspace, &setup.guest_toolchain)?;
    let mut bench = Command::new(released(workspace, "foldline-bench"));
    setup.tell(workspace, &mut bench);
    bench
        .env("FOLDLINE_BIN", host)
        .env("FOLDLINE_TOOLS", &workspace.tools)
        .env("FOLDLINE_TARGET", &workspace.target);
    Ok(bench)
}

fn build(workspace: &Workspace, package: &str) -> Result<()> {
    step(&format!("build {package} in release"), || {
        let mut build = workspace.cargo();
        process::run(build.args(["build", "--release", "--package", package]))
    })
}

fn micro(workspace: &Workspace, setup: &Setup) -> Result<()> {
    guests::build(workspace, &setup.guest_toolchain)?;
    let mut bench = workspace.cargo();
    bench.args(["bench", "--package", "foldline", "--bench", "micro"]);
    setup.tell(workspace, &mut bench);
    step("build and measure single steps", || {
        process::run(&mut bench)
    })
}

fn released(workspace: &Workspace, name: &str) -> PathBuf {
    Path::join(&workspace.target, "release").join(name)
}

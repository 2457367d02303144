//! `cargo xtask release`: the host as it is fastest, compiled a second time by what a first build counted in a training
//! run.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::failure::Failure;
use crate::setup::{self, Setup};
use crate::step::step;
use crate::workspace::Workspace;
use crate::{bench, process};

/// The versions that are called as it is done here.
const CARGO_PGO: &str = "^0.3";

/// The download has about 35 MB; rustup without a network gives up by itself before this.
const RUSTUP_LIMIT: Duration = Duration::from_secs(180);

/// The training takes two minutes here.
const TRAINING_LIMIT: Duration = Duration::from_secs(1_200);

/// What the host is trained with: replays, queries while events come, and starts.
const TRAINING: &[&str] = &[
    "--only",
    "foldline,latency,start",
    "--events",
    "500000",
    "--runs",
    "1",
];

/// Builds twice, with a training run in between, and says where the program is.
///
/// # Errors
/// When a tool is missing, something does not compile, or the training fails.
pub fn run(workspace: &Workspace, setup: &Setup) -> Result<()> {
    let compiler = compiler()?;
    ensure_profdata(workspace, &compiler)?;
    let cargo_pgo = setup::cargo_tool(workspace, "cargo-pgo", CARGO_PGO)?;
    let build = |how: &str| {
        let mut command = Command::new(&cargo_pgo);
        command
            .current_dir(&workspace.root)
            .env("CARGO_TARGET_DIR", &workspace.target)
            .args(["pgo", how, "build", "--", "--package", "foldline"]);
        process::run(&mut command)
    };
    let host = compiler.file_name().unwrap_or_default();
    let built = workspace.target.join(host).join("release/foldline");

    step("build a foldline that counts what it does", || {
        build("instrument")
    })?;
    let folder = workspace.target.join("trained");
    fs::create_dir_all(&folder).with_context(|| format!("creating {}", folder.display()))?;
    let mut training = bench::command(workspace, setup, &built)?;
    // Its figures are of a build that counts: nobody is to see them, nor find them among others.
    training.args(TRAINING).env("FOLDLINE_TARGET", &folder);
    step("train it: replays, queries, starts (two minutes)", || {
        process::run_quietly(&mut training, TRAINING_LIMIT, &folder.join("training.log"))
    })?;
    step("build foldline by what was counted", || build("optimize"))?;
    // Where neither a build nor the next training replaces it.
    let kept = folder.join("foldline");
    // By another name first: one that runs cannot be written to.
    let copy = folder.join("foldline.new");
    fs::copy(&built, &copy)
        .and_then(|_| fs::rename(&copy, &kept))
        .with_context(|| format!("copying {} to {}", built.display(), kept.display()))?;
    println!("the host is {}", kept.display());
    Ok(())
}

/// The compiler's folder of what belongs to this machine's target, which it is named after.
fn compiler() -> Result<PathBuf> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let libraries = process::read(Command::new(rustc).args(["--print", "target-libdir"]))?;
    let folder = Path::new(&libraries).parent().map(Path::to_path_buf);
    folder.with_context(|| format!("the compiler's folder {libraries} is in no other one"))
}

/// The program that reads what was counted. It must be of the compiler's own version, so no other one will do.
fn ensure_profdata(workspace: &Workspace, compiler: &Path) -> Result<()> {
    let is_there = || compiler.join("bin/llvm-profdata").is_file();
    if is_there() {
        return Ok(());
    }
    let log = workspace.tools.join("rustup.log");
    let mut rustup = Command::new("rustup");
    rustup.args(["component", "add", "llvm-tools"]);
    let added = step("ask rustup for llvm-tools (35 MB)", || {
        process::run_quietly(&mut rustup, RUSTUP_LIMIT, &log)
    });
    if is_there() {
        return Ok(());
    }
    let why = added.err().map(|error| format!(": {error:#}"));
    bail!(Failure::new(
        format_args!(
            "there is no llvm-profdata in {}{}",
            compiler.join("bin").display(),
            why.unwrap_or_default()
        ),
        "with rustup: `rustup component add llvm-tools`; without it: `cargo build --release --package foldline` \
         makes a host that takes a tenth more of the processor",
    ))
}

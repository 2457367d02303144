//! `cargo xtask soak`: builds the host as it is released, then becomes the soak.

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

/// How long, and with which faults. The soak parses the same arguments again, with this same type.
#[derive(Args, Clone, Debug)]
pub struct Options {
    /// How long: the first half with crashes of the host, the second one with all other faults and one process
    #[arg(long, default_value_t = 20)]
    pub minutes: u64,
    /// Repeats the choice of faults; printed when none is given
    #[arg(long)]
    pub seed: Option<u64>,
    /// A `foldline` to run instead of the one that is built from here
    #[arg(long)]
    pub host: Option<PathBuf>,
}

/// Builds, then turns this process into the soak.
///
/// # Errors
/// When something does not compile or the soak cannot be started.
pub fn run(workspace: &Workspace, setup: &Setup, options: &Options) -> Result<()> {
    let released = Path::join(&workspace.target, "release").join("foldline");
    if options.host.is_none() {
        step("build foldline in release", || {
            let mut build = workspace.cargo();
            build.args(["build", "--release", "--package", "foldline"]);
            process::run(&mut build)
        })?;
    }
    step("build the soak", || workspace.build(&["foldline-soak"]))?;
    guests::build(workspace, &setup.guest_toolchain)?;
    let mut soak = Command::new(workspace.binary("foldline-soak"));
    soak.args(env::args_os().skip(2));
    setup.tell(workspace, &mut soak);
    soak.env("FOLDLINE_BIN", options.host.as_ref().unwrap_or(&released));
    Err(soak.exec()).or_fail(
        "the soak could not be started",
        "run `cargo xtask soak` again",
    )
}

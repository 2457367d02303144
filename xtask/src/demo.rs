//! `cargo xtask demo`: builds everything, then becomes the program that shows it.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::Result;
use clap::Args;

use crate::failure::OrFail as _;
use crate::guests;
use crate::setup::Setup;
use crate::step::step;
use crate::workspace::Workspace;

/// How to run it.
#[derive(Args)]
pub struct Options {
    /// End after everything was shown, instead of going on until Ctrl-C
    #[arg(long)]
    once: bool,
}

/// Builds, then turns this process into the demo: one process, which gets Ctrl-C and every signal.
///
/// # Errors
/// When something does not compile or the demo cannot be started.
pub fn run(workspace: &Workspace, setup: &Setup, options: &Options) -> Result<()> {
    let binaries = ["foldline", "foldline-demo"];
    step("build the host and the demo", || workspace.build(&binaries))?;
    guests::build(workspace, &setup.guest_toolchain)?;
    let mut demo = Command::new(workspace.binary("foldline-demo"));
    demo.args(options.once.then_some("--once"));
    setup.tell(workspace, &mut demo);
    Err(demo.exec()).or_fail(
        "the demo could not be started",
        "run `cargo xtask demo` again",
    )
}

//! Developer commands: `cargo xtask setup | build-guests | test | demo`.
//!
//! In reading order: [`workspace`] knows the folders, [`process`] runs other programs, [`step`] and
//! [`failure`] are what a person sees of it. [`setup`] finds or installs the Wasm target and
//! nats-server, [`guests`] builds the projection modules, [`test`] runs every check.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "these commands talk to a person at a terminal"
)]

mod failure;
mod guests;
mod process;
mod setup;
mod step;
mod test;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::setup::Setup;
use crate::workspace::Workspace;

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Developer commands of Foldline")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Find or install what the other commands need: the Wasm target and nats-server
    Setup,
    /// Build every projection to target/wasm32-unknown-unknown/release/*.wasm
    BuildGuests,
    /// Run every check: format, lints, documentation, licences, then all tests
    Test(test::Options),
}

fn main() -> ExitCode {
    match run(&Cli::parse().task) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            failure::print(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(task: &Task) -> Result<()> {
    let workspace = Workspace::locate()?;
    let setup = Setup::complete(&workspace)?;
    match task {
        Task::Setup => {
            println!("{setup}");
            Ok(())
        }
        Task::BuildGuests => guests::build(&workspace, &setup.guest_toolchain).map(drop),
        Task::Test(options) => test::run(&workspace, &setup, options),
    }
}

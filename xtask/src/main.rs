//! Command line of the developer commands; the library says what they do.

#![allow(
    clippy::print_stdout,
    reason = "these commands talk to a person at a terminal"
)]

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use xtask::setup::Setup;
use xtask::workspace::Workspace;
use xtask::{bench, demo, failure, fuzz, guests, release, soak, test};

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
    /// Show it all at work: a private JetStream server, the host, order events, a module reloaded
    Demo(demo::Options),
    /// Build the host for production: twice, the second time by what the first one counted in a training run
    Release,
    /// Measure it: against the bare stream and a hand-written service, in one run on this machine
    Bench(bench::Options),
    /// Wear it: a steady load with random faults, rows compared with a model, memory watched
    Soak(soak::Options),
    /// Fuzz what decodes bytes from outside: each target for a minute
    Fuzz(fuzz::Options),
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
    let setup = || Setup::complete(&workspace);
    match task {
        Task::Setup => {
            println!("{}", setup()?);
            Ok(())
        }
        Task::BuildGuests => guests::build(&workspace, &setup()?.guest_toolchain).map(drop),
        Task::Test(options) => test::run(&workspace, &setup()?, options),
        Task::Demo(options) => demo::run(&workspace, &setup()?, options),
        Task::Release => release::run(&workspace, &setup()?),
        Task::Bench(options) => bench::run(&workspace, &setup()?, options),
        Task::Soak(options) => soak::run(&workspace, &setup()?, options),
        Task::Fuzz(options) => fuzz::run(&workspace, options),
    }
}

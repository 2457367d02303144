//! What `cargo xtask bench` measures: the host against the bare stream and against what people write by hand, on
//! one machine, in one run.
//!
//! [`orders`] makes the events, [`load`] publishes them to a [`server`], and together they are the [`stage`].
//! [`replay`] times one contender on it: the [`host`], or a [`peer`], each a [`child`] process. [`replays`] lets them
//! take turns and compares their [`rows`]; [`report`] says what was found, on which [`machine`].

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the benchmark talks to a person at a terminal"
)]

mod child;
mod host;
mod load;
mod machine;
mod orders;
mod peer;
mod profile;
mod replay;
mod replays;
mod report;
mod rows;
mod server;
mod stage;
mod statistics;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Parser, Subcommand};
use xtask::bench::Options;
use xtask::failure;
use xtask::step::step;

use crate::machine::Machine;
use crate::orders::Ids;
use crate::peer::Peer;
use crate::replay::Contender;
use crate::report::Report;
use crate::stage::{Programs, Stage};

#[derive(Parser)]
#[command(about = "Started by `cargo xtask bench`")]
struct Cli {
    #[command(subcommand)]
    role: Option<Role>,
    #[command(flatten)]
    options: Options,
}

#[derive(Subcommand)]
enum Role {
    /// Be one of those that the host is compared with
    Peer {
        #[command(subcommand)]
        peer: Peer,
    },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let ended = match &cli.role {
        Some(Role::Peer { peer }) => peer.run(),
        None => run(&cli.options),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            failure::print(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    let (programs, ids) = (Programs::find()?, Ids::parse(&options.ids)?);
    let contenders = chosen(&options.only)?;
    let config = options
        .config
        .as_deref()
        .map(Path::canonicalize)
        .transpose()?;
    let (machine, date) = (Machine::look(&programs), report::now());
    let stage = Stage::set(&programs, options.events, ids)?;
    let replays = step("replay in turns", || {
        replays::measure(&stage, &contenders, options.runs, config.as_deref())
    })?;
    let findings = report::compare(&replays);
    let report = Report {
        date,
        machine,
        events: options.events,
        ids: options.ids.clone(),
        replays,
        findings,
    };
    report.print();
    println!("    {}", report.write(&programs.results()?)?.display());
    if options.profile {
        let file = step("profile one replay", || {
            profile::record(&stage, config.as_deref())
        })?;
        println!("    {}", file.display());
    }
    Ok(())
}

/// All, or those that were named.
fn chosen(names: &[String]) -> Result<Vec<Contender>> {
    let known = |name: &String| {
        Contender::ALL
            .iter()
            .any(|contender| contender.name() == name)
    };
    if let Some(unknown) = names.iter().find(|name| !known(name)) {
        let all = Contender::ALL.map(Contender::name).join(", ");
        bail!("--only names {unknown}; there are {all}");
    }
    let is_chosen = |contender: &Contender| {
        names.is_empty() || names.iter().any(|name| contender.name() == name)
    };
    Ok(Contender::ALL.into_iter().filter(is_chosen).collect())
}

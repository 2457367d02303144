//! What `cargo xtask bench` measures: the host against the bare stream and against what people write by hand, on
//! one machine, in one run.
//!
//! [`orders`] makes the events, [`load`] publishes them to a server, and together they are the [`stage`]. [`mod@replay`]
//! times one contender on it: the [`host`], or a [`peer`], and says what it took ([`usage`]). [`replays`] lets them take
//! turns and compares their [`rows`]; [`measure`] has everything that is no replay; [`report`] says what was found, on which
//! [`machine`].

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the benchmark talks to a person at a terminal"
)]

mod host;
mod load;
mod machine;
mod measure;
mod orders;
mod peer;
mod profile;
mod python;
mod replay;
mod replays;
mod report;
mod rows;
mod stage;
mod statistics;
mod usage;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Parser, Subcommand};
use xtask::bench::Options;
use xtask::failure;
use xtask::step::step;

use crate::machine::Machine;
use crate::measure::{Measurement, Setting};
use crate::orders::Ids;
use crate::peer::Peer;
use crate::replay::Contender;
use crate::replays::Series;
use crate::report::{Finding, Report};
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
    let programs = Programs::find()?;
    let setting = Setting {
        programs: &programs,
        ids: Ids::parse(&options.ids)?,
        events: options.events,
        runs: options.runs,
        config: options
            .config
            .as_deref()
            .map(Path::canonicalize)
            .transpose()?,
    };
    let (contenders, measurements) = chosen(&options.only)?;
    let (machine, date) = (Machine::look(&programs), report::now());
    let (replays, mut findings) = replay(&setting, &contenders, options.profile)?;
    for measurement in measurements {
        findings.extend(measurement.take(&setting)?);
    }
    let (events, ids) = (options.events, options.ids.clone());
    let report = Report {
        date,
        machine,
        events,
        ids,
        replays,
        findings,
    };
    report.print();
    println!("\n{}", report.write(&programs.results()?)?.display());
    Ok(())
}

/// All replays on one stage.
fn replay(
    setting: &Setting<'_>,
    contenders: &[Contender],
    is_profiled: bool,
) -> Result<(Vec<Series>, Vec<Finding>)> {
    if contenders.is_empty() && !is_profiled {
        return Ok((Vec::new(), Vec::new()));
    }
    let (stage, config) = (setting.stage(setting.events)?, setting.config.as_deref());
    let contenders = able(&stage, contenders);
    let replays = step("replay in turns", || {
        replays::measure(&stage, &contenders, setting.runs, config)
    })?;
    if is_profiled {
        step("profile one replay", || profile::record(&stage, config))?;
    }
    let findings = report::compare(&replays);
    Ok((replays, findings))
}

/// Without those whose packages cannot be installed here, which is said.
fn able(stage: &Stage<'_>, contenders: &[Contender]) -> Vec<Contender> {
    let mut able = contenders.to_vec();
    able.retain(|contender| match contender.prepare(stage) {
        Ok(()) => true,
        Err(error) => {
            println!("    skipped: {} ({error:#})", contender.name());
            false
        }
    });
    able
}

/// All, or those that were named.
fn chosen(names: &[String]) -> Result<(Vec<Contender>, Vec<Measurement>)> {
    let all = Contender::ALL
        .map(Contender::name)
        .into_iter()
        .chain(Measurement::ALL.map(Measurement::name));
    let all: Vec<&str> = all.collect();
    if let Some(unknown) = names.iter().find(|name| !all.contains(&name.as_str())) {
        bail!("--only names {unknown}; there are {}", all.join(", "));
    }
    let is_chosen = |name: &str| names.is_empty() || names.iter().any(|chosen| chosen == name);
    let contenders = Contender::ALL
        .into_iter()
        .filter(|each| is_chosen(each.name()));
    let measurements = Measurement::ALL
        .into_iter()
        .filter(|each| is_chosen(each.name()));
    Ok((contenders.collect(), measurements.collect()))
}

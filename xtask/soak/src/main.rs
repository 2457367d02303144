//! What `cargo xtask soak` runs: a released host with five projections under a steady [`load`] of events, while random
//! [`faults`] happen to it. At quiet points and at the end all rows equal those of a model ([`quiet`]); memory, open files
//! and disk are sampled all the time ([`sample`]). [`report`] says what was found, and whether memory stayed flat.
//!
//! The first half kills and restarts the host again and again. In the second half it runs on as one process through
//! everything else, because only a long life tells whether memory grows.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the soak talks to a person at a terminal; what must not happen ends it with a panic, which is reported"
)]

mod faults;
mod load;
mod quiet;
mod report;
mod sample;
mod stage;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use xtask::soak::Options;

use crate::faults::Faults;
use crate::load::Load;
use crate::quiet::Quiet;
use crate::report::Report;
use crate::sample::Sampler;
use crate::stage::Stage;

/// Between two faults.
const PAUSE: std::ops::Range<Duration> = Duration::from_secs(2)..Duration::from_secs(8);

/// Between two quiet points.
const QUIET_EVERY: Duration = Duration::from_secs(100);

#[derive(Parser)]
#[command(about = "Started by `cargo xtask soak`")]
struct Cli {
    #[command(flatten)]
    options: Options,
}

fn main() -> ExitCode {
    let options = Cli::parse().options;
    let seed = options.seed.unwrap_or_else(rand::random);
    let whole = Duration::from_secs(60 * options.minutes);
    println!("soak of {} minutes, --seed {seed}", options.minutes);
    let mut report = Report::new(seed);
    let ran = catch_unwind(AssertUnwindSafe(|| run(seed, whole, &mut report)));
    println!("\n{report}");
    if ran.is_ok() && report.is_good() {
        return ExitCode::SUCCESS;
    }
    if ran.is_err() {
        eprintln!("error: the soak ended early; the reason is above");
        eprintln!("hint: `cargo xtask soak --seed {seed}` makes the same choices again");
    }
    ExitCode::FAILURE
}

fn run(seed: u64, whole: Duration, report: &mut Report) {
    let mut random = StdRng::seed_from_u64(seed);
    let load = Load::new(seed, whole);
    let mut stage = Stage::set();
    let sampler = Sampler::start(&stage.host.data());
    let mut quiet = Quiet::default();
    let started = Instant::now();
    std::thread::scope(|scope| {
        let publishing = load.publish(scope, &stage.streams);
        let mut faults = Faults::new(&mut random);
        sampler.begin_life(stage.host.pid());
        let mut next_quiet = QUIET_EVERY;
        while started.elapsed() < whole {
            let is_crash_half = started.elapsed() < whole / 2;
            faults.one(&mut stage, &sampler, is_crash_half);
            std::thread::sleep(faults.random.random_range(PAUSE));
            if started.elapsed() > next_quiet {
                next_quiet = started.elapsed() + QUIET_EVERY;
                report.compared(quiet.compare(&mut stage, &load, started.elapsed()));
            }
            report.faults = faults.counts.clone();
            report.lives = sampler.lives();
        }
        report.compared(quiet.compare(&mut stage, &load, started.elapsed()));
        drop(publishing);
    });
    stage.host.end_with("TERM");
    sampler.end_life("the end");
    report.lives = sampler.lives();
}

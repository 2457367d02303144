//! The whole product but for NATS, HTTP and the folder watch against a plain model: whatever is published, crashes,
//! restarts, reloads, fails, is retried, discarded, paused, built again and rolled back, every generation holds exactly
//! what its events make of it, and what is committed at any moment belongs to its checkpoint.
//!
//! `FOLDLINE_CASES` says how many cases each test runs. A case that fails says how to run it again; threads and files
//! take their own time, so it may need a few runs.

#![allow(
    clippy::expect_used,
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "this is test code: a panic is how a test fails, and stderr is where it explains itself"
)]

use std::panic::AssertUnwindSafe;

use foldline_tests::{cases, seed};
use futures::FutureExt as _;
use rand::RngExt as _;

mod case;
mod found;
mod host;
mod model;
mod seen;
mod steps;

use case::Case;

/// Cases of each test, of which there are four.
const CASES: u64 = 250;

fn run(test: u64) {
    let (seed, cases) = (seed(), cases(CASES));
    alone(async move {
        for case in 0..cases {
            // Far enough from each other, so that a case is run again by its own seed with FOLDLINE_CASES=1.
            let seed = if cases == 1 {
                seed
            } else {
                seed.wrapping_add(test * 1_000_000 + case)
            };
            run_case(seed).await;
        }
    });
}

/// Runs it to its end. The host of one that panics is still there, and is not waited for.
fn alone(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    if let Err(panic) = runtime.block_on(AssertUnwindSafe(work).catch_unwind()) {
        runtime.shutdown_background();
        std::panic::resume_unwind(panic);
    }
}

async fn run_case(seed: u64) {
    let mut case = Case::new(seed).await;
    let steps = case.random.random_range(5..30);
    let ran = AssertUnwindSafe(steps_of(&mut case, steps))
        .catch_unwind()
        .await;
    if let Err(panic) = ran {
        eprintln!("{}", case.log.join("\n"));
        eprintln!("this case again: FOLDLINE_SEED={seed} FOLDLINE_CASES=1");
        std::panic::resume_unwind(panic);
    }
    case.end().await;
}

async fn steps_of(case: &mut Case, steps: usize) {
    for _ in 0..steps {
        case.step().await;
    }
    if case.paused {
        case.resume().await;
    }
    case.rest().await;
}

#[test]
fn whatever_happens_every_generation_holds_what_its_events_make_of_it_1() {
    run(1);
}

#[test]
fn whatever_happens_every_generation_holds_what_its_events_make_of_it_2() {
    run(2);
}

#[test]
fn whatever_happens_every_generation_holds_what_its_events_make_of_it_3() {
    run(3);
}

#[test]
fn whatever_happens_every_generation_holds_what_its_events_make_of_it_4() {
    run(4);
}

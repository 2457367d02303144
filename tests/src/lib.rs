//! What the tests need to meet Foldline as a user does: a real nats-server, a host process, modules in a
//! folder, random order events, and a plain model that says which rows they must give.
//!
//! It does not depend on the `foldline` library, so that the library's own tests can use it, and so that
//! nothing here can be right or wrong for the same reason as the product.
//!
//! - [`nats`]: a nats-server that can be killed
//! - [`proxy`]: a network that fails without a sign
//! - [`stream`]: publishes to a stream and reads it back
//! - [`orders`]: random histories of orders
//! - [`model`]: the rows they must give
//! - [`scribe`]: what must be applied, held and recorded where events fail
//! - [`guests`]: the built projection modules
//! - [`host`]: a `foldline run` that can be killed, its folders, its log and its HTTP answers
//! - [`data`]: what a host left in its data folder
//! - [`rows`]: all rows of a table, and where they differ from those of the model
//! - [`wait`]: waiting for a condition, with an end

#![allow(
    clippy::expect_used,
    clippy::print_stderr,
    reason = "this is test code: a panic is how a test fails, and stderr is where it explains itself"
)]

pub mod data;
pub mod guests;
pub mod host;
pub mod model;
pub mod nats;
pub mod orders;
pub mod proxy;
pub mod rows;
pub mod scribe;
pub mod stream;
pub mod wait;

/// The seed of a random test: `FOLDLINE_SEED`, else a new one. It is printed, so that a failure can be
/// repeated.
///
/// # Panics
/// If `FOLDLINE_SEED` is no number.
pub fn seed() -> u64 {
    let seed = match std::env::var("FOLDLINE_SEED") {
        Ok(seed) => seed.parse().expect("FOLDLINE_SEED is a number"),
        Err(_) => rand::random(),
    };
    eprintln!("FOLDLINE_SEED={seed}");
    seed
}

/// How many random cases a test runs: `FOLDLINE_CASES`, else as many as it wants.
///
/// # Panics
/// If `FOLDLINE_CASES` is no number.
pub fn cases(wanted: u64) -> u64 {
    let cases = std::env::var("FOLDLINE_CASES").ok();
    cases.map_or(wanted, |cases| {
        cases.parse().expect("FOLDLINE_CASES is a number")
    })
}

/// The projection in README.md must compile.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

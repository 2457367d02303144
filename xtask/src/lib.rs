//! Developer commands: `cargo xtask setup | build-guests | test | demo | bench | fuzz`.
//!
//! In reading order: [`workspace`] knows the folders, [`process`] runs other programs, [`step`] and
//! [`failure`] are what a person sees of it. [`setup`] finds or installs the Wasm target and
//! nats-server, [`guests`] builds the projection modules, [`mod@test`] runs every check, [`demo`]
//! and [`mod@bench`] hand over to the crates in `xtask/demo` and `xtask/bench`, which use this library too. [`fuzz`] runs the fuzz
//! targets in `fuzz/`.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "these commands talk to a person at a terminal"
)]

pub mod bench;
pub mod demo;
pub mod failure;
pub mod fuzz;
pub mod guests;
pub mod process;
pub mod setup;
pub mod step;
pub mod test;
pub mod workspace;

//! Developer commands: `cargo xtask setup | build-guests | test | demo | release | bench | soak | fuzz`.
//!
//! In reading order: [`workspace`] knows the folders, [`process`] runs other programs, [`step`] and
//! [`failure`] are what a person sees of it. [`setup`] finds or installs the Wasm target and
//! nats-server, [`guests`] builds the projection modules, [`mod@test`] runs every check, [`demo`],
//! [`mod@bench`] and [`mod@soak`] hand over to the crates of these names beside it, which use this library too. [`release`]
//! builds the host for production, [`fuzz`] runs the fuzz targets in `fuzz/`.

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
pub mod release;
pub mod setup;
pub mod soak;
pub mod step;
pub mod test;
pub mod workspace;

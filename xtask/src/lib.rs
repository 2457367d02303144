//! Developer commands: `cargo xtask setup | build-guests | test | demo`.
//!
//! In reading order: [`workspace`] knows the folders, [`process`] runs other programs, [`step`] and
//! [`failure`] are what a person sees of it. [`setup`] finds or installs the Wasm target and
//! nats-server, [`guests`] builds the projection modules, [`mod@test`] runs every check, and [`demo`]
//! hands over to the crate in `xtask/demo`, which uses this library too.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "these commands talk to a person at a terminal"
)]

pub mod demo;
pub mod failure;
pub mod guests;
pub mod process;
pub mod setup;
pub mod step;
pub mod test;
pub mod workspace;

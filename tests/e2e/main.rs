//! Foldline as a user meets it: a real nats-server, a real host process, real modules. A module per promise.
//!
//! `cargo xtask test` builds the host and the guests first. `FOLDLINE_SEED` repeats a random run.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "this is test code: a panic is how a test fails, and stderr is where it explains itself"
)]

mod bad_events;
mod bad_modules;
mod bad_streams;
mod bad_usage;
mod broken_connections;
mod broken_disks;
mod command_line;
mod connection;
mod documents;
mod exact_rows;
mod examples;
mod faults_together;
mod freshness;
mod generations;
mod honest_lag;
mod host_crashes;
mod hostile_modules;
mod isolation;
mod kills;
mod modules_come_and_go;
mod poison;
mod reading_while_writing;
mod reload;
mod same_bytes;
mod server_crashes;
mod shutdown;
mod stream_identity;

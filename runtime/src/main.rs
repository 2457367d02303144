//! The `foldline` program: parses the command line, calls the library, says what went wrong.

use std::process::ExitCode;

mod cli;

/// glibc's allocator keeps the holes that rebuilds and reloads leave: a host doubled its memory in 20 minutes of
/// `cargo xtask soak`. With jemalloc it stays flat. The options are in `.cargo/config.toml`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    match cli::execute() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(),
    }
}

//! The `foldline` program: parses the command line, calls the library, says what went wrong.

use std::process::ExitCode;

mod cli;

/// glibc's allocator keeps the holes that rebuilds and reloads leave, so the host's memory grew for hours; jemalloc's
/// stays flat. Its options are in `.cargo/config.toml`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    match cli::execute() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(),
    }
}

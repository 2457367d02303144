//! The `foldline` program: parses the command line, calls the library, says what went wrong.

use std::process::ExitCode;

mod cli;

/// Rows are allocated value by value, which is where a replay would otherwise spend its time in the system's
/// allocator; BENCHMARKS.md has the figures.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match cli::execute() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(),
    }
}

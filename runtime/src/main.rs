//! The `foldline` program: parses the command line, calls the library, says what went wrong.

use std::process::ExitCode;

mod cli;

fn main() -> ExitCode {
    match cli::execute() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(),
    }
}

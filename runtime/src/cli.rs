//! The command line. Output for people goes to stdout as text, for programs with `--json`; errors go to stderr
//! as `error: …` and `hint: …`. Exit codes: 0 done, 1 failed, 2 wrong usage or config.

use clap::{Parser, Subcommand};

mod accept;
mod client;
mod error;
mod inspect;
mod output;
mod query;
mod run;
mod status;

pub(crate) use error::CliError;

/// Projections for NATS JetStream: sandboxed Wasm modules that turn events into read models.
#[derive(Debug, Parser)]
#[command(name = "foldline", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the host: follow the streams, keep the read models, answer queries.
    Run(run::Arguments),
    /// Show what the projections of a running host are doing.
    Status(status::Arguments),
    /// Read rows of a read model from a running host.
    Query(query::Arguments),
    /// Let a projection go on although its stream has dropped events that it had not read.
    Accept(accept::Arguments),
    /// Check a projection module file and show what is in it. Needs no host.
    Inspect(inspect::Arguments),
}

/// Does what the command line says. Wrong usage ends the process with exit code 2, as clap reports it.
pub(crate) fn execute() -> Result<(), CliError> {
    match Cli::parse().command {
        Command::Run(arguments) => run::execute(arguments),
        Command::Status(arguments) => status::execute(&arguments),
        Command::Query(arguments) => query::execute(&arguments),
        Command::Accept(arguments) => accept::execute(&arguments),
        Command::Inspect(arguments) => inspect::execute(&arguments),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_consistent() {
        super::Cli::command().debug_assert();
    }
}

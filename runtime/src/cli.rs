//! The command line. Output for people goes to stdout as text, for programs with `--json`; errors go to stderr
//! as `error: …` and `hint: …`. Exit codes: 0 done, 1 failed, 2 wrong usage or config.

use clap::{Parser, Subcommand};

mod accept;
mod client;
mod compare;
mod compile;
mod dead_letters;
mod error;
mod inspect;
mod operate;
mod output;
mod plan;
mod query;
mod run;
mod status;
mod wait;

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
    /// Say what a running host would do with a projection module file, how long that takes and how much disk it needs.
    Plan(plan::Arguments),
    /// Build a projection's live version again beside its live read model, which is then replaced.
    Rebuild(operate::Rebuild),
    /// Let the generation that is being built take the live one's place.
    Promote(operate::Arguments),
    /// Make the generation live again that was live before.
    Rollback(operate::Arguments),
    /// Compare the live read model with the one that is being built, else with the one on standby.
    Diff(compare::Diff),
    /// Build the live read model again beside it, and say whether the two are the same.
    Verify(compare::Verify),
    /// Give up what is being built of a projection, or could not be built. The live read model stays as it is.
    Cancel(operate::Arguments),
    /// Stop a projection from applying events until it is resumed, also over restarts.
    Pause(operate::Arguments),
    /// End a pause.
    Resume(operate::Arguments),
    /// Delete a projection's read models, and forget which of its events were discarded. Its module file must be gone
    /// from the modules folder.
    Remove(operate::Remove),
    /// Let a projection go on although its stream has dropped events that it had not read.
    Accept(operate::Arguments),
    /// Events that a projection could not apply: list, show, retry or discard them.
    DeadLetters(dead_letters::Arguments),
    /// Check a projection module file and show what is in it. Needs no host.
    Inspect(inspect::Arguments),
    /// Started by a host for each new module: compile what comes on stdin into the cache, within bounds.
    #[command(hide = true)]
    Compile(compile::Arguments),
}

/// Does what the command line says. Wrong usage ends the process with exit code 2, as clap reports it.
pub(crate) fn execute() -> Result<(), CliError> {
    match Cli::parse().command {
        Command::Run(arguments) => run::execute(arguments),
        Command::Status(arguments) => status::execute(&arguments),
        Command::Query(arguments) => query::execute(&arguments),
        Command::Plan(arguments) => plan::execute(&arguments),
        Command::Rebuild(arguments) => operate::rebuild(&arguments),
        Command::Promote(arguments) => operate::execute("promote", &arguments),
        Command::Rollback(arguments) => operate::execute("rollback", &arguments),
        Command::Diff(arguments) => compare::diff(&arguments),
        Command::Verify(arguments) => compare::verify(&arguments),
        Command::Cancel(arguments) => operate::execute("cancel", &arguments),
        Command::Pause(arguments) => operate::execute("pause", &arguments),
        Command::Resume(arguments) => operate::execute("resume", &arguments),
        Command::Remove(arguments) => operate::remove(&arguments),
        Command::Accept(arguments) => accept::execute(&arguments),
        Command::DeadLetters(arguments) => dead_letters::execute(&arguments),
        Command::Inspect(arguments) => inspect::execute(&arguments),
        Command::Compile(arguments) => compile::execute(&arguments),
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

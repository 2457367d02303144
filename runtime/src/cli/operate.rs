//! `foldline rebuild`, `promote`, `rollback`, `cancel`, `pause`, `resume` and `remove`: a running host is asked to do it.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use clap::Args;
use foldline::supervisor::Outcome;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::CliError;
use super::client::{Answer, Client, HostArguments};
use super::output::printable;
use super::wait::{self, Built};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The projection.
    pub(crate) name: String,
    /// Print the host's answer as JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) host: HostArguments,
}

#[derive(Debug, Args)]
pub(crate) struct Rebuild {
    #[command(flatten)]
    common: Arguments,
    /// Begin with this event, or with the first one stored at this time (2026-11-21T08:00:00Z) or later, instead of
    /// the beginning; the generation's status says so from then on.
    #[arg(long, value_name = "SEQUENCE|TIME")]
    from: Option<String>,
    /// Show its progress until it is live, or can be promoted.
    #[arg(long)]
    wait: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Remove {
    #[command(flatten)]
    common: Arguments,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

pub(crate) fn execute(command: &str, arguments: &Arguments) -> Result<(), CliError> {
    let client = Client::new(&arguments.host);
    let answer = client.post(&path(&arguments.name, command))?;
    show(&answer, arguments.json)
}

pub(crate) fn rebuild(arguments: &Rebuild) -> Result<(), CliError> {
    let from = arguments.from.as_deref();
    let from = from.map(|from| format!("?from={}", utf8_percent_encode(from, NON_ALPHANUMERIC)));
    let command = format!("rebuild{}", from.unwrap_or_default());
    let common = &arguments.common;
    if !arguments.wait {
        return execute(&command, common);
    }
    let client = Client::new(&common.host);
    let answer = client.post(&path(&common.name, &command))?;
    show(&answer, common.json)?;
    let generation = answer.parse::<Outcome>()?.generation.unwrap_or_default();
    let message = match wait::built(&client, &common.name, generation)? {
        Built::Live => format!("{} is live, built again", common.name),
        Built::Ready => format!(
            "{} is built again; `foldline promote {}` makes it live",
            common.name, common.name
        ),
        Built::Verified(_) | Built::Gone => {
            return Err(CliError::failed(format!(
                "generation {generation} of {} was replaced by another one, or given up",
                common.name
            ))
            .hint(format!("see `foldline status {}`", common.name)));
        }
    };
    if !common.json {
        writeln!(io::stdout().lock(), "{}", printable(&message))?;
    }
    Ok(())
}

pub(crate) fn remove(arguments: &Remove) -> Result<(), CliError> {
    if !arguments.yes {
        confirm(&arguments.common.name)?;
    }
    execute("remove", &arguments.common)
}

fn confirm(name: &str) -> Result<(), CliError> {
    if !io::stdin().is_terminal() {
        return Err(CliError::usage(format!(
            "the read models of {name} would be deleted, and nobody can be asked"
        ))
        .hint("say --yes if that is meant"));
    }
    let mut stdout = io::stdout().lock();
    write!(
        stdout,
        "Delete all read models of {}, and the list of its discarded events? [y/N] ",
        printable(name)
    )?;
    stdout.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    if answer.trim().eq_ignore_ascii_case("y") {
        return Ok(());
    }
    Err(CliError::failed(format!("{name} was not removed")).hint("answer y, or say --yes"))
}

pub(crate) fn path(name: &str, command: &str) -> String {
    let name = utf8_percent_encode(name, NON_ALPHANUMERIC);
    format!("/v1/projections/{name}/{command}")
}

fn show(answer: &Answer, json: bool) -> Result<(), CliError> {
    let mut stdout = io::stdout().lock();
    if json {
        return Ok(writeln!(stdout, "{}", answer.json())?);
    }
    let outcome: Outcome = answer.parse()?;
    Ok(writeln!(stdout, "{}", printable(&outcome.message))?)
}

//! `foldline accept`: go on although events are lost.

use std::io::{self, Write as _};

use clap::Args;
use foldline::source::LostEvents;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::CliError;
use super::client::{Client, HostArguments};
use super::output::{grouped, printable};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The projection, whose status says which events are lost.
    name: String,
    /// Print the host's answer as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    host: HostArguments,
}

/// The host's answer.
#[derive(Deserialize)]
struct Accepted {
    accepted: Vec<LostEvents>,
}

pub(crate) fn execute(arguments: &Arguments) -> Result<(), CliError> {
    let name = utf8_percent_encode(&arguments.name, NON_ALPHANUMERIC);
    let client = Client::new(&arguments.host);
    let answer = client.post(&format!("/v1/projections/{name}/accept"), &[])?;
    let mut stdout = io::stdout().lock();
    if arguments.json {
        return Ok(writeln!(stdout, "{}", answer.json())?);
    }
    let answer: Accepted = answer.parse()?;
    for LostEvents { first, last } in answer.accepted {
        writeln!(
            stdout,
            "{} goes on without events {} to {}",
            printable(&arguments.name),
            grouped(first),
            grouped(last)
        )?;
    }
    Ok(())
}

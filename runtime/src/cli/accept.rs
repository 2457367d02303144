//! `foldline accept`: go on although events are lost.

use std::io::{self, Write as _};

use foldline::source::LostEvents;
use serde::Deserialize;

use super::CliError;
use super::client::Client;
use super::operate::{Arguments, path};
use super::output::{grouped, printable};

/// The host's answer.
#[derive(Deserialize)]
struct Accepted {
    accepted: Vec<LostEvents>,
}

pub(crate) fn execute(arguments: &Arguments) -> Result<(), CliError> {
    let client = Client::new(&arguments.host);
    let answer = client.post(&path(&arguments.name, "accept"))?;
    let mut stdout = io::stdout().lock();
    if arguments.json {
        return Ok(writeln!(stdout, "{}", answer.json())?);
    }
    let answer: Accepted = answer.parse()?;
    let name = printable(&arguments.name);
    for lost in answer.accepted {
        writeln!(stdout, "{name} goes on without {}", lost.named(grouped))?;
    }
    Ok(())
}

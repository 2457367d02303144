//! `foldline dead-letters`: what a projection could not apply, and what is to become of it.

use std::io::{self, Write};

use clap::{Args, Subcommand};
use foldline::catalog::Discard;
use foldline::projection::Status;
use foldline::projection::requests::Settled;
use foldline::query::{DeadLetterDetails, DeadLetterSummary};
use foldline::supervisor::Outcome;
use serde::de::DeserializeOwned;

use super::CliError;
use super::client::Client;
use super::operate::{self, path};
use super::output::{grouped, printable, printable_json, shown, table};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the events that a projection could not apply.
    List(List),
    /// Show one of them, or what has stopped a generation: the event, and each attempt with what the module logged.
    Show(One),
    /// Try an event again, and what is held behind it; without a sequence, all of them in their order.
    Retry(Retry),
    /// Give an event up, for what is built later, too; what is held behind it is applied.
    Discard(One),
}

#[derive(Debug, Args)]
struct List {
    #[command(flatten)]
    common: operate::Arguments,
    #[command(flatten)]
    of: Of,
    /// List the events that were given up, instead: whatever is built passes over them where they fail.
    #[arg(long, conflicts_with = "generation")]
    discarded: bool,
}

/// Whose dead letters.
#[derive(Debug, Args)]
struct Of {
    /// Those of this generation, by its number in `foldline status NAME`; of the live one unless given.
    #[arg(long, value_name = "N")]
    generation: Option<u32>,
}

impl Of {
    /// As a parameter of a request.
    fn parameter(&self) -> String {
        let generation = self.generation;
        generation.map_or_else(String::new, |number| format!("?generation={number}"))
    }

    /// As an argument of a command.
    fn argument(&self) -> String {
        let generation = self.generation;
        generation.map_or_else(String::new, |number| format!(" --generation {number}"))
    }
}

#[derive(Debug, Args)]
struct One {
    #[command(flatten)]
    common: operate::Arguments,
    #[command(flatten)]
    of: Of,
    /// The event's sequence.
    sequence: u64,
}

#[derive(Debug, Args)]
struct Retry {
    #[command(flatten)]
    common: operate::Arguments,
    #[command(flatten)]
    of: Of,
    /// The event's sequence.
    sequence: Option<u64>,
}

pub(crate) fn execute(arguments: &Arguments) -> Result<(), CliError> {
    match &arguments.command {
        Command::List(list) if list.discarded => show_discarded(&list.common),
        Command::List(list) => show_list(&list.common, &list.of),
        Command::Show(one) => show(one),
        Command::Discard(one) => settle(&one.common, &one.of, one.sequence, "discard"),
        Command::Retry(retry) => match retry.sequence {
            Some(sequence) => settle(&retry.common, &retry.of, sequence, "retry"),
            None => retry_all(&retry.common, &retry.of),
        },
    }
}

fn client(common: &operate::Arguments) -> Client {
    Client::new(&common.host)
}

fn show_list(common: &operate::Arguments, of: &Of) -> Result<(), CliError> {
    let mut stdout = io::stdout().lock();
    let letters = all(common, of)?;
    if common.json {
        let json = serde_json::to_string(&letters).map_err(io::Error::from)?;
        return Ok(writeln!(stdout, "{}", printable_json(&json))?);
    }
    if letters.is_empty() {
        let name = printable(&common.name);
        writeln!(stdout, "{name} has no dead letters")?;
        return say_where_it_stops(common, of, &mut stdout);
    }
    let mut rows = table(["SEQUENCE", "SUBJECT", "KEY", "STATE", "ATTEMPTS", "ERROR"]);
    for letter in letters {
        rows.add_row([
            letter.sequence.to_string(),
            printable(&letter.subject),
            printable(letter.key.as_deref().unwrap_or("-")),
            state(&letter).to_owned(),
            letter.attempts_made.to_string(),
            printable(first_line(&letter.error)),
        ]);
    }
    writeln!(stdout, "{}", shown(&rows))?;
    say_where_it_stops(common, of, &mut stdout)
}

/// What has stopped a generation is no dead letter, and looked for here all the same.
fn say_where_it_stops(
    common: &operate::Arguments,
    of: &Of,
    out: &mut impl Write,
) -> Result<(), CliError> {
    let status: Status = client(common)
        .get(path(&common.name, "").trim_end_matches('/'))?
        .parse()?;
    let name = printable(&common.name);
    for generation in status.generations {
        let number = generation.number;
        if of.generation.is_some_and(|asked| asked != number) {
            continue;
        }
        let failed = generation.last_error.and_then(|problem| problem.event);
        // What was passed since is told by the status, and stops nobody.
        let failed = failed.filter(|failed| failed.event.sequence > generation.checkpoint);
        if let Some(failed) = failed {
            let sequence = failed.event.sequence;
            writeln!(
                out,
                "generation {number} has stopped at event {sequence}: `foldline dead-letters show {name} {sequence} --generation {number}`"
            )?;
        }
    }
    Ok(())
}

fn show_discarded(common: &operate::Arguments) -> Result<(), CliError> {
    let mut stdout = io::stdout().lock();
    let list = path(&common.name, "discards") + "?";
    let discards = pages(common, &list, |one: &Discard| one.event.sequence)?;
    if common.json {
        let json = serde_json::to_string(&discards).map_err(io::Error::from)?;
        return Ok(writeln!(stdout, "{}", printable_json(&json))?);
    }
    if discards.is_empty() {
        let name = printable(&common.name);
        return Ok(writeln!(stdout, "no event of {name} was discarded")?);
    }
    let mut rows = table(["SEQUENCE", "SUBJECT", "STORED", "DISCARDED"]);
    for Discard { event, discarded } in discards {
        let sequence = event.sequence.to_string();
        let texts = [event.subject, event.time, discarded].map(|text| printable(&text));
        rows.add_row([sequence].into_iter().chain(texts));
    }
    Ok(writeln!(stdout, "{}", shown(&rows))?)
}

fn all(common: &operate::Arguments, of: &Of) -> Result<Vec<DeadLetterSummary>, CliError> {
    let parameter = of.parameter();
    let joined = if parameter.is_empty() { "?" } else { "&" };
    let list = path(&common.name, "dead-letters") + &parameter + joined;
    pages(common, &list, |letter: &DeadLetterSummary| letter.sequence)
}

/// All of a list, which a host gives in pages, in the order of their sequences.
fn pages<T: DeserializeOwned>(
    common: &operate::Arguments,
    list: &str,
    sequence: impl Fn(&T) -> u64,
) -> Result<Vec<T>, CliError> {
    let client = client(common);
    let mut all: Vec<T> = Vec::new();
    loop {
        let after = all.last().map_or(0, &sequence);
        let page: Vec<T> = client.get(&format!("{list}after={after}"))?.parse()?;
        match page.last() {
            Some(last) if sequence(last) > after => all.extend(page),
            _ => return Ok(all),
        }
    }
}

fn state(letter: &DeadLetterSummary) -> &'static str {
    if letter.held { "held" } else { "skipped" }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

fn show(one: &One) -> Result<(), CliError> {
    let path = path(&one.common.name, &format!("dead-letters/{}", one.sequence));
    let path = path + &one.of.parameter();
    let answer = client(&one.common).get(&path)?;
    if one.common.json {
        return Ok(writeln!(io::stdout().lock(), "{}", answer.json())?);
    }
    print_details(&answer.parse()?)
}

fn print_details(letter: &DeadLetterDetails) -> Result<(), CliError> {
    let mut stdout = io::stdout().lock();
    let summary = &letter.summary;
    let state = match (letter.stops, summary.held) {
        (Some(generation), _) => {
            format!("not set aside: generation {generation} has stopped at it")
        }
        (None, true) => format!("held, {} events of its key in all", letter.held_events),
        (None, false) => "skipped".to_owned(),
    };
    for (name, value) in [
        ("event", summary.sequence.to_string()),
        ("time", summary.time.clone()),
        ("subject", summary.subject.clone()),
        ("key", summary.key.clone().unwrap_or_else(|| "-".into())),
        ("state", state),
        ("attempts", summary.attempts_made.to_string()),
    ] {
        writeln!(stdout, "{name:<10}{}", printable(&value))?;
    }
    for line in letter.headers.lines() {
        writeln!(stdout, "{:<10}{}", "header", printable(line))?;
    }
    let (bytes, encoding) = (grouped(letter.payload_bytes), &letter.payload_encoding);
    let cut_off = if letter.cut_off { ", cut off" } else { "" };
    let about = printable(&format!("{bytes} bytes, {encoding}{cut_off}"));
    writeln!(stdout, "{:<10}({about})", "payload")?;
    writeln!(stdout, "  {}", printable(&letter.payload))?;
    for attempt in &letter.attempts {
        let digest = attempt.digest.get(..8).unwrap_or(&attempt.digest);
        let error = printable(&attempt.error);
        writeln!(
            stdout,
            "\n{} by module {}: {error}",
            printable(&attempt.at),
            printable(digest)
        )?;
        let backtrace = attempt.backtrace.iter().flat_map(|text| text.lines());
        for line in attempt.log.iter().map(String::as_str).chain(backtrace) {
            writeln!(stdout, "  {}", printable(line))?;
        }
    }
    Ok(())
}

/// Each of them in turn; those that an earlier one took with it are not there any more.
fn retry_all(common: &operate::Arguments, of: &Of) -> Result<(), CliError> {
    let letters = all(common, of)?;
    if letters.is_empty() {
        let detail = format!("{} has no dead letters", common.name);
        return Err(CliError::failed(detail).hint("see `foldline status`"));
    }
    let mut result = Ok(());
    for letter in letters {
        result = settle(common, of, letter.sequence, "retry").and(result);
    }
    result
}

fn settle(
    common: &operate::Arguments,
    of: &Of,
    sequence: u64,
    action: &str,
) -> Result<(), CliError> {
    let path = path(&common.name, &format!("dead-letters/{sequence}/{action}"));
    let path = path + &of.parameter();
    let answer = client(common).post(&path)?;
    let outcome: Outcome = answer.parse()?;
    let mut stdout = io::stdout().lock();
    if common.json {
        writeln!(stdout, "{}", answer.json())?;
    } else {
        writeln!(stdout, "{}", printable(&outcome.message))?;
    }
    match outcome.settled {
        Some(Settled::Failed { sequence, .. }) => Err(CliError::failed(format!(
            "event {sequence} of {} failed",
            common.name
        ))
        .hint(format!(
            "`foldline dead-letters show {} {sequence}{}` shows why",
            common.name,
            of.argument()
        ))),
        _ => Ok(()),
    }
}

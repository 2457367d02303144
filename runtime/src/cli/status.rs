//! `foldline status`: what the projections of a running host are doing.

use std::io::{self, IsTerminal as _, Write};
use std::time::Duration;

use clap::Args;
use foldline::catalog::GenerationState;
use foldline::projection::lag::Behind;
use foldline::projection::{Problem, RefusedModule, State, Status};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use tokio::signal::unix::{SignalKind, signal};

use super::CliError;
use super::client::{Answer, Client, HostArguments};
use super::output::{grouped, number, printable, shown, table, text};

mod generations;

/// Time between two drawings of `--watch`.
const WATCH_EVERY: Duration = Duration::from_secs(1);

/// Moves to the top left of a terminal and clears what is below.
const CLEAR: &str = "\u{1b}[H\u{1b}[2J";

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Only this projection, with more about it.
    name: Option<String>,
    /// Print the host's answer as JSON; with --watch, one line per second.
    #[arg(long)]
    json: bool,
    /// Draw again every second until Ctrl-C.
    #[arg(long)]
    watch: bool,
    #[command(flatten)]
    host: HostArguments,
}

/// `/v1/projections`
#[derive(Deserialize)]
struct Projections {
    projections: Vec<Status>,
    modules: Vec<RefusedModule>,
}

pub(crate) fn execute(arguments: &Arguments) -> Result<(), CliError> {
    let client = Client::new(&arguments.host);
    if arguments.watch {
        return watch(&client, arguments);
    }
    let shown = show(&client, arguments)?;
    Ok(io::stdout().lock().write_all(shown.as_bytes())?)
}

/// Shows the status again and again. A host that goes away is waited for; one that was never there is an error.
fn watch(client: &Client, arguments: &Arguments) -> Result<(), CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut interrupt = {
        let _runtime = runtime.enter();
        signal(SignalKind::interrupt())?
    };
    let mut shown = show(client, arguments)?;
    loop {
        let clear = if io::stdout().is_terminal() {
            CLEAR
        } else {
            ""
        };
        let mut stdout = io::stdout().lock();
        write!(stdout, "{clear}{shown}")?;
        stdout.flush()?;
        let pause = async { tokio::time::timeout(WATCH_EVERY, interrupt.recv()).await };
        if runtime.block_on(pause).is_ok() {
            return Ok(());
        }
        shown = show(client, arguments).unwrap_or_else(|error| {
            error.tell();
            String::new()
        });
    }
}

fn show(client: &Client, arguments: &Arguments) -> Result<String, CliError> {
    let answer = match &arguments.name {
        Some(name) => {
            let name = utf8_percent_encode(name, NON_ALPHANUMERIC);
            client.get(&format!("/v1/projections/{name}"))?
        }
        None => client.get("/v1/projections")?,
    };
    let mut out = Vec::new();
    if arguments.json {
        writeln!(out, "{}", answer.json())?;
    } else {
        render(&answer, arguments.name.is_some(), &mut out)?;
    }
    Ok(String::from_utf8_lossy(&out).into_owned())
}

fn render(answer: &Answer, one: bool, out: &mut impl Write) -> Result<(), CliError> {
    if one {
        let status: Status = answer.parse()?;
        projections(std::slice::from_ref(&status), out)?;
        return Ok(details(&status, out)?);
    }
    let all: Projections = answer.parse()?;
    if all.projections.is_empty() && all.modules.is_empty() {
        writeln!(
            out,
            "no projections: put a module into the host's modules folder; a host that has just started is still looking there, or compiling what it found"
        )?;
        return Ok(());
    }
    projections(&all.projections, out)?;
    for status in &all.projections {
        let mut generations = status.generations.iter();
        let building = generations.find(|one| one.state == GenerationState::Building);
        if let Some(building) = building {
            let (name, version) = (printable(&status.name), building.version);
            writeln!(
                out,
                "\n{name} version {version}: {}",
                generations::progress(building)
            )?;
        }
        beside(status, out)?;
    }
    for module in &all.modules {
        let what = format!("{} {}", module.file, module.verdict);
        problem(&what, &module.problem, out)?;
    }
    Ok(())
}

fn projections(statuses: &[Status], out: &mut impl Write) -> io::Result<()> {
    let header = [
        "NAME",
        "VER",
        "STATUS",
        "CHECKPOINT",
        "LAST",
        "LAG",
        "BEHIND",
    ];
    let mut table = table(header);
    for status in statuses {
        table.add_row([
            text(&status.name),
            number(&status.version.to_string()),
            text(&state(status.status, &status.behind)),
            number(&grouped(status.checkpoint)),
            number(&grouped(status.last_sequence)),
            number(&grouped(status.lag)),
            number(&behind(&status.behind)),
        ]);
    }
    if !statuses.is_empty() {
        writeln!(out, "{}", shown(&table))?;
    }
    for status in statuses {
        if let Some(last_error) = &status.last_error {
            problem(&status.name, last_error, out)?;
        }
    }
    Ok(())
}

/// What waits for somebody although the live generation goes on.
fn beside(status: &Status, out: &mut impl Write) -> io::Result<()> {
    let name = printable(&status.name);
    if (status.dead_letters, status.held_keys) != (0, 0) {
        writeln!(
            out,
            "\n{name}: {} dead letters, {} held keys\n  hint: `foldline dead-letters list {name}`",
            grouped(status.dead_letters),
            grouped(status.held_keys)
        )?;
    }
    for generation in &status.generations {
        generations::awaits(&name, generation, out)?;
        if let Some(last_error) = &generation.last_error
            && generation.state != GenerationState::Live
        {
            let (number, state) = (generation.number, generation.state);
            let error = printable(&last_error.error);
            writeln!(
                out,
                "\n{name} generation {number} ({state}): {error}\n  hint: `foldline status {name}` says what to do"
            )?;
        }
    }
    Ok(())
}

fn problem(what: &str, problem: &Problem, out: &mut impl Write) -> io::Result<()> {
    let (what, error) = (printable(what), printable(&problem.error));
    writeln!(out, "\n{what}: {error} (at {})", printable(&problem.at))?;
    match &problem.hint {
        Some(hint) => writeln!(out, "  hint: {}", printable(hint)),
        None => Ok(()),
    }
}

/// What the table has no room for.
fn details(status: &Status, out: &mut impl Write) -> io::Result<()> {
    let stream = status.stream.as_deref().unwrap_or("none found yet");
    let lines = [
        ("stream", stream.to_owned()),
        ("lag", lag(status)),
        ("tables", status.tables.join(", ")),
        ("module", status.file.clone()),
        ("digest", status.digest.clone()),
        ("reloads", grouped(status.reloads)),
        ("dead letters", grouped(status.dead_letters)),
        ("held keys", grouped(status.held_keys)),
    ];
    writeln!(out)?;
    for (name, value) in lines {
        writeln!(out, "{name:<13} {}", printable(&value))?;
    }
    for warning in &status.warnings {
        writeln!(out, "{:<13} {}", "warning", printable(warning))?;
    }
    generations::show(status, out)
}

/// A state for people: one that does not get on does not catch up.
fn state(state: State, behind: &Behind) -> String {
    match behind.stalled {
        true if state != State::Failed => "stalled".to_owned(),
        _ => state.to_string(),
    }
}

/// How long the oldest waiting event has waited: `12 s`.
fn behind(behind: &Behind) -> String {
    behind.lag_seconds.map_or_else(|| "?".to_owned(), seconds)
}

/// `1,200 events, 12 s, rising: 30/s come, 10/s are applied`
fn lag(status: &Status) -> String {
    let rate = |rate: f64| grouped(rate.round() as u64);
    format!(
        "{} events, {}, {}: {}/s come, {}/s are applied",
        grouped(status.lag),
        behind(&status.behind),
        status.behind.lag_trend,
        rate(status.arriving_per_second),
        rate(status.events_per_second)
    )
}

/// A time for people: `12 s`, `3 min 20 s`, `2 h 5 min`, `3 d 2 h`.
pub(crate) fn seconds(seconds: f64) -> String {
    let whole = seconds.ceil() as u64;
    match whole {
        0..60 => format!("{whole} s"),
        60..3_600 => format!("{} min {} s", whole / 60, whole % 60),
        3_600..86_400 => format!("{} h {} min", whole / 3_600, whole % 3_600 / 60),
        _ => format!("{} d {} h", whole / 86_400, whole % 86_400 / 3_600),
    }
}

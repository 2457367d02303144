//! The generations of a projection, for people.

use std::io::{self, Write};

use foldline::catalog::GenerationState;
use foldline::projection::{Generation, Status};

use super::super::output::{grouped, number, printable, shown, table, text};
use super::{problem, seconds, state};

/// Characters of a progress bar.
const BAR: u64 = 30;

/// A table of them, and what that has no room for.
pub(super) fn show(status: &Status, out: &mut impl Write) -> io::Result<()> {
    let generations = &status.generations;
    let header = [
        "GEN",
        "VER",
        "STATE",
        "STATUS",
        "CHECKPOINT",
        "LAG",
        "LEFT",
        "DIGEST",
        "FILE",
    ];
    let mut table = table(header);
    for generation in generations {
        table.add_row([
            number(&generation.number.to_string()),
            number(&generation.version.to_string()),
            text(generation.state.as_str()),
            text(&state(generation.status, &generation.behind)),
            number(&grouped(generation.checkpoint)),
            number(&grouped(generation.lag)),
            text(&generation.seconds_left.map_or_else(String::new, seconds)),
            text(generation.digest.get(..8).unwrap_or_default()),
            text(&generation.file),
        ]);
    }
    if !generations.is_empty() {
        writeln!(out, "\n{}", shown(&table))?;
    }
    for generation in generations {
        notes(&printable(&status.name), generation, out)?;
    }
    Ok(())
}

fn notes(name: &str, generation: &Generation, out: &mut impl Write) -> io::Result<()> {
    let what = format!("generation {}", generation.number);
    if generation.state == GenerationState::Building {
        writeln!(out, "\n{what}: {}", progress(generation))?;
    }
    awaits(name, generation, out)?;
    if let Some(from) = generation.started_from {
        writeln!(out, "\n{what} begins with sequence {}", grouped(from))?;
    }
    if let Some(incident) = &generation.incident {
        let error = printable(&incident.error);
        writeln!(out, "\n{what} was begun because of this: {error}")?;
    }
    // What there is of the live one stands above.
    if generation.state == GenerationState::Live {
        return Ok(());
    }
    if (generation.dead_letters, generation.held_keys) != (0, 0) {
        writeln!(
            out,
            "\n{what}: {} dead letters, {} held keys\n  hint: `foldline dead-letters list {name} --generation {}`",
            grouped(generation.dead_letters),
            grouped(generation.held_keys),
            generation.number
        )?;
    }
    match &generation.last_error {
        Some(last_error) => problem(&what, last_error, out),
        None => Ok(()),
    }
}

/// That it waits for an operator, if it does.
pub(super) fn awaits(name: &str, generation: &Generation, out: &mut impl Write) -> io::Result<()> {
    let number = generation.number;
    match generation.awaits_promotion {
        true => writeln!(
            out,
            "generation {number} waits: `foldline promote {name}` makes it live"
        ),
        false => Ok(()),
    }
}

/// How far a generation is, for people: `[######----] 60 %, 600 of 1,000 events, 50/s, 8 s left`.
pub(super) fn progress(generation: &Generation) -> String {
    let (done, lag) = (generation.events_done, generation.lag);
    let all = (done + lag).max(1);
    let filled = usize::try_from(done.saturating_mul(BAR) / all).unwrap_or_default();
    let bar = format!("{:-<1$}", "#".repeat(filled), BAR as usize);
    let percent = done.saturating_mul(100) / all;
    let rate = grouped(generation.events_per_second.round() as u64);
    let left = generation.seconds_left.map(seconds);
    let left = left.map_or_else(String::new, |left| format!(", {left} left"));
    let (done, of) = (grouped(done), grouped(done + lag));
    format!("[{bar}] {percent} %, {done} of {of} events, {rate}/s{left}")
}

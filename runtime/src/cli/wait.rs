//! Waits for a generation that is being built, and shows how far it is.

use std::time::Duration;

use foldline::catalog::GenerationState;
use foldline::projection::{Comparison, Generation, State, Status};
use indicatif::{ProgressBar, ProgressStyle};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::CliError;
use super::client::Client;
use super::status::seconds;

/// Time between two looks.
const LOOK: Duration = Duration::from_millis(300);

/// What became of a generation that was being built.
pub(crate) enum Built {
    /// It is served.
    Live,
    /// It has caught up, and an operator has to promote it.
    Ready,
    /// It was compared with the live one.
    Verified(Box<Comparison>),
    /// It is no more.
    Gone,
}

/// Waits until a generation is built. A terminal sees a progress bar on stderr.
pub(crate) fn built(client: &Client, name: &str, number: u32) -> Result<Built, CliError> {
    let encoded = utf8_percent_encode(name, NON_ALPHANUMERIC);
    let path = format!("/v1/projections/{encoded}");
    let bar = bar();
    loop {
        let status: Status = client.get(&path)?.parse()?;
        let mut generations = status.generations.iter();
        let generation = generations.find(|one| one.number == number);
        if let Some(built) = outcome(name, &status, generation, number)? {
            bar.finish_and_clear();
            return Ok(built);
        }
        if let Some(generation) = generation {
            show(&bar, generation);
        }
        std::thread::sleep(LOOK);
    }
}

fn outcome(
    name: &str,
    status: &Status,
    generation: Option<&Generation>,
    number: u32,
) -> Result<Option<Built>, CliError> {
    let verified = status.verified.as_ref();
    if let Some(verified) = verified.filter(|verified| verified.other == number) {
        return Ok(Some(Built::Verified(Box::new(verified.clone()))));
    }
    let Some(generation) = generation else {
        return Ok(Some(Built::Gone));
    };
    match generation.state {
        GenerationState::Live | GenerationState::Standby => Ok(Some(Built::Live)),
        GenerationState::Retired => Ok(Some(Built::Gone)),
        // It waits for somebody, who would wait for it in vain.
        GenerationState::Building if generation.status == State::Failed => {
            Err(cannot_be_built(name, generation))
        }
        GenerationState::Building if generation.status == State::Paused => Err(CliError::failed(
            format!("{name} is paused, so nothing is built"),
        )
        .hint(format!("`foldline resume {name}`: it is then built on"))),
        GenerationState::Building if generation.status == State::Stopped => Err(CliError::failed(
            format!("{name} is stopped, so nothing is built"),
        )
        .hint("put its module file back into the modules folder: it is then built on")),
        GenerationState::Building => Ok(generation.awaits_promotion.then_some(Built::Ready)),
        GenerationState::Failed => Err(cannot_be_built(name, generation)),
    }
}

/// Why, and what to do about it.
fn cannot_be_built(name: &str, generation: &Generation) -> CliError {
    let problem = generation.last_error.as_ref();
    let why = problem.map_or("see its status", |problem| &problem.error);
    let hint = problem.and_then(|problem| problem.hint.clone());
    CliError::failed(format!("{name} cannot be built: {why}"))
        .hint(hint.unwrap_or_else(|| format!("see `foldline status {name}`")))
}

fn bar() -> ProgressBar {
    // Drawn on stderr, and only if that is a terminal.
    let bar = ProgressBar::new(0);
    let template = "{wide_bar} {human_pos} of {human_len} events{msg}";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

fn show(bar: &ProgressBar, generation: &Generation) {
    bar.set_length(generation.events_done + generation.lag);
    bar.set_position(generation.events_done);
    let left = generation.seconds_left.map(seconds);
    bar.set_message(left.map_or_else(String::new, |left| format!(", {left} left")));
}

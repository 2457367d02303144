//! All contenders replay the same stream in turns, so that whatever else the machine does meets all of them alike.

use std::path::Path;

use anyhow::{Result, bail};
use serde::Serialize;

use crate::machine;
use crate::replay::{Contender, Replay, peer};
use crate::stage::Stage;
use crate::statistics::Spread;

/// All timed runs of one contender.
#[derive(Serialize)]
pub(crate) struct Series {
    pub(crate) name: &'static str,
    #[serde(skip)]
    pub(crate) contender: Contender,
    pub(crate) replays: Vec<Replay>,
}

impl Series {
    fn new(contender: Contender) -> Self {
        Self {
            name: contender.name(),
            contender,
            replays: Vec::new(),
        }
    }

    /// One number of each run.
    pub(crate) fn spread(&self, number: impl Fn(&Replay) -> f64) -> Spread {
        Spread::of(self.replays.iter().map(number))
    }

    /// How many times as fast as `other`, run by run: what slows down a whole round changes no ratio.
    pub(crate) fn ratio(&self, other: &Self) -> Spread {
        let pairs = self.replays.iter().zip(&other.replays);
        Spread::of(pairs.map(|(mine, theirs)| mine.rate() / theirs.rate()))
    }
}

/// Warms up, checks that the rows are equal, then times `runs` rounds.
pub(crate) fn measure(
    stage: &Stage<'_>,
    contenders: &[Contender],
    runs: usize,
    config: Option<&Path>,
) -> Result<Vec<Series>> {
    println!("    warm-up");
    for contender in contenders {
        let replay = contender.replay(stage, config)?;
        show(*contender, &replay);
        check(stage, *contender, &replay)?;
    }
    let mut all: Vec<Series> = contenders.iter().copied().map(Series::new).collect();
    let expected = expected(stage, stage.events)?;
    for run in 1..=runs {
        println!("    run {run} of {runs}, load {:.1}", machine::load());
        for series in &mut all {
            let replay = series.contender.replay(stage, config)?;
            show(series.contender, &replay);
            if series.contender.events(stage) == stage.events {
                same(series.contender, &replay, &expected)?;
            }
            series.replays.push(replay);
        }
    }
    Ok(all)
}

fn show(contender: Contender, replay: &Replay) {
    let (name, seconds, rate) = (contender.name(), replay.seconds, replay.rate() / 1e3);
    println!("      {name:14} {seconds:8.2} s {rate:9.1} thousand events/s");
}

/// Against the rows that the native service makes of the same events.
fn check(stage: &Stage<'_>, contender: Contender, replay: &Replay) -> Result<()> {
    if replay.rows.is_none() {
        return Ok(());
    }
    same(
        contender,
        replay,
        &expected(stage, contender.events(stage))?,
    )
}

fn same(contender: Contender, replay: &Replay, expected: &str) -> Result<()> {
    match &replay.rows {
        Some(rows) if rows != expected => {
            bail!(
                "the rows of {} are not those of native: nothing is timed that does other work",
                contender.name()
            )
        }
        _ => Ok(()),
    }
}

fn expected(stage: &Stage<'_>, events: u64) -> Result<String> {
    let folder = stage.run_folder()?;
    let replay = peer(stage, folder.path(), Contender::Native.name(), events)?;
    Ok(replay.rows.unwrap_or_default())
}

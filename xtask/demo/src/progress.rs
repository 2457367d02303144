//! Bars on a terminal, and lines that stay everywhere.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, bail};
use indicatif::{HumanCount, MultiProgress, ProgressBar, ProgressStyle};
use tokio::time::{Instant, sleep};
use xtask::failure::Failure;
use xtask::step::seconds;

use crate::host::{Host, Projection};

const POLL: Duration = Duration::from_millis(50);

/// Longest time in which not one event may be applied.
const STUCK_AFTER: Duration = Duration::from_secs(120);

/// A bar that counts up to `length`; invisible where the output is no terminal.
pub(crate) fn bar(name: &str, length: u64) -> ProgressBar {
    let bar = ProgressBar::new(length);
    let template = "    {prefix:16} {wide_bar} {human_pos} of {human_len} events";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.with_prefix(name.to_owned())
}

/// Waits until every projection of `names` is live with all `events` applied, and shows it.
pub(crate) async fn catch_up(host: &mut Host, names: &[&'static str], events: u64) -> Result<()> {
    let started = Instant::now();
    let screen = MultiProgress::new();
    let mut bars: BTreeMap<&str, ProgressBar> = names
        .iter()
        .map(|name| (*name, screen.add(bar(name, events))))
        .collect();
    let mut watch = Watch::new();
    while !bars.is_empty() {
        let projections = host.projections().await?;
        watch.see(projections.values())?;
        for projection in projections.values() {
            let Some(bar) = bars.get(projection.name.as_str()) else {
                continue;
            };
            bar.set_position(projection.checkpoint.min(events));
            if projection.checkpoint >= events && projection.status == "live" {
                screen.suspend(|| finished(projection, started.elapsed()));
                bar.finish_and_clear();
                bars.remove(projection.name.as_str());
            }
        }
        sleep(POLL).await;
    }
    Ok(())
}

fn finished(projection: &Projection, elapsed: Duration) {
    let (name, events) = (&projection.name, HumanCount(projection.checkpoint));
    println!("    {name:16} {events} events in {}", seconds(elapsed));
}

/// Notices when nothing moves any more.
pub(crate) struct Watch {
    applied: u64,
    moved: Instant,
}

impl Watch {
    pub(crate) fn new() -> Self {
        Self {
            applied: 0,
            moved: Instant::now(),
        }
    }

    /// Fails when all checkpoints together have stood still for too long.
    pub(crate) fn see<'a>(
        &mut self,
        projections: impl Iterator<Item = &'a Projection>,
    ) -> Result<()> {
        let projections: Vec<&Projection> = projections.collect();
        let applied = projections
            .iter()
            .map(|projection| projection.checkpoint)
            .sum();
        if applied != self.applied {
            *self = Self {
                applied,
                moved: Instant::now(),
            };
        }
        if self.moved.elapsed() > STUCK_AFTER {
            let states = projections
                .iter()
                .map(|each| format!("{} is {} at {}", each.name, each.status, each.checkpoint));
            bail!(Failure::new(
                format_args!(
                    "no event was applied for {} s: {}",
                    STUCK_AFTER.as_secs(),
                    states.collect::<Vec<_>>().join(", ")
                ),
                "this should not happen: please report it with these lines",
            ));
        }
        Ok(())
    }
}

//! Whether ten times the events take ten times as long.

use anyhow::Result;

use super::Setting;
use crate::replay::Contender;
use crate::report::Finding;
use crate::statistics::Spread;

const TIMES: u64 = 10;

/// Large and small replays in turns.
pub(super) fn measure(setting: &Setting<'_>) -> Result<Vec<Finding>> {
    let (large, small) = (
        setting.stage(setting.events)?,
        setting.stage(setting.events / TIMES)?,
    );
    let mut ratios = Vec::new();
    for run in 0..=setting.runs {
        let seconds = |stage| -> Result<f64> {
            Ok(Contender::Foldline
                .replay(stage, setting.config.as_deref())?
                .seconds)
        };
        let (many, few) = (seconds(&large)?, seconds(&small)?);
        println!(
            "      {} events {many:.2} s, {} events {few:.2} s",
            large.events, small.events
        );
        // The first one warms up.
        if run > 0 {
            ratios.push(many / few);
        }
    }
    Ok(vec![Finding::new(
        "growth: time for ten times the events",
        Spread::of(ratios),
        "times",
        "under 11",
    )])
}

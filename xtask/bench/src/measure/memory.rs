//! The host's largest memory while it builds read models of different sizes: it must not grow with the rows.

use anyhow::Result;

use super::Setting;
use crate::orders::OrderEvents;
use crate::replay::Contender;
use crate::report::Finding;
use crate::stage::Stage;
use crate::statistics::Spread;

/// Rows for each event of `--events`: 3,000,000 by default.
const PARTS: [(u64, u64); 3] = [(1, 10), (1, 1), (3, 1)];

pub(super) fn measure(setting: &Setting<'_>) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for (times, parts) in PARTS {
        let rows = setting.events * times / parts;
        let events = OrderEvents::only_placed(rows, setting.ids);
        let stage = Stage::set_with(setting.programs, rows, events)?;
        let replay = Contender::Foldline.replay(&stage, setting.config.as_deref())?;
        let peak = replay.peak as f64 / 1024.0 / 1024.0;
        let name = format!("memory: peak of the host with {rows} rows");
        findings.push(Finding::new(name, Spread::of([peak]), "MiB", "cache + 150"));
    }
    Ok(findings)
}

//! What was measured: a table for people, and JSON for programs.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::machine::Machine;
use crate::replay::{Contender, Replay};
use crate::replays::Series;
use crate::statistics::Spread;

/// Everything one benchmark found.
#[derive(Serialize)]
pub(crate) struct Report {
    /// When it began, in UTC.
    pub(crate) date: String,
    pub(crate) machine: Machine,
    pub(crate) events: u64,
    pub(crate) ids: String,
    pub(crate) replays: Vec<Series>,
    pub(crate) findings: Vec<Finding>,
}

/// One number that has a goal, or is worth knowing.
#[derive(Serialize)]
pub(crate) struct Finding {
    pub(crate) name: String,
    pub(crate) value: Spread,
    pub(crate) unit: &'static str,
    /// What it must reach, in words.
    pub(crate) goal: &'static str,
}

impl Finding {
    pub(crate) fn new(
        name: impl Into<String>,
        value: Spread,
        unit: &'static str,
        goal: &'static str,
    ) -> Self {
        Self {
            name: name.into(),
            value,
            unit,
            goal,
        }
    }
}

pub(crate) fn now() -> String {
    OffsetDateTime::now_utc()
        .format(&Rfc3339)
        .unwrap_or_default()
}

/// Ratios between contenders of the same rounds, and what an event costs.
pub(crate) fn compare(all: &[Series]) -> Vec<Finding> {
    let find = |contender| all.iter().find(|series| series.contender == contender);
    let ratios = [
        (Contender::Foldline, Contender::Drain, "at least 0.65"),
        (Contender::Foldline, Contender::Native, "at least 1.0"),
        (Contender::Foldline, Contender::PerEventAck, "at least 20"),
        (Contender::Foldline, Contender::PerEventDoubleAck, ""),
        (Contender::Foldline, Contender::Python, "at least 10"),
        (Contender::Foldline, Contender::Pathway, "at least 3"),
        (Contender::Many, Contender::Foldline, "at least 3"),
    ];
    let mut findings = Vec::new();
    for (mine, theirs, goal) in ratios {
        if let (Some(mine), Some(theirs)) = (find(mine), find(theirs)) {
            let name = format!("{} / {}", mine.name, theirs.name);
            findings.push(Finding::new(name, mine.ratio(theirs), "times", goal));
        }
    }
    if let Some(foldline) = find(Contender::Foldline) {
        let cost = foldline.spread(|replay| replay.cpu * 1e6 / replay.events as f64);
        findings.push(Finding::new(
            "processor time per event, host",
            cost,
            "µs",
            "under 3.5",
        ));
    }
    findings
}

impl Report {
    /// Prints everything.
    pub(crate) fn print(&self) {
        let machine = &self.machine;
        println!(
            "==> {} events, ids {}, {}",
            self.events, self.ids, self.date
        );
        println!(
            "    {} × {}, {:.0} GiB, Linux {}",
            machine.cores, machine.processor, machine.memory_gib, machine.kernel
        );
        println!(
            "    {}, revision {}, load before {:.2}",
            machine.nats_server, machine.revision, machine.load_before
        );
        println!("{}\n", replays(&self.replays));
        println!("{}", findings(&self.findings));
    }

    /// Writes everything as JSON.
    pub(crate) fn write(&self, folder: &Path) -> Result<PathBuf> {
        let file = folder.join(format!("{}.json", self.date.replace(':', "")));
        let json = serde_json::to_vec_pretty(self)?;
        fs::write(&file, json).with_context(|| format!("writing {}", file.display()))?;
        Ok(file)
    }
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header(header);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

fn replays(all: &[Series]) -> Table {
    let mut table = table(&[
        "replay",
        "seconds, median",
        "min–max",
        "events/s",
        "cpu µs/event",
        "server µs/event",
        "peak MiB",
        "written MiB",
    ]);
    for series in all {
        let seconds = series.spread(|replay| replay.seconds);
        let per_event = |total: fn(&Replay) -> f64| {
            format!(
                "{:.2}",
                series
                    .spread(|replay| total(replay) * 1e6 / replay.events as f64)
                    .median
            )
        };
        let mebibytes = |bytes: fn(&Replay) -> u64| {
            let median = series.spread(|replay| bytes(replay) as f64).median;
            format!("{:.0}", median / 1024.0 / 1024.0)
        };
        table.add_row([
            series.name.to_owned(),
            format!("{:.2}", seconds.median),
            format!("{:.2}–{:.2}", seconds.min, seconds.max),
            format!("{:.0}", series.spread(Replay::rate).median),
            per_event(|replay| replay.cpu),
            per_event(|replay| replay.server_cpu),
            mebibytes(|replay| replay.peak),
            mebibytes(|replay| replay.written),
        ]);
    }
    table
}

fn findings(all: &[Finding]) -> Table {
    let mut table = table(&["", "median", "min–max", "unit", "goal"]);
    for finding in all {
        let Spread { median, min, max } = finding.value;
        let spread = format!("{}–{}", shown(min), shown(max));
        table.add_row([
            &finding.name,
            &shown(median),
            &spread,
            finding.unit,
            finding.goal,
        ]);
    }
    table
}

/// What each component took of a profile with `frequency` samples per second.
pub(crate) fn components(samples: &BTreeMap<&str, u64>, frequency: u32, events: u64) -> Table {
    let total: u64 = samples.values().sum();
    let mut sorted: Vec<_> = samples.iter().collect();
    sorted.sort_by_key(|(_, samples)| std::cmp::Reverse(**samples));
    let mut table = table(&["processor time of the host", "part", "µs/event"]);
    for (name, samples) in sorted {
        let (samples, seconds) = (*samples as f64, *samples as f64 / f64::from(frequency));
        let part = format!("{:.1} %", 100.0 * samples / total as f64);
        table.add_row([
            (*name).to_owned(),
            part,
            shown(seconds * 1e6 / events as f64),
        ]);
    }
    table
}

/// Three digits that say something.
fn shown(value: f64) -> String {
    match value.abs() {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

//! What was found.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use comfy_table::Table;
use comfy_table::presets::ASCII_MARKDOWN;

use crate::quiet::Compared;
use crate::sample::{Life, Sample};

const MIB: f64 = 1024.0 * 1024.0;

/// Rebuilds and reloads take memory for a while and give it back. A leak shows in what is never given back: the least
/// of each such stretch of time.
const STRETCH: Duration = Duration::from_secs(30);

/// The floor of memory may rise so much in the second half of the longest life, in MiB per hour: a host with 1 GiB to spare
/// would run for most of a day even so.
const GROWTH_MAX: f64 = 60.0;

/// So many stretches at least tell anything about a trend.
const STRETCHES_MIN: usize = 4;

/// Descriptors by which the most of the second half may exceed the most of the first one.
const FILES_MAX: usize = 10;

/// Everything a soak tells.
pub(crate) struct Report {
    seed: u64,
    comparisons: Vec<Compared>,
    pub(crate) faults: BTreeMap<String, u32>,
    pub(crate) lives: Vec<Life>,
}

impl Report {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            seed,
            comparisons: Vec::new(),
            faults: BTreeMap::new(),
            lives: Vec::new(),
        }
    }

    pub(crate) fn compared(&mut self, compared: Compared) {
        self.comparisons.push(compared);
    }

    /// Whether nothing grows that should not.
    pub(crate) fn is_good(&self) -> bool {
        let memory_is_flat = |life| memory_growth(life).is_none_or(|growth| growth <= GROWTH_MAX);
        let longest = self.longest();
        longest.is_some_and(|life| memory_is_flat(life) && files_are_flat(life))
    }

    fn longest(&self) -> Option<&Life> {
        self.lives.iter().max_by_key(|life| life.samples.len())
    }
}

/// The least of each stretch: its middle in hours, and MiB.
fn floor(samples: &[Sample], bytes: impl Fn(&Sample) -> u64) -> Vec<(f64, f64)> {
    let mut floor: BTreeMap<u64, f64> = BTreeMap::new();
    for sample in samples {
        let stretch = sample.at.as_secs() / STRETCH.as_secs();
        let least = floor.entry(stretch).or_insert(f64::INFINITY);
        *least = least.min(bytes(sample) as f64 / MIB);
    }
    let hours = |stretch: u64| (stretch as f64 + 0.5) * STRETCH.as_secs_f64() / 3600.0;
    floor
        .into_iter()
        .map(|(stretch, least)| (hours(stretch), least))
        .collect()
}

/// MiB per hour by which a floor rises in the second half of a life: the slope of the line that fits it best. None when it was
/// too short to tell.
fn growth(life: &Life, bytes: impl Fn(&Sample) -> u64) -> Option<f64> {
    let half = &life.samples[life.samples.len() / 2..];
    let floor = floor(half, bytes);
    (floor.len() >= STRETCHES_MIN).then(|| slope(&floor))
}

/// That of memory beside the read models' pages, which are kept in memory as they come, up to a limit of each read model.
fn memory_growth(life: &Life) -> Option<f64> {
    growth(life, |sample| sample.memory.saturating_sub(sample.pages))
}

fn slope(points: &[(f64, f64)]) -> f64 {
    let count = points.len() as f64;
    let mean = |of: fn(&(f64, f64)) -> f64| points.iter().map(of).sum::<f64>() / count;
    let (x, y) = (mean(|point| point.0), mean(|point| point.1));
    let along: f64 = points
        .iter()
        .map(|point| (point.0 - x) * (point.1 - y))
        .sum();
    let across: f64 = points.iter().map(|point| (point.0 - x).powi(2)).sum();
    along / across
}

fn files_are_flat(life: &Life) -> bool {
    let (first, second) = life.samples.split_at(life.samples.len() / 2);
    let most = |samples: &[Sample]| {
        samples
            .iter()
            .map(|sample| sample.files)
            .max()
            .unwrap_or_default()
    };
    most(second) <= most(first) + FILES_MAX
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let faults = self
            .faults
            .iter()
            .map(|(name, count)| format!("{name} {count}"));
        writeln!(f, "seed {}", self.seed)?;
        writeln!(f, "faults: {}", faults.collect::<Vec<_>>().join(", "))?;
        let rows: usize = self.comparisons.iter().map(|compared| compared.rows).sum();
        let events = self.comparisons.last().map_or(0, |last| last.events);
        let times: Vec<_> = self
            .comparisons
            .iter()
            .map(|compared| compared.at.as_secs().to_string())
            .collect();
        writeln!(
            f,
            "rows: {rows} compared in all, all equal, at {} s; {events} events at the last of these quiet points",
            times.join(", ")
        )?;
        writeln!(
            f,
            "\nprocesses of the host (MiB; the floor is the least of every {} s)\n{}",
            STRETCH.as_secs(),
            self.lives_table()
        )?;
        if let Some(longest) = self.longest() {
            writeln!(f, "\nthe longest of them\n{}", curve(longest))?;
            writeln!(f, "\n{}", verdict(longest))?;
        }
        Ok(())
    }
}

impl Report {
    fn lives_table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(ASCII_MARKDOWN).set_header([
            "ended by",
            "seconds",
            "first floor",
            "last floor",
            "peak",
            "files, most",
            "disk",
        ]);
        for life in self.lives.iter().filter(|life| !life.samples.is_empty()) {
            let floor = floor(&life.samples, |sample| sample.memory);
            let last = life.samples[life.samples.len() - 1];
            let peak = life
                .samples
                .iter()
                .map(|sample| sample.memory)
                .max()
                .unwrap_or_default();
            let files = life
                .samples
                .iter()
                .map(|sample| sample.files)
                .max()
                .unwrap_or_default();
            table.add_row([
                life.end.clone(),
                last.at.as_secs().to_string(),
                floor
                    .first()
                    .map_or_else(String::new, |floor| format!("{:.0}", floor.1)),
                floor
                    .last()
                    .map_or_else(String::new, |floor| format!("{:.0}", floor.1)),
                format!("{:.0}", peak as f64 / MIB),
                files.to_string(),
                format!("{:.0}", last.disk as f64 / MIB),
            ]);
        }
        table
    }
}

/// One line a minute.
fn curve(life: &Life) -> String {
    let most = life
        .samples
        .iter()
        .map(|sample| sample.memory)
        .max()
        .unwrap_or(1);
    let mut minutes: BTreeMap<u64, Vec<Sample>> = BTreeMap::new();
    for sample in &life.samples {
        minutes
            .entry(sample.at.as_secs() / 60)
            .or_default()
            .push(*sample);
    }
    let line = |(minute, samples): (&u64, &Vec<Sample>)| {
        let memory = samples.iter().map(|sample| sample.memory);
        let (least, peak) = (memory.clone().min().unwrap_or(0), memory.max().unwrap_or(0));
        let files = samples.iter().map(|sample| sample.files).max().unwrap_or(0);
        let disk = samples.last().map_or(0, |sample| sample.disk);
        let bar = "#".repeat(usize::try_from(40 * least / most).unwrap_or(0));
        let mib = |bytes: u64| bytes as f64 / MIB;
        format!(
            "{minute:>3} min {:>4.0} to {:>4.0} MiB  {files:>3} files  {:>5.0} MiB on disk  {bar}",
            mib(least),
            mib(peak),
            mib(disk)
        )
    };
    minutes.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn verdict(life: &Life) -> String {
    let Some(growth) = memory_growth(life) else {
        return "memory and open files: too short a life to tell".to_owned();
    };
    let word = |is_flat: bool| if is_flat { "flat" } else { "GROWING" };
    let [all, pages] = [
        |sample: &Sample| sample.memory,
        |sample: &Sample| sample.pages,
    ]
    .map(|bytes| self::growth(life, bytes).unwrap_or_default());
    format!(
        "memory: {}; in the second half its floor changes by {all:+.0} MiB/h, the pages of read models that SQLite may keep by \
         {pages:+.0}, and the floor of the rest by {growth:+.0}, of which up to {GROWTH_MAX:.0} is called flat\n\
         open files: {}",
        word(growth <= GROWTH_MAX),
        word(files_are_flat(life))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten minutes with a peak of 50 MiB twice a minute, as rebuilds make them.
    fn life(leak_mib_per_hour: f64, files_each_minute: usize) -> Life {
        let sample = |second: u64| {
            let leaked = leak_mib_per_hour * second as f64 / 3600.0;
            let peak = if second % 30 < 5 { 50.0 } else { 0.0 };
            Sample {
                at: Duration::from_secs(second),
                memory: ((80.0 + leaked + peak) * MIB) as u64 + 5 * second * 1024,
                files: 40
                    + files_each_minute * usize::try_from(second / 60).expect("a few minutes"),
                disk: 0,
                pages: 5 * second * 1024,
            }
        };
        Life {
            samples: (0..600).map(sample).collect(),
            end: String::new(),
        }
    }

    fn is_good(life: Life) -> bool {
        let mut report = Report::new(1);
        report.lives = vec![Life::default(), life];
        report.is_good()
    }

    #[test]
    fn what_is_given_back_is_no_growth_and_a_leak_is() {
        assert!(is_good(life(0.0, 0)));
        assert!(is_good(life(40.0, 0)));
        assert!(!is_good(life(80.0, 0)));
        let growth = memory_growth(&life(80.0, 0)).expect("long enough");
        assert!((growth - 80.0).abs() < 1.0, "{growth}");
        assert!(verdict(&life(80.0, 0)).contains("memory: GROWING"));
    }

    #[test]
    fn files_that_are_never_closed_are_found() {
        assert!(is_good(life(0.0, 1)));
        assert!(!is_good(life(0.0, 3)));
        assert!(verdict(&life(0.0, 3)).contains("open files: GROWING"));
    }

    #[test]
    fn a_short_life_tells_nothing() {
        let mut short = life(500.0, 0);
        short.samples.truncate(100);
        assert_eq!(memory_growth(&short), None);
    }
}

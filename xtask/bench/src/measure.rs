//! What is measured beside replays: how late a live read model is, memory, start, and growth.

mod growth;
mod latency;
mod live;
mod memory;
mod start;

use anyhow::Result;
use xtask::step::step;

use self::latency::Neighbour;
use crate::orders::Ids;
use crate::report::Finding;
use crate::stage::{Programs, Stage};

/// What all measurements know.
pub(crate) struct Setting<'p> {
    pub(crate) programs: &'p Programs,
    pub(crate) ids: Ids,
    /// Events of the largest replay.
    pub(crate) events: u64,
    /// Timed runs of each.
    pub(crate) runs: usize,
    /// A `foldline.toml`; none for the defaults.
    pub(crate) config: Option<std::path::PathBuf>,
}

/// One measurement with stages of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Measurement {
    Latency,
    Beside,
    Rebuild,
    Start,
    Growth,
    Memory,
}

impl Measurement {
    pub(crate) const ALL: [Self; 6] = [
        Self::Latency,
        Self::Beside,
        Self::Rebuild,
        Self::Start,
        Self::Growth,
        Self::Memory,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::Beside => "beside",
            Self::Rebuild => "rebuild",
            Self::Start => "start",
            Self::Growth => "growth",
            Self::Memory => "memory",
        }
    }

    /// Takes its measurement.
    pub(crate) fn take(self, setting: &Setting<'_>) -> Result<Vec<Finding>> {
        step(self.name(), || match self {
            Self::Latency => latency::alone(setting),
            Self::Beside => latency::beside(setting, Neighbour::Other),
            Self::Rebuild => latency::beside(setting, Neighbour::Rebuild),
            Self::Start => start::measure(setting),
            Self::Growth => growth::measure(setting),
            Self::Memory => memory::measure(setting),
        })
    }
}

impl Setting<'_> {
    /// A stage with the first `events`.
    pub(crate) fn stage(&self, events: u64) -> Result<Stage<'_>> {
        Stage::set(self.programs, events, self.ids)
    }
}

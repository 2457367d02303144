//! The configuration in the units and types that the parts of the host take.

use std::time::Duration;

use super::{Config, Host, Limits, Projection, Recovery, Store};
use crate::batch::BatchLimits;
use crate::guest::{CompileLimits, GuestLimits};
use crate::projection::poison::PoisonLimits;
use crate::projection::recovery::CommitLimits;

// The checked ranges fit into 64 bits. Where a size has 32 bits, what is beyond it is no limit at all.

const fn kib(count: usize) -> usize {
    count.saturating_mul(1_024)
}

const fn mib(count: usize) -> usize {
    count.saturating_mul(1_024 * 1_024)
}

impl Config {
    /// What is different for the projection of this name; the defaults where nothing is.
    pub fn projection(&self, name: &str) -> Projection {
        self.projection.get(name).cloned().unwrap_or_default()
    }

    /// How long this projection's checkpoint may stand still while events wait; none is for ever. What may be gathered
    /// for one commit is no standstill.
    pub fn stall_limit(&self, name: &str) -> Option<Duration> {
        let own = self.projection.get(name).and_then(|own| own.stall_ms);
        match own.unwrap_or(self.recovery.stall_ms) {
            0 => None,
            limit => Some(Duration::from_millis(limit) + self.store.commits().longest()),
        }
    }
}

impl Store {
    /// Bytes of the row cache of one projection.
    pub fn cache_bytes(&self) -> usize {
        mib(self.cache_mib)
    }

    /// How much is folded before a commit.
    pub fn commits(&self) -> CommitLimits {
        CommitLimits {
            events: self.commit_events,
            bytes: mib(self.commit_mib),
            time: Duration::from_millis(self.commit_ms),
        }
    }
}

impl Limits {
    /// How large a batch may become.
    pub fn batch(&self) -> BatchLimits {
        BatchLimits {
            events: self.batch_events,
            bytes: kib(self.batch_kib),
        }
    }

    /// What compiling one module may use.
    pub fn compile(&self) -> CompileLimits {
        CompileLimits {
            memory_bytes: mib(self.compile_mib) as u64,
            time: Duration::from_secs(self.compile_ms.div_ceil(1_000)),
        }
    }

    /// What one module may use.
    pub fn guest(&self) -> GuestLimits {
        GuestLimits {
            module_bytes: mib(self.module_mib),
            memory_bytes: mib(self.memory_mib),
            call: Duration::from_millis(self.call_ms),
            changes: self.changes_per_batch,
            change_bytes: mib(self.changes_mib),
            row_bytes: kib(self.row_kib),
            find_rows: self.find_rows,
            find_bytes: mib(self.find_mib),
            log_lines: self.log_lines_per_batch,
            batches: self.batches_per_instance,
        }
    }
}

impl Recovery {
    /// The wait before the first restart.
    pub fn restart_min(&self) -> Duration {
        Duration::from_millis(self.restart_min_ms)
    }

    /// How much may be set aside.
    pub fn poison(&self) -> PoisonLimits {
        PoisonLimits {
            dead_letters: self.dead_letters,
            dead_letter_bytes: kib(self.dead_letter_kib),
            held_events: self.held_events,
            held_bytes: self.held_mib * 1_024 * 1_024,
        }
    }

    /// The longest wait between restarts.
    pub fn restart_max(&self) -> Duration {
        Duration::from_millis(self.restart_max_ms)
    }
}

impl Host {
    /// What commits and requests under way get to end when the host is stopped.
    pub fn drain(&self) -> Duration {
        Duration::from_millis(self.drain_ms)
    }
}

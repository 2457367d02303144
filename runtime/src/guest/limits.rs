//! What a guest may use up, and what is said when it uses more.

use std::time::Duration;

use wasmtime::ResourceLimiter;

use crate::store::StoreError;

/// Bounds on one guest. All are set from `[limits]` of the configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GuestLimits {
    /// Largest module file, in bytes.
    pub module_bytes: usize,
    /// Largest linear memory of one instance, in bytes.
    pub memory_bytes: usize,
    /// Longest call of `project`.
    pub call: Duration,
    /// Most changes asked for per batch.
    pub changes: usize,
    /// Most bytes of keys and rows in the changes asked for per batch.
    pub change_bytes: usize,
    /// Largest row, in bytes.
    pub row_bytes: usize,
    /// Most rows one `find` gives back; a larger limit asked for is lowered to this.
    pub find_rows: usize,
    /// Most bytes of the rows that one `find` gives back.
    pub find_bytes: usize,
    /// Most log lines per batch; further ones are counted and dropped.
    pub log_lines: usize,
    /// Batches after which an instance is replaced by a fresh one; 0 is never.
    pub batches: usize,
}

impl GuestLimits {
    /// Most bytes that a guest may send to the host in one call, in either direction of calling. Larger rows than
    /// allowed are named as such up to here.
    pub(super) fn sent_bytes(&self) -> usize {
        self.row_bytes.saturating_add(SENT_BESIDES_ROWS)
    }
}

/// What a guest may send in one call beside a row: a log line, a rejection, its definition.
const SENT_BESIDES_ROWS: usize = 1 << 20;

/// Longest log line of a guest that is kept, in bytes.
pub const LOG_LINE_BYTES: usize = 4096;

/// Most core instances, memories and tables of one component. A componentised module has three, one and two.
const CORE_INSTANCES: usize = 32;

/// Most table elements of one guest: function pointers of a module that passes the size limit fit.
const TABLE_ELEMENTS: usize = 1 << 20;

/// Why a guest call did not succeed. Nothing of the batch is applied.
#[derive(Debug, thiserror::Error)]
pub enum GuestFault {
    /// The projection returned an error for one event.
    #[error("{reason}")]
    Rejected {
        /// The event's position in the batch.
        index: usize,
        /// What the projection said.
        reason: String,
    },
    /// The guest panicked or did something undefined.
    #[error("the module trapped: {reason}")]
    Trap {
        /// The panic message where there was one, else the trap.
        reason: String,
    },
    /// The call took too long and was stopped.
    #[error("time limit reached: the call ran for more than {} ms", .limit.as_millis())]
    Time {
        /// `limits.call_ms`.
        limit: Duration,
    },
    /// The guest wanted more memory than it may have.
    #[error("memory limit reached: {wanted} bytes wanted, {limit} allowed")]
    Memory {
        /// Size after the refused growth.
        wanted: usize,
        /// `limits.memory_mib`, in bytes.
        limit: usize,
    },
    /// The guest asked for more changes than it may in one batch.
    #[error("changes limit reached: more than {limit} changes in one batch")]
    Changes {
        /// `limits.changes_per_batch`.
        limit: usize,
    },
    /// The guest asked for changes of more bytes than it may in one batch.
    #[error("changes limit reached: more than {limit} bytes of changes in one batch")]
    ChangeBytes {
        /// `limits.changes_mib`, in bytes.
        limit: usize,
    },
    /// The guest wrote a row that is too large.
    #[error("row limit reached: a row of table {table} has {bytes} bytes, {limit} allowed")]
    Row {
        /// The table.
        table: String,
        /// The row's size.
        bytes: usize,
        /// `limits.row_kib`, in bytes.
        limit: usize,
    },
    /// The guest asked for more rows in one `find` than fit.
    #[error(
        "find limit reached: the rows of one find in table {table} have more than {limit} bytes"
    )]
    Find {
        /// The table.
        table: String,
        /// `limits.find_mib`, in bytes.
        limit: usize,
    },
    /// The guest sent too much in one call.
    #[error("size limit reached: the module sent more than {limit} bytes in one call")]
    Sent {
        /// `limits.row_kib` and 1 MiB, in bytes.
        limit: usize,
    },
    /// The guest used the read model against its own definition.
    #[error("the module used its read model wrongly: {0}")]
    Misuse(String),
    /// The read model itself failed: not the guest's fault.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl GuestFault {
    /// Whether another limit in the configuration would help.
    pub fn is_by_a_limit(&self) -> bool {
        !matches!(
            self,
            Self::Rejected { .. } | Self::Trap { .. } | Self::Misuse(_) | Self::Store(_)
        )
    }

    /// What a person can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Rejected { .. } | Self::Trap { .. } => {
                "mend the projection and put the new module into the modules folder: it goes on from here"
            }
            Self::Time { .. } => {
                "make the projection do less per event, or raise limits.call_ms or lower limits.batch_events and restart the host"
            }
            Self::Memory { .. } => {
                "raise limits.memory_mib or lower limits.batch_kib, and restart the host"
            }
            Self::Changes { .. } => {
                "raise limits.changes_per_batch or lower limits.batch_events, and restart the host"
            }
            Self::ChangeBytes { .. } => {
                "raise limits.changes_mib or lower limits.batch_events, and restart the host"
            }
            Self::Row { .. } => {
                "split the row over several, or raise limits.row_kib and restart the host"
            }
            Self::Find { .. } => {
                "find fewer rows at once, or raise limits.find_mib and restart the host"
            }
            Self::Sent { .. } => {
                "send less in one row, log line or error, or raise limits.row_kib and restart the host"
            }
            Self::Misuse(_) => "build the module with a current foldline-sdk, which cannot do this",
            Self::Store(error) => error.hint(),
        }
    }
}

/// Counts what a guest holds over all its memories and tables; refuses growth beyond the limit and remembers it.
///
/// What is granted stays counted, also where the engine then has no room for it: the engine reports a growth as failed
/// that it never asked for as well, so that taking failures off the count would take off what was given before.
#[derive(Debug)]
pub(super) struct MemoryMeter {
    limit: usize,
    used: usize,
    table_elements: usize,
    pub(super) refused: Option<usize>,
}

impl MemoryMeter {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit,
            used: 0,
            table_elements: 0,
            refused: None,
        }
    }
}

/// Whether a memory or a table may be that large by its own type. The engine would fail such a growth only after it was
/// granted and counted.
fn fits_its_type(desired: usize, maximum: Option<usize>) -> bool {
    maximum.is_none_or(|maximum| desired <= maximum)
}

impl ResourceLimiter for MemoryMeter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if !fits_its_type(desired, maximum) {
            return Ok(false);
        }
        let grown = desired.saturating_sub(current);
        let wanted = self.used.saturating_add(grown);
        if wanted <= self.limit {
            self.used = wanted;
            return Ok(true);
        }
        self.refused = Some(wanted);
        Ok(false)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let grown = desired.saturating_sub(current);
        let wanted = self.table_elements.saturating_add(grown);
        let fits = fits_its_type(desired, maximum) && wanted <= TABLE_ELEMENTS;
        if fits {
            self.table_elements = wanted;
        }
        Ok(fits)
    }

    fn instances(&self) -> usize {
        CORE_INSTANCES
    }

    fn memories(&self) -> usize {
        CORE_INSTANCES
    }

    fn tables(&self) -> usize {
        CORE_INSTANCES
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_refused_counts_as_nothing_and_what_fails_takes_nothing_off() {
        let mut meter = MemoryMeter::new(100);
        assert!(meter.memory_growing(0, 90, None).unwrap());
        assert!(!meter.memory_growing(1, usize::MAX, None).unwrap());
        assert!(!meter.memory_growing(90, 95, Some(90)).unwrap());
        let failed = wasmtime::Error::msg("memory growth exceeds memory type's limits");
        meter.memory_grow_failed(failed).unwrap();
        assert!(!meter.memory_growing(0, 11, None).unwrap());
        assert!(meter.memory_growing(0, 10, None).unwrap());

        assert!(!meter.table_growing(1, usize::MAX, None).unwrap());
        assert!(!meter.table_growing(0, 2, Some(1)).unwrap());
        assert!(meter.table_growing(0, TABLE_ELEMENTS, None).unwrap());
        let failed = wasmtime::Error::msg("overflow calculating new table size");
        meter.table_grow_failed(failed).unwrap();
        assert!(!meter.table_growing(0, 1, None).unwrap());
    }

    #[test]
    fn memory_is_counted_over_all_memories_of_a_guest() {
        let mut meter = MemoryMeter::new(100);
        assert!(meter.memory_growing(0, 60, None).unwrap());
        assert!(!meter.memory_growing(0, 50, None).unwrap());
        assert_eq!(meter.refused, Some(110));
        assert!(meter.memory_growing(60, 100, None).unwrap());
    }

    #[test]
    fn table_elements_are_counted_over_all_tables_of_a_guest() {
        let mut meter = MemoryMeter::new(0);
        assert!(meter.table_growing(0, TABLE_ELEMENTS, None).unwrap());
        assert!(!meter.table_growing(0, 1, None).unwrap());
    }
}

//! What the current call of a guest has changed, so that it can be taken back.

use super::{Known, Place};

/// Memory for rows that is kept for the next call, in bytes.
const BYTES_KEPT: usize = 1 << 20;

/// The changes of one call, in their order.
#[derive(Debug, Default)]
pub(super) struct Steps {
    steps: Vec<Step>,
    /// The rows that stood there before these steps, one after the other.
    rows: Vec<u8>,
}

/// One change: what was known of the place before.
#[derive(Debug)]
struct Step {
    place: Place,
    known: Known,
    /// Where its row begins in [`Steps::rows`]; it ends where the next one begins.
    row: usize,
}

impl Steps {
    /// What stands at `place` is about to change.
    pub(super) fn note(&mut self, place: Place, known: Known, row: Option<&[u8]>) {
        let begin = self.rows.len();
        self.rows.extend_from_slice(row.unwrap_or_default());
        self.steps.push(Step {
            place,
            known,
            row: begin,
        });
    }

    /// The changes stay.
    pub(super) fn forget(&mut self) {
        self.steps.clear();
        self.rows.clear();
        self.rows.shrink_to(BYTES_KEPT);
    }

    /// Says what stood where, from the last change to the first, and forgets it.
    pub(super) fn take_back(&mut self, mut undo: impl FnMut(Place, Known, &[u8])) {
        while let Some(step) = self.steps.pop() {
            undo(step.place, step.known, &self.rows[step.row..]);
            self.rows.truncate(step.row);
        }
    }
}

//! What becomes of dead letters and held events until it is committed.

use crate::store::dead_letters::DeadLetterChange;

/// Steps in their order: first those that the store's open transaction has, then those it has still to get.
#[derive(Debug, Default)]
pub(super) struct Pending {
    changes: Vec<DeadLetterChange>,
    written: usize,
    bytes: usize,
}

impl Pending {
    pub(super) fn push(&mut self, change: DeadLetterChange) {
        self.bytes += change.bytes();
        self.changes.push(change);
    }

    /// Whether nothing is to be taken to the store.
    pub(super) fn is_clean(&self) -> bool {
        self.written == self.changes.len()
    }

    /// What is not committed, in bytes, roughly.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// What the store's open transaction has not got yet.
    pub(super) fn take(&mut self) -> &[DeadLetterChange] {
        let from = std::mem::replace(&mut self.written, self.changes.len());
        &self.changes[from..]
    }

    /// The same, when it is being committed and cannot be asked for again.
    pub(super) fn take_for_good(&mut self) -> Vec<DeadLetterChange> {
        let rest = self.changes.split_off(self.written);
        self.committed();
        rest
    }

    /// The store has rolled its transaction back: what it was given must be given again.
    pub(super) fn rolled_back(&mut self) {
        self.written = 0;
    }

    /// Everything is committed.
    pub(super) fn committed(&mut self) {
        *self = Self::default();
    }
}

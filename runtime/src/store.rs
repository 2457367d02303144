//! **Seam**: where rows and checkpoint are kept, committed together or not at all.
//!
//! One store is one generation of one projection: one built copy of its read model. It has exactly one
//! writer, the projection's own thread, so the trait takes `&mut self` and is not asynchronous. Reading for
//! queries does not go through it: see [`sqlite::reader`].

use serde::{Deserialize, Serialize};

use crate::changes::Changes;
use crate::event::{Event, Position, Sequence};
use crate::value::{Row, Value};

#[cfg(test)]
mod conformance;
pub mod dead_letters;
mod error;
pub mod folder;
mod in_place;
pub mod memory;
pub mod sqlite;

use dead_letters::{DeadLetter, DeadLetterChange, SetAside};
pub(crate) use error::tells_damage;
pub use error::{DAMAGED, MISSING, StoreError, WRONG};
pub(crate) use in_place::{FileIdentity, OpenFiles};

/// How far a read model has come. Ours, not the broker's: it is stored with the rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The stream.
    pub stream: String,
    /// The last event whose changes are committed; 0 when none is.
    pub sequence: Sequence,
    /// That event's time in the stream: recognises a stream that was replaced by another one of its name.
    pub anchor: i64,
    /// Counts the takings-over, from 1, and the commits that change rows without going on in the stream. A writer of
    /// an older epoch finds its commits refused.
    pub epoch: u64,
}

impl Checkpoint {
    /// The same, moved to `position`.
    #[must_use]
    pub fn at(&self, position: Position) -> Self {
        Self {
            sequence: position.sequence,
            anchor: position.time,
            ..self.clone()
        }
    }

    /// The same place with other rows: what is applied later than its place in the stream.
    #[must_use]
    pub fn again(&self) -> Self {
        Self {
            epoch: self.epoch + 1,
            ..self.clone()
        }
    }

    /// The event it stands at.
    pub fn position(&self) -> Position {
        Position {
            sequence: self.sequence,
            time: self.anchor,
        }
    }
}

/// How much is looked up at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FindLimit {
    /// Most rows.
    pub rows: usize,
    /// Bytes in memory: the row with which they are exceeded is the last one.
    pub bytes: usize,
}

impl FindLimit {
    /// Rows of any size.
    pub fn rows(rows: usize) -> Self {
        let bytes = usize::MAX;
        Self { rows, bytes }
    }

    /// The beginning of `found` that keeps to it.
    fn cut<E>(self, found: impl Iterator<Item = Result<Row, E>>) -> Result<Vec<Row>, E> {
        let mut bytes = 0;
        let fits = |row: &Result<Row, E>| {
            let fits = bytes <= self.bytes;
            bytes += row.iter().flatten().map(Value::size).sum::<usize>();
            fits
        };
        found.take(self.rows).take_while(fits).collect()
    }
}

/// One generation's read model, as its only writer sees it.
///
/// Between two commits the writer sees what it has written; readers see it only after the commit. The first
/// reading or writing after a commit may lock the store against other writers until [`Self::commit`] or
/// [`Self::rollback`], so one of them comes before any waiting.
/// `table`, `index` and values are already checked against the definition.
pub trait ReadModelStore: Send {
    /// The committed checkpoint; none before the first commit.
    fn checkpoint(&self) -> Option<&Checkpoint>;

    /// Whether a table has no rows.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn is_empty(&mut self, table: usize) -> Result<bool, StoreError>;

    /// The row with this primary key.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn get(&mut self, table: usize, key: &[Value]) -> Result<Option<Row>, StoreError>;

    /// Rows whose columns of the table's secondary index number `index` equal `key` (null equals null), in
    /// the order of the primary key, up to `limit`.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn find(
        &mut self,
        table: usize,
        index: usize,
        key: &[Value],
        limit: FindLimit,
    ) -> Result<Vec<Row>, StoreError>;

    /// Takes the changes into the open transaction, so that [`Self::get`] and [`Self::find`] see them.
    ///
    /// # Errors
    /// If the store cannot be written, or a real is not a number. The transaction must then be rolled
    /// back; until then commits are refused.
    fn write(&mut self, changes: &Changes) -> Result<(), StoreError>;

    /// Takes what becomes of dead letters and held events into the open transaction.
    ///
    /// # Errors
    /// As [`Self::write`].
    fn write_dead_letters(&mut self, changes: &[DeadLetterChange]) -> Result<(), StoreError>;

    /// Everything that is set aside, as the writer sees it.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn set_aside(&mut self) -> Result<SetAside, StoreError>;

    /// The first held events of `key`, at most `limit` and about `bytes`, but one at least where there is one.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn held_events(
        &mut self,
        key: Option<&[u8]>,
        limit: usize,
        bytes: u64,
    ) -> Result<Vec<Event>, StoreError>;

    /// The dead letter of this sequence.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn dead_letter(&mut self, sequence: Sequence) -> Result<Option<DeadLetter>, StoreError>;

    /// Makes the secondary indexes that were put off while the read model was being built, in the open
    /// transaction. [`Self::find`] does it by itself.
    ///
    /// # Errors
    /// If the store cannot be written.
    fn build_indexes(&mut self) -> Result<(), StoreError>;

    /// Makes everything written since the last commit durable together with `next`, if the stored
    /// checkpoint is still the one that [`Self::checkpoint`] gave; the checkpoint is `next` afterwards.
    ///
    /// # Errors
    /// [`StoreError::CheckpointMoved`] when another writer was there; nothing is committed on any error.
    fn commit(&mut self, next: &Checkpoint) -> Result<(), StoreError>;

    /// Forgets everything written since the last commit.
    ///
    /// # Errors
    /// If the store cannot be restored to its last commit.
    fn rollback(&mut self) -> Result<(), StoreError>;
}

//! **Seam**: where rows and checkpoint are kept, committed together or not at all.
//!
//! One store is one generation of one projection: one built copy of its read model. It has exactly one
//! writer, the projection's own thread, so the trait takes `&mut self` and is not asynchronous. Reading for
//! queries does not go through it: see [`sqlite::reader`].

use serde::{Deserialize, Serialize};

use crate::changes::Changes;
use crate::event::{Position, Sequence};
use crate::value::{Row, Value};

pub mod memory;
pub mod sqlite;

/// How far a read model has come. Ours, not the broker's: it is stored with the rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The stream.
    pub stream: String,
    /// The last event whose changes are committed; 0 when none is.
    pub sequence: Sequence,
    /// That event's time in the stream: recognises a stream that was replaced by another one of its name.
    pub anchor: i64,
    /// Counts the takings-over. A writer of an older epoch finds its commits refused.
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

    /// The event it stands at.
    pub fn position(&self) -> Position {
        Position {
            sequence: self.sequence,
            time: self.anchor,
        }
    }
}

/// Why a store could not do as asked. After any of them the writer reopens the store before it goes on.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The checkpoint is not the one the writer started from: somebody else writes too.
    #[error("the checkpoint changed under the projection: expected {expected:?}, found {found:?}")]
    CheckpointMoved {
        /// What the writer had last read or written.
        expected: Box<Option<Checkpoint>>,
        /// What is stored.
        found: Box<Option<Checkpoint>>,
    },
    /// The file belongs to another projection, version or definition, or is no read model.
    #[error("{file} cannot hold this read model: {reason}")]
    WrongFile {
        /// The file.
        file: String,
        /// What does not fit.
        reason: String,
    },
    /// The database itself failed: full disk, no permission, damaged file.
    #[error("{file}: {source}")]
    Sqlite {
        /// The file.
        file: String,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// A file or folder could not be made or read.
    #[error("{file}: {source}")]
    Io {
        /// The file or folder.
        file: String,
        /// What the system said.
        source: std::io::Error,
    },
}

/// One generation's read model, as its only writer sees it.
///
/// Between two commits the writer sees what it has written; readers see it only after the commit.
/// `table`, `index` and values are already checked against the definition.
pub trait ReadModelStore: Send {
    /// The committed checkpoint; none before the first commit.
    fn checkpoint(&self) -> Option<&Checkpoint>;

    /// The row with this primary key.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn get(&mut self, table: usize, key: &[Value]) -> Result<Option<Row>, StoreError>;

    /// Rows whose columns of the table's secondary index number `index` equal `key` (null equals null), in
    /// the order of the primary key, at most `limit`.
    ///
    /// # Errors
    /// If the store cannot be read.
    fn find(
        &mut self,
        table: usize,
        index: usize,
        key: &[Value],
        limit: usize,
    ) -> Result<Vec<Row>, StoreError>;

    /// Takes the changes into the open transaction, so that [`Self::get`] and [`Self::find`] see them.
    /// `changes` is empty afterwards.
    ///
    /// # Errors
    /// If the store cannot be written; the transaction must then be rolled back.
    fn write(&mut self, changes: &mut Changes) -> Result<(), StoreError>;

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

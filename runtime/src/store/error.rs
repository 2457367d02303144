//! Why a store could not do as asked, and what to do about it.

use std::path::Path;

use foldline_row::Field;

use super::Checkpoint;
use crate::changes::Change;
use crate::definition::Table;

/// Why a store could not do as asked. After any of them the writer reopens the store before it goes on.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The checkpoint is not the one the writer started from: somebody else writes too.
    #[error(
        "another writer has taken the read model over: its checkpoint is {}, not {}",
        shown(found),
        shown(expected)
    )]
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
    /// A real that is not a number. No database keeps one, and none is equal to itself.
    #[error("column {table}.{column} was given a real that is not a number (NaN)")]
    NotANumber {
        /// The table.
        table: String,
        /// The column.
        column: String,
    },
    /// A commit after a write that failed: it would have committed a part of the changes.
    #[error("a write failed before this commit, so the commit would be incomplete")]
    RollBackFirst,
    /// The system gives no thread for a commit.
    #[error("no thread can be started to commit: {0}")]
    Thread(std::io::Error),
    /// The store was used after a commit that failed.
    #[error("the commit before this one failed")]
    Gone,
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

impl StoreError {
    pub(super) fn wrong_file(file: &Path, reason: impl Into<String>) -> Self {
        let (file, reason) = (file.display().to_string(), reason.into());
        Self::WrongFile { file, reason }
    }

    pub(super) fn sqlite(file: &Path, source: rusqlite::Error) -> Self {
        let file = file.display().to_string();
        Self::Sqlite { file, source }
    }

    pub(super) fn io(file: &Path, source: std::io::Error) -> Self {
        let file = file.display().to_string();
        Self::Io { file, source }
    }

    /// What the person can do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::CheckpointMoved { .. } => {
                "let one host only use this data folder; the one that started last goes on"
            }
            Self::WrongFile { .. } => {
                "move the file away to build the read model again from the stream, or give the module a higher version"
            }
            Self::NotANumber { .. } => {
                "make the projection check its division or parsing, or make the column nullable and write null"
            }
            Self::Thread(_) => {
                "raise the limit of processes and threads for the host's user; the projection goes on from its checkpoint"
            }
            Self::RollBackFirst | Self::Gone => {
                "nothing to do: the projection starts again from its checkpoint"
            }
            Self::Sqlite { source, .. } => sqlite_hint(source.sqlite_error_code()),
            Self::Io { source, .. } => io_hint(source.kind()),
        }
    }
}

const FILL: &str = "free some disk space; the projection goes on from its checkpoint";
const ALLOW: &str = "let the host's user write to the data folder, or choose another one with [store] dir or --data";

fn sqlite_hint(code: Option<rusqlite::ErrorCode>) -> &'static str {
    use rusqlite::ErrorCode as Code;
    match code {
        Some(Code::DatabaseCorrupt | Code::NotADatabase) => {
            "the file is damaged: move it away, and the read model is built again from the stream"
        }
        Some(Code::DatabaseBusy | Code::DatabaseLocked) => {
            "another program is writing to the file: end it"
        }
        Some(Code::DiskFull) => FILL,
        Some(Code::ReadOnly | Code::CannotOpen | Code::PermissionDenied) => ALLOW,
        _ => {
            "check the disk; the projection goes on from its checkpoint when the file can be used again"
        }
    }
}

fn io_hint(kind: std::io::ErrorKind) -> &'static str {
    use std::io::ErrorKind as Kind;
    match kind {
        Kind::PermissionDenied | Kind::ReadOnlyFilesystem => ALLOW,
        Kind::NotADirectory | Kind::AlreadyExists => {
            "a file stands where the data folder should be: choose another folder with [store] dir or --data"
        }
        Kind::StorageFull | Kind::QuotaExceeded => FILL,
        _ => "check that the data folder is there and can be read and written",
    }
}

fn shown(checkpoint: &Option<Checkpoint>) -> String {
    let Some(at) = checkpoint else {
        return "none".into();
    };
    format!(
        "sequence {} of stream {:?} in epoch {}",
        at.sequence, at.stream, at.epoch
    )
}

/// Refuses reals that no store keeps.
pub(super) fn refuse_nan(table: &Table, changes: &[Change]) -> Result<(), StoreError> {
    for row in changes.iter().filter_map(|change| change.row.as_ref()) {
        let nan = |field| matches!(field, Field::Real(real) if real.is_nan());
        if let Some(column) = row.fields().position(nan) {
            return Err(StoreError::NotANumber {
                table: table.name.clone(),
                column: table.columns[column].name.clone(),
            });
        }
    }
    Ok(())
}

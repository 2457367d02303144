//! Why a store could not do as asked, and what to do about it.

use std::path::Path;

use foldline_row::Field;

use super::Checkpoint;
use crate::changes::Change;
use crate::definition::Table;
use crate::value::fields;

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
    /// What the file holds is no read model any more.
    #[error("the read model's file {file} is damaged: {reason}")]
    Damaged {
        /// The file.
        file: String,
        /// What was noticed.
        reason: String,
    },
    /// The file was there, and is not any more.
    #[error("the read model's file {file} is missing: it was deleted or moved away")]
    Missing {
        /// The file.
        file: String,
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
    /// The database itself failed: full disk, no permission, a disk that does not take what is written.
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

    pub(crate) fn damaged(file: &Path, reason: impl Into<String>) -> Self {
        let (file, reason) = (file.display().to_string(), reason.into());
        Self::Damaged { file, reason }
    }

    pub(crate) fn missing(file: &Path) -> Self {
        let file = file.display().to_string();
        Self::Missing { file }
    }

    pub(super) fn sqlite(file: &Path, source: rusqlite::Error) -> Self {
        if tells_damage(&source) {
            return Self::damaged(file, source.to_string());
        }
        let file = file.display().to_string();
        Self::Sqlite { file, source }
    }

    pub(super) fn io(file: &Path, source: std::io::Error) -> Self {
        let file = file.display().to_string();
        Self::Io { file, source }
    }

    /// What it is called in every status, answer and log line: these words stay the same.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Damaged { .. } => DAMAGED,
            Self::Missing { .. } => MISSING,
            Self::WrongFile { .. } => WRONG,
            Self::Sqlite { source, .. } => sqlite_code(source.sqlite_error_code()),
            Self::Io { source, .. } => io_code(source.kind()),
            Self::CheckpointMoved { .. }
            | Self::NotANumber { .. }
            | Self::RollBackFirst
            | Self::Thread(_)
            | Self::Gone => "store",
        }
    }

    /// What the person can do.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::CheckpointMoved { .. } => {
                "let one host only use this data folder; the one that started last goes on"
            }
            Self::WrongFile { .. } => {
                "`foldline rebuild NAME` builds the read model again from the stream, in a file of its own; or put the right file back, or give the module a higher version"
            }
            Self::Damaged { .. } | Self::Missing { .. } => REBUILD,
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

/// The code of a file whose content is no read model any more.
pub const DAMAGED: &str = "read_model_damaged";

/// The code of a file that is gone.
pub const MISSING: &str = "read_model_missing";

/// The code of a file that holds another read model, or something else.
pub const WRONG: &str = "read_model_wrong";

/// Whether SQLite found that a file's content is not what it wrote.
pub(crate) fn tells_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode as Code;
    let code = error.sqlite_error_code();
    matches!(code, Some(Code::DatabaseCorrupt | Code::NotADatabase))
}

const REBUILD: &str = "`foldline rebuild NAME` builds it again from the stream and puts it in the place of this one; \
                       `foldline rollback NAME` goes back to the generation on standby, if there is one; or put the file back";
const FILL: &str = "free some disk space; the projection goes on from its checkpoint";
const ALLOW: &str = "let the host's user write to the data folder, or choose another one with [store] dir or --data";

fn sqlite_hint(code: Option<rusqlite::ErrorCode>) -> &'static str {
    use rusqlite::ErrorCode as Code;
    match code {
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

fn sqlite_code(code: Option<rusqlite::ErrorCode>) -> &'static str {
    use rusqlite::ErrorCode as Code;
    match code {
        Some(Code::DiskFull) => "disk_full",
        Some(Code::ReadOnly | Code::CannotOpen | Code::PermissionDenied) => "disk_read_only",
        Some(Code::SystemIoFailure) => "disk_failed",
        _ => "store",
    }
}

fn io_code(kind: std::io::ErrorKind) -> &'static str {
    use std::io::ErrorKind as Kind;
    match kind {
        Kind::StorageFull | Kind::QuotaExceeded => "disk_full",
        Kind::PermissionDenied | Kind::ReadOnlyFilesystem => "disk_read_only",
        _ => "disk_failed",
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
pub(super) fn refuse_nan(table: &Table, changes: &[Change<'_>]) -> Result<(), StoreError> {
    for row in changes.iter().filter_map(|change| change.row) {
        let nan = |field| matches!(field, Field::Real(real) if real.is_nan());
        if let Some(column) = fields(row).position(nan) {
            return Err(StoreError::NotANumber {
                table: table.name.clone(),
                column: table.columns[column].name.clone(),
            });
        }
    }
    Ok(())
}

//! The catalog: which projections and generations there are, and every module that ran. `data/catalog.db`.
//!
//! It is the truth about a data folder; the files of read models only say how far they have come. A generation
//! moves between its states in one transaction each, which a power cut cannot undo:
//!
//! | state | what it is | becomes |
//! |---|---|---|
//! | `building` | replays the stream beside the live one | `live` by [`Catalog::make_live`], `failed` by [`Catalog::fail`], `retired` when another one is built instead |
//! | `live` | is served; at most one of a projection | `standby` when another one is made live, or `retired` where none is kept |
//! | `standby` | was live before, and keeps advancing; at most one | `live` by a rollback, `retired` by the next promotion |
//! | `failed` | was building and cannot go on | `retired` when another one is built |
//! | `retired` | is no more: its file is deleted, the entry stays as history | nothing |

use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, Transaction, TransactionBehavior};

use crate::store::{FileIdentity, tells_damage};

mod discards;
mod files;
mod generations;
mod incident;
mod losses;
mod modules;
mod place;
mod record;
#[cfg(test)]
mod tests;

pub use discards::{Discard, Discards};
pub use files::FileHistory;
pub use generations::{NewGeneration, Purpose};
pub use incident::Incident;
pub use losses::KnownLoss;
pub use record::{GenerationRecord, GenerationState, ProjectionRecord};

/// The catalog's file in the data folder.
const FILE: &str = "catalog.db";

/// Counts up when the tables change. 2: whether files were made, and incidents. 3: the module that was declined. 4: events
/// that were discarded. 5: events that were lost. 6: whether that was accepted.
const FORMAT: i32 = 6;

/// Makes a catalog of format 1 one of format 2.
const FROM_FORMAT_1: &str = "
ALTER TABLE generations ADD COLUMN made INTEGER NOT NULL DEFAULT 0;
ALTER TABLE generations ADD COLUMN incident TEXT;
";

/// Makes a catalog of format 2 one of format 3, in which a standby of a later version no longer says that it was rolled back.
const FROM_FORMAT_2: &str = "
ALTER TABLE projections ADD COLUMN declined TEXT;
UPDATE projections SET declined = (SELECT standby.digest FROM generations standby JOIN generations live USING (projection)
  WHERE projection = name AND standby.state = 'standby' AND live.state = 'live' AND standby.version > live.version);
";

/// Makes a catalog of format 3 one of format 4; a new one has it, too.
const DISCARDS: &str = "
CREATE TABLE IF NOT EXISTS discards (
  projection TEXT NOT NULL REFERENCES projections (name) ON DELETE CASCADE,
  sequence INTEGER NOT NULL,
  time TEXT NOT NULL,
  subject TEXT NOT NULL,
  discarded TEXT NOT NULL,
  PRIMARY KEY (projection, sequence, time)
) WITHOUT ROWID;
";

/// Makes a catalog of format 4 one of format 6; a new one has it, too.
const LOSSES: &str = "
CREATE TABLE IF NOT EXISTS losses (
  projection TEXT NOT NULL,
  number INTEGER NOT NULL,
  first INTEGER NOT NULL,
  last INTEGER NOT NULL,
  accepted INTEGER NOT NULL DEFAULT 0,
  PRIMARY KEY (projection, number, first),
  FOREIGN KEY (projection, number) REFERENCES generations (projection, number) ON DELETE CASCADE
) WITHOUT ROWID;
";

/// Makes a catalog of format 5 one of format 6.
const FROM_FORMAT_5: &str = "ALTER TABLE losses ADD COLUMN accepted INTEGER NOT NULL DEFAULT 0;";

/// How long to wait for a lock that another program holds on the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

const TABLES: &str = "
CREATE TABLE projections (
  name TEXT PRIMARY KEY,
  file TEXT,
  paused INTEGER NOT NULL DEFAULT 0,
  generations INTEGER NOT NULL DEFAULT 0,
  declined TEXT
) WITHOUT ROWID;
CREATE TABLE generations (
  projection TEXT NOT NULL REFERENCES projections (name) ON DELETE CASCADE,
  number INTEGER NOT NULL,
  version INTEGER NOT NULL,
  digest TEXT NOT NULL,
  file TEXT NOT NULL,
  definition TEXT NOT NULL,
  state TEXT NOT NULL,
  purpose TEXT NOT NULL,
  started_from INTEGER,
  created TEXT NOT NULL,
  promoted TEXT,
  retired TEXT,
  failure TEXT,
  replay_rate REAL,
  deleted INTEGER NOT NULL DEFAULT 0,
  made INTEGER NOT NULL DEFAULT 0,
  incident TEXT,
  PRIMARY KEY (projection, number)
) WITHOUT ROWID;
CREATE UNIQUE INDEX one_live ON generations (projection) WHERE state = 'live';
CREATE UNIQUE INDEX one_standby ON generations (projection) WHERE state = 'standby';
CREATE UNIQUE INDEX one_building ON generations (projection) WHERE state IN ('building', 'failed');
CREATE TABLE modules (
  digest TEXT PRIMARY KEY,
  projection TEXT NOT NULL,
  file TEXT NOT NULL,
  stored TEXT NOT NULL,
  bytes BLOB NOT NULL
);
";

/// Why the catalog cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// What the file holds is no catalog any more.
    #[error("the catalog {file} is damaged: {reason}")]
    Damaged {
        /// The catalog's file.
        file: String,
        /// What was noticed.
        reason: String,
    },
    /// It could not be put back into its place.
    #[error("the catalog {file} was deleted or replaced, and cannot be written again: {reason}")]
    Gone {
        /// The catalog's file.
        file: String,
        /// What the system said.
        reason: String,
    },
    /// The database failed: full disk, no permission.
    #[error("{file}: {source}")]
    Sqlite {
        /// The catalog's file.
        file: String,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// It was written by another Foldline.
    #[error("{file} has format {found}, and this Foldline knows only {FORMAT}")]
    Format {
        /// The catalog's file.
        file: String,
        /// Its format.
        found: i32,
    },
    /// A module that should be in it is not.
    #[error("{file} does not hold the module {digest}")]
    NoModule {
        /// The catalog's file.
        file: String,
        /// Digest of the module.
        digest: String,
    },
}

impl CatalogError {
    /// What a person can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Damaged { .. } => {
                "put it back from a backup, or move it away with the files named like it (-wal, -shm): the read models are \
                 then taken over as they are; pauses, discards, known losses and what was being built are forgotten"
            }
            Self::Gone { .. } => {
                "let the host's user write to the data folder; it is tried again each second, and what the host knows is \
                 lost when it ends before"
            }
            Self::Sqlite { .. } => {
                "free some disk space, or let the host's user write to the data folder"
            }
            Self::Format { .. } => "run the version of Foldline that wrote it, or a later one",
            Self::NoModule { .. } => "put the module's file back into the modules folder",
        }
    }
}

/// The catalog of one data folder. Each call blocks for one small transaction, that is for one write to the disk.
#[derive(Debug)]
pub struct Catalog {
    path: PathBuf,
    connection: Mutex<Connection>,
    /// What was opened: another file may lie there by now.
    opened: Mutex<FileIdentity>,
}

impl Catalog {
    /// Opens the catalog of a data folder, making an empty one where there is none.
    ///
    /// # Errors
    /// If it cannot be read and written, or is of another format.
    pub fn open(folder: &Path) -> Result<Self, CatalogError> {
        let path = folder.join(FILE);
        let opened = open(&path);
        let (connection, found) = opened.map_err(|source| error(&path, source))?;
        if found != FORMAT {
            let file = path.display().to_string();
            return Err(CatalogError::Format { file, found });
        }
        Ok(Self {
            opened: Mutex::new(FileIdentity::of(&path)),
            path,
            connection: Mutex::new(connection),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // A panic in between rolls the open transaction back.
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything in `work` happens, or nothing.
    fn write<T>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>,
    ) -> Result<T, CatalogError> {
        let run = || {
            let mut connection = self.lock();
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok(done)
        };
        run().map_err(|source| error(&self.path, source))
    }

    fn read<T>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, CatalogError> {
        work(&self.lock()).map_err(|source| error(&self.path, source))
    }
}

fn error(path: &Path, source: rusqlite::Error) -> CatalogError {
    let file = path.display().to_string();
    if tells_damage(&source) {
        let reason = source.to_string();
        return CatalogError::Damaged { file, reason };
    }
    CatalogError::Sqlite { file, source }
}

/// The open catalog, and its format.
fn open(path: &Path) -> rusqlite::Result<(Connection, i32)> {
    let mut connection = Connection::open(path)?;
    let found = prepare(&mut connection)?;
    Ok((connection, found))
}

fn prepare(connection: &mut Connection) -> rusqlite::Result<i32> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // Unlike a read model's commit, nothing can repeat what a power cut would undo here.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let format: i32 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let steps: &[&str] = match format {
        0 => &[TABLES, DISCARDS, LOSSES],
        1 => &[FROM_FORMAT_1, FROM_FORMAT_2, DISCARDS, LOSSES],
        2 => &[FROM_FORMAT_2, DISCARDS, LOSSES],
        3 => &[DISCARDS, LOSSES],
        4 => &[LOSSES],
        5 => &[FROM_FORMAT_5],
        FORMAT => return look_through(&transaction).map(|()| FORMAT),
        other => return Ok(other),
    };
    for step in steps {
        transaction.execute_batch(step)?;
    }
    transaction.pragma_update(None, "user_version", FORMAT)?;
    transaction.commit()?;
    Ok(FORMAT)
}

/// That the catalog is whole: better found at the start than when a module is needed. It takes milliseconds, since the
/// catalog has a few modules and little else.
fn look_through(connection: &Connection) -> rusqlite::Result<()> {
    match crate::store::sqlite::first_damage(connection)? {
        None => Ok(()),
        Some(found) => Err(rusqlite::Error::SqliteFailure(
            rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT),
            Some(found),
        )),
    }
}

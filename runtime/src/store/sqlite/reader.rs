//! Read-only access to a generation's file, for queries. Never blocks a commit: the file is in WAL mode, so
//! a reader sees the last commit from before it began while the writer goes on.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::{checkpoint, dead_letters, file};
use crate::definition::Table;
use crate::event::Sequence;
use crate::store::Checkpoint;
use crate::store::dead_letters::DeadLetter;
use crate::store::tells_damage;
use crate::value::{Row, Value};

mod select;
pub use select::{Comparison, Condition, Direction, Select};

/// Connections kept open per file between reads. More exist only while more reads run at once, which the
/// caller bounds.
const IDLE_CONNECTIONS_MAX: usize = 4;

/// Memory SQLite may use for pages per connection, in KiB.
const PAGE_CACHE_KIB: i64 = 2_048;

/// How long SQLite waits for a lock. In WAL mode a reader waits only while the log is recovered or reset.
const BUSY_MS: Duration = Duration::from_millis(1_000);

/// Virtual machine steps of SQLite between two looks at the clock: well under a millisecond.
const STEPS_PER_CLOCK_LOOK: i32 = 10_000;

/// Each read is one transaction. Prepared once per connection, as what is read in it is.
const BEGIN: &str = "BEGIN";
const END: &str = "COMMIT";

/// Why rows could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// What the file holds is no read model any more.
    #[error("the read model's file {file} is damaged: {reason}")]
    Damaged {
        /// The file.
        file: String,
        /// What was noticed.
        reason: String,
    },
    /// The database failed: missing file, no permission.
    #[error("{file}: {source}")]
    Sqlite {
        /// The file.
        file: String,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// The deadline passed while rows were looked for.
    #[error("the read was stopped because it took too long")]
    TooSlow,
    /// The rows do not fit into the answer.
    #[error("the rows take more than {bytes_max} bytes; {rows} of them fit")]
    TooLarge {
        /// Rows that would have fitted.
        rows: usize,
        /// The limit.
        bytes_max: usize,
    },
}

/// Rows and the checkpoint they belong to, read in one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// In the order asked for, each with the columns asked for.
    pub rows: Vec<Row>,
    /// None before the first commit.
    pub checkpoint: Option<Checkpoint>,
}

impl Page {
    /// The last event whose changes the rows contain; 0 before the first.
    pub fn sequence(&self) -> Sequence {
        self.checkpoint.as_ref().map_or(0, |c| c.sequence)
    }
}

/// What one read may cost.
#[derive(Debug, Clone, Copy)]
pub struct ReadLimits {
    /// When it is stopped.
    pub deadline: Instant,
    /// Most bytes of rows in memory.
    pub bytes_max: usize,
}

/// Reads one file. Shared by any number of threads; each read takes a connection of its own.
#[derive(Debug)]
pub struct Reader {
    file: PathBuf,
    idle: Mutex<Vec<Connection>>,
}

impl Reader {
    /// Reads `file`, which is opened when the first read comes.
    pub fn new(file: impl Into<PathBuf>) -> Self {
        Self {
            file: file.into(),
            idle: Mutex::default(),
        }
    }

    /// The file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The committed checkpoint; none before the first commit.
    ///
    /// # Errors
    /// If the file cannot be read, or not before the deadline.
    pub fn checkpoint(&self, limits: ReadLimits) -> Result<Option<Checkpoint>, ReadError> {
        self.read(limits, |transaction| Ok(checkpoint::read(transaction)?))
    }

    /// The rows that `select` asks for, with their checkpoint.
    ///
    /// # Errors
    /// If the file cannot be read, or not within the limits.
    pub fn select(
        &self,
        table: &Table,
        select: &Select,
        limits: ReadLimits,
    ) -> Result<Page, ReadError> {
        self.read(limits, |transaction| {
            let checkpoint = checkpoint::read(transaction)?;
            let rows = rows(transaction, table, select, limits.bytes_max)?;
            Ok(Page { rows, checkpoint })
        })
    }

    /// The dead letters behind `after` in the order of their sequences, at most `limit`: without the events, and with
    /// the last attempt only, without what was logged.
    ///
    /// # Errors
    /// If the file cannot be read, or not within the limits.
    pub fn dead_letters(
        &self,
        after: Sequence,
        limit: usize,
        limits: ReadLimits,
    ) -> Result<Vec<DeadLetter>, ReadError> {
        self.read(limits, |transaction| {
            Ok(dead_letters::list(transaction, after, limit)?)
        })
    }

    /// The dead letter of this sequence, with the number of events that are held with it.
    ///
    /// # Errors
    /// If the file cannot be read, or not before the deadline.
    pub fn dead_letter(
        &self,
        sequence: Sequence,
        limits: ReadLimits,
    ) -> Result<Option<(DeadLetter, u64)>, ReadError> {
        self.read(limits, |transaction| {
            Ok(dead_letters::with_held(transaction, sequence)?)
        })
    }

    /// Sequence of the dead letter behind which the event of this sequence is held, if it is.
    ///
    /// # Errors
    /// If the file cannot be read, or not before the deadline.
    pub fn holder(
        &self,
        sequence: Sequence,
        limits: ReadLimits,
    ) -> Result<Option<Sequence>, ReadError> {
        self.read(limits, |transaction| {
            Ok(dead_letters::holder(transaction, sequence)?)
        })
    }

    /// Numbers of dead letters and of held keys.
    ///
    /// # Errors
    /// If the file cannot be read, or not before the deadline.
    pub fn set_aside(&self, limits: ReadLimits) -> Result<(u64, u64), ReadError> {
        self.read(limits, |transaction| Ok(dead_letters::counts(transaction)?))
    }

    /// Runs `work` in one read transaction on an idle connection, or on a new one.
    fn read<T>(
        &self,
        limits: ReadLimits,
        work: impl FnOnce(&Connection) -> Result<T, Failure>,
    ) -> Result<T, ReadError> {
        let run = || {
            let mut connection = self.take()?;
            let stop = move || Instant::now() >= limits.deadline;
            connection.progress_handler(STEPS_PER_CLOCK_LOOK, Some(stop))?;
            connection.prepare_cached(BEGIN)?.execute([])?;
            let answer = work(&connection)?;
            connection.prepare_cached(END)?.execute([])?;
            self.give_back(connection);
            Ok(answer)
        };
        run().map_err(|failure| self.explain(failure))
    }

    fn take(&self) -> Result<Connection, rusqlite::Error> {
        let idle = self.idle().pop();
        idle.map_or_else(|| open(&self.file), Ok)
    }

    /// Keeps the connection for later. After an error it is not given back but closed.
    fn give_back(&self, connection: Connection) {
        let mut idle = self.idle();
        if idle.len() < IDLE_CONNECTIONS_MAX {
            idle.push(connection);
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Connection>> {
        // A panic while the lock is held leaves a list of whole connections behind.
        self.idle
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn explain(&self, failure: Failure) -> ReadError {
        match failure {
            Failure::Read(error) => error,
            Failure::Sqlite(source)
                if source.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) =>
            {
                ReadError::TooSlow
            }
            Failure::Sqlite(source) if tells_damage(&source) => ReadError::Damaged {
                file: self.file.display().to_string(),
                reason: source.to_string(),
            },
            Failure::Sqlite(source) => ReadError::Sqlite {
                file: self.file.display().to_string(),
                source,
            },
        }
    }
}

/// A failure on the way, before the file's name is put to it.
enum Failure {
    Sqlite(rusqlite::Error),
    Read(ReadError),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

fn open(file: &Path) -> Result<Connection, rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(BUSY_MS)?;
    connection.pragma_update(None, "query_only", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cache_size", -PAGE_CACHE_KIB)?;
    file::prepare_once(&connection)?;
    Ok(connection)
}

fn rows(
    transaction: &Connection,
    table: &Table,
    select: &Select,
    bytes_max: usize,
) -> Result<Vec<Row>, Failure> {
    let mut statement = transaction.prepare_cached(&select.sql(table))?;
    let mut found = statement.query(rusqlite::params_from_iter(select.parameters()))?;
    let (mut rows, mut bytes) = (Vec::new(), 0);
    while let Some(row) = found.next()? {
        let row = select.decode(table, row)?;
        bytes += row.iter().map(Value::size).sum::<usize>();
        if bytes > bytes_max {
            return Err(Failure::Read(ReadError::TooLarge {
                rows: rows.len(),
                bytes_max,
            }));
        }
        rows.push(row);
    }
    Ok(rows)
}

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;

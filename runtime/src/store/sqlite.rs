//! A read model in one SQLite file, that people can open with the tools they have.
//!
//! Tables and columns are named as in the definition. Four tables of ours lie beside them:
//! `_foldline_checkpoint` with at most one row, `_foldline_meta` ([`Meta`]), `_foldline_dead_letters` and
//! `_foldline_held_events`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;

use super::dead_letters::{DeadLetter, DeadLetterChange, SetAside};
use super::{Checkpoint, FindLimit, ReadModelStore, StoreError};
use crate::changes::{Change, Changes};
use crate::definition::Definition;
use crate::event::{Event, Sequence};
use crate::value::{Row, Value, fetch};

mod checkpoint;
pub mod compare;
mod damage;
mod dead_letters;
mod file;
mod meta;
pub mod reader;
mod row;
mod schema;

pub(crate) use damage::{first_damage, look_through, sequence_of};
pub(crate) use file::remove_with_companions as remove;
pub(super) use file::{beside, remove_with_companions};
pub use meta::{Meta, read_meta};
use schema::Statements;

/// The write-ahead log is emptied by force beyond this many bytes. Readers that follow each other without
/// a gap would otherwise let it grow for ever: it can start again only when nobody reads from it.
const LOG_BYTES_MAX: u64 = 128 * 1024 * 1024;

/// How long a commit waits for reads when the log is to be emptied by force.
const LOG_WAIT: Duration = Duration::from_millis(50);

/// Rows that are fetched into the processor's cache together: one by one each would be waited for. So many of a
/// usual size fit into the smallest cache.
const FETCHED_AHEAD: usize = 32;

/// The writer of one read model's file.
#[derive(Debug)]
pub struct SqliteStore {
    path: PathBuf,
    log_path: PathBuf,
    log_bytes_max: u64,
    /// The log's size at which it is emptied by force next.
    log_bytes_due: u64,
    connection: Connection,
    statements: Vec<Statements>,
    checkpoint: Option<Checkpoint>,
    create_indexes: String,
    indexes: Indexes,
    /// A write failed, so the open transaction holds only a part of what was asked for.
    failed: bool,
}

/// What is known of the secondary indexes, as of the open transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Indexes {
    /// There is none, so rows can be put more cheaply.
    None,
    /// Some may be there.
    Unknown,
    /// All are there.
    Made,
}

impl SqliteStore {
    /// Makes an empty read model at `path` and opens it. `digest` is that of the module that will build it.
    ///
    /// # Errors
    /// If there is a file already, or it cannot be written.
    pub fn create(path: &Path, definition: &Definition, digest: &str) -> Result<Self, StoreError> {
        file::create(path, definition, digest)?;
        Self::open(path, definition)
    }

    /// Opens the read model at `path` and takes it over: from now on the commits of earlier writers are
    /// refused.
    ///
    /// # Errors
    /// [`StoreError::WrongFile`] if it is no read model, or of another definition; others if the file
    /// cannot be read and written.
    pub fn open(path: &Path, definition: &Definition) -> Result<Self, StoreError> {
        let mut connection = file::open(path, definition)?;
        let statements: Vec<_> = definition.tables.iter().map(Statements::new).collect();
        let error = |e| StoreError::sqlite(path, e);
        prepare(&connection, &statements).map_err(error)?;
        let indexes = match file::has_indexes(&connection).map_err(error)? {
            true => Indexes::Unknown,
            false => Indexes::None,
        };
        let checkpoint = checkpoint::take_over(&mut connection).map_err(error)?;
        Ok(Self {
            path: path.to_owned(),
            log_path: file::beside(path, "-wal"),
            log_bytes_max: LOG_BYTES_MAX,
            log_bytes_due: LOG_BYTES_MAX,
            connection,
            checkpoint,
            create_indexes: schema::create_indexes(definition),
            indexes,
            statements,
            failed: false,
        })
    }

    fn error(&self, source: rusqlite::Error) -> StoreError {
        StoreError::sqlite(&self.path, source)
    }

    /// Opens a transaction if none is open: before the first write, and before the first read, because
    /// reading outside of one takes and gives back a lock per row, which doubles its cost.
    fn begin(&self) -> rusqlite::Result<()> {
        if self.connection.is_autocommit() {
            let mut begin = self.connection.prepare_cached("BEGIN IMMEDIATE")?;
            begin.execute([])?;
        }
        Ok(())
    }

    fn write_all(&self, changes: &Changes) -> Result<(), StoreError> {
        self.begin().map_err(|e| self.error(e))?;
        for (i, table) in self.statements.iter().enumerate() {
            let sorted = changes.sorted(i);
            super::error::refuse_nan(&table.table, &sorted)?;
            let unindexed = self.indexes == Indexes::None || table.table.indexes.is_empty();
            write_table(&self.connection, table, unindexed, &sorted).map_err(|e| self.error(e))?;
        }
        Ok(())
    }

    /// Commits rows and checkpoint; false, and nothing committed, when the checkpoint is not as expected.
    fn commit_all(&self, next: &Checkpoint) -> rusqlite::Result<bool> {
        self.begin()?;
        let replaced = checkpoint::replace(&self.connection, self.checkpoint.as_ref(), next)?;
        if replaced {
            self.connection.prepare_cached("COMMIT")?.execute([])?;
        }
        Ok(replaced)
    }

    fn checkpoint_moved(&mut self) -> StoreError {
        let found = self
            .rollback()
            .and_then(|()| checkpoint::read(&self.connection).map_err(|e| self.error(e)));
        match found {
            Ok(found) => StoreError::CheckpointMoved {
                expected: Box::new(self.checkpoint.clone()),
                found: Box::new(found),
            },
            Err(e) => e,
        }
    }

    fn read(&self, table: usize, key: &[Value]) -> rusqlite::Result<Option<Row>> {
        self.begin()?;
        let statements = &self.statements[table];
        let mut statement = self.connection.prepare_cached(&statements.get)?;
        row::bind(&mut statement, key)?;
        let mut rows = statement.raw_query();
        let row = rows.next()?;
        row.map(|row| row::read(row, &statements.table.columns))
            .transpose()
    }

    fn read_index(
        &self,
        table: usize,
        index: usize,
        key: &[Value],
        limit: FindLimit,
    ) -> rusqlite::Result<Vec<Row>> {
        self.begin()?;
        let statements = &self.statements[table];
        let mut statement = self.connection.prepare_cached(&statements.find[index])?;
        row::bind(&mut statement, key)?;
        let most = i64::try_from(limit.rows).unwrap_or(i64::MAX);
        statement.raw_bind_parameter(key.len() + 1, most)?;
        let mut rows = statement.raw_query();
        let read = |row: &rusqlite::Row<'_>| row::read(row, &statements.table.columns);
        limit.cut(std::iter::from_fn(|| {
            rows.next()
                .and_then(|row| row.map(read).transpose())
                .transpose()
        }))
    }

    /// Empties the write-ahead log when it has grown too far. What is committed is safe either way, so when
    /// reads are in the way that is told, and tried again when the log has grown by a quarter of its limit.
    fn bound_log(&mut self) {
        let bytes = std::fs::metadata(&self.log_path).map_or(0, |log| log.len());
        if bytes <= self.log_bytes_due {
            return;
        }
        let busy = self.empty_log();
        self.log_bytes_due = self.log_bytes_max;
        if !matches!(busy, Ok(false)) {
            self.log_bytes_due = bytes + self.log_bytes_max / 4;
            let (file, error) = (self.log_path.display(), busy.err());
            tracing::warn!(%file, bytes, ?error, "a long read keeps the write-ahead log from being emptied");
        }
    }

    /// Whether reads were in the way. They hold the writer up for [`LOG_WAIT`] at most.
    fn empty_log(&self) -> rusqlite::Result<bool> {
        self.connection.busy_timeout(LOG_WAIT)?;
        let sql = "PRAGMA wal_checkpoint(TRUNCATE)";
        let busy = self.connection.query_row(sql, [], |row| row.get(0));
        self.connection.busy_timeout(file::BUSY_TIMEOUT)?;
        busy
    }
}

impl ReadModelStore for SqliteStore {
    fn checkpoint(&self) -> Option<&Checkpoint> {
        self.checkpoint.as_ref()
    }

    fn is_empty(&mut self, table: usize) -> Result<bool, StoreError> {
        let any = self.connection.prepare_cached(&self.statements[table].any);
        let empty = any.and_then(|mut any| Ok(!any.exists([])?));
        empty.map_err(|e| self.error(e))
    }

    fn get(&mut self, table: usize, key: &[Value]) -> Result<Option<Row>, StoreError> {
        self.read(table, key).map_err(|e| self.error(e))
    }

    fn find(
        &mut self,
        table: usize,
        index: usize,
        key: &[Value],
        limit: FindLimit,
    ) -> Result<Vec<Row>, StoreError> {
        self.build_indexes()?;
        self.read_index(table, index, key, limit)
            .map_err(|e| self.error(e))
    }

    fn write(&mut self, changes: &Changes) -> Result<(), StoreError> {
        if changes.is_empty() {
            return Ok(());
        }
        let written = self.write_all(changes);
        self.failed |= written.is_err();
        written
    }

    fn write_dead_letters(&mut self, changes: &[DeadLetterChange]) -> Result<(), StoreError> {
        if changes.is_empty() {
            return Ok(());
        }
        let written = self.begin();
        let written = written.and_then(|()| dead_letters::write(&self.connection, changes));
        self.failed |= written.is_err();
        written.map_err(|e| self.error(e))
    }

    fn set_aside(&mut self) -> Result<SetAside, StoreError> {
        dead_letters::set_aside(&self.connection).map_err(|e| self.error(e))
    }

    fn held_events(
        &mut self,
        key: Option<&[u8]>,
        limit: usize,
        bytes: u64,
    ) -> Result<Vec<Event>, StoreError> {
        let events = dead_letters::held_events(&self.connection, key, limit, bytes);
        events.map_err(|e| self.error(e))
    }

    fn dead_letter(&mut self, sequence: Sequence) -> Result<Option<DeadLetter>, StoreError> {
        dead_letters::dead_letter(&self.connection, sequence).map_err(|e| self.error(e))
    }

    /// Filling an index at the end costs half of keeping it while the table is filled: entries then come in
    /// their order, and rows that move in the index meanwhile cost nothing.
    fn build_indexes(&mut self) -> Result<(), StoreError> {
        if self.indexes == Indexes::Made {
            return Ok(());
        }
        let built = self.begin();
        let built = built.and_then(|()| file::make_indexes(&self.connection, &self.create_indexes));
        built.map_err(|e| self.error(e))?;
        self.indexes = Indexes::Made;
        Ok(())
    }

    fn commit(&mut self, next: &Checkpoint) -> Result<(), StoreError> {
        if self.failed {
            return Err(StoreError::RollBackFirst);
        }
        match self.commit_all(next) {
            Ok(true) => {}
            Ok(false) => return Err(self.checkpoint_moved()),
            Err(e) => {
                // What prevented the commit says more than what prevents the rollback after it.
                let _ = self.rollback();
                return Err(self.error(e));
            }
        }
        self.checkpoint = Some(next.clone());
        self.bound_log();
        Ok(())
    }

    fn rollback(&mut self) -> Result<(), StoreError> {
        self.failed = false;
        if self.indexes == Indexes::Made {
            self.indexes = Indexes::Unknown;
        }
        // On some errors SQLite has rolled back by itself.
        if self.connection.is_autocommit() {
            return Ok(());
        }
        let ended = self.connection.execute_batch("ROLLBACK");
        ended.map_err(|e| self.error(e))
    }
}

/// Prepares every statement, so that a table that does not fit shows now.
fn prepare(connection: &Connection, statements: &[Statements]) -> rusqlite::Result<()> {
    let of_tables: usize = statements.iter().map(|table| table.iter().count()).sum();
    // Beside them: begin, commit, three of the checkpoint, six of dead letters.
    connection.set_prepared_statement_cache_capacity(of_tables + 14);
    let mut all = statements.iter().flat_map(Statements::iter);
    all.try_for_each(|sql| connection.prepare_cached(sql).map(drop))
}

fn write_table(
    connection: &Connection,
    statements: &Statements,
    unindexed: bool,
    changes: &[Change<'_>],
) -> rusqlite::Result<()> {
    let mut put = connection.prepare_cached(&statements.put)?;
    let mut put_without_indexes = connection.prepare_cached(&statements.put_without_indexes)?;
    let mut put_beside_indexes = connection.prepare_cached(&statements.put_beside_indexes)?;
    let mut delete = connection.prepare_cached(&statements.delete)?;
    for changes in changes.chunks(FETCHED_AHEAD) {
        let rows = changes.iter().filter_map(|change| change.row);
        rows.for_each(fetch);
        for change in changes {
            let (statement, values) = match change.row {
                Some(row) if unindexed => (&mut put_without_indexes, row),
                Some(row) if change.keeps_indexes => (&mut put_beside_indexes, row),
                Some(row) => (&mut put, row),
                None => (&mut delete, change.key),
            };
            row::bind_packed(statement, values)?;
            statement.raw_execute()?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;

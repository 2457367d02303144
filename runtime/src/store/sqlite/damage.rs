//! Looks a whole file through for damage that SQLite can see: pages that are none, keys out of order, indexes that do
//! not fit their tables. A value that was changed in its place looks like any other.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use super::{checkpoint, file};
use crate::event::Sequence;
use crate::store::StoreError;

/// That SQLite finds no damage in the file. Reads all of it.
///
/// # Errors
/// [`StoreError::Damaged`] with the first that it found; others when the file cannot be read.
pub(crate) fn look_through(path: &Path) -> Result<(), StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let look = || {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(file::BUSY_TIMEOUT)?;
        first_damage(&connection)
    };
    match look().map_err(|e| StoreError::sqlite(path, e))? {
        None => Ok(()),
        Some(found) => Err(StoreError::damaged(path, found)),
    }
}

/// The sequence that the file stands at; 0 when nothing was committed.
///
/// # Errors
/// If it cannot be read.
pub(crate) fn sequence_of(path: &Path) -> Result<Sequence, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let read = || {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(file::BUSY_TIMEOUT)?;
        checkpoint::read(&connection)
    };
    let found = read().map_err(|e| StoreError::sqlite(path, e))?;
    Ok(found.map_or(0, |found| found.sequence))
}

/// The first damage that SQLite finds in an open database; none when there is none.
pub(crate) fn first_damage(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let found: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    // It may be of several lines: where, and what.
    let found = found.split_whitespace().collect::<Vec<_>>().join(" ");
    Ok((found != "ok").then_some(found))
}

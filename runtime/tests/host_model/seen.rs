//! What the product holds, read as anybody could: with SQLite, in one transaction.

use std::collections::BTreeMap;
use std::path::Path;

use rusqlite::{Connection, OpenFlags, Row, Transaction};

use crate::model::{Contents, Note};

/// The contents of a generation's file; none when it is not there yet.
pub(crate) fn contents(file: &Path) -> Option<Contents> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(file, flags).ok()?;
    let transaction = connection.transaction().ok()?;
    read(&transaction).ok()
}

fn read(transaction: &Transaction<'_>) -> rusqlite::Result<Contents> {
    let sequence = "SELECT coalesce(max(sequence), 0) FROM _foldline_checkpoint";
    let sequence: i64 = transaction.query_row(sequence, [], |row| row.get(0))?;
    let mut contents = Contents {
        sequence: sequence.cast_unsigned(),
        rows: all(transaction, "SELECT * FROM notes", note)?,
        held: BTreeMap::new(),
        letters: all(
            transaction,
            "SELECT sequence, held FROM _foldline_dead_letters",
            |row| Ok((row.get::<_, i64>(0)?.cast_unsigned(), row.get(1)?)),
        )?,
    };
    let held: Vec<(i64, Vec<u8>)> = all(
        transaction,
        "SELECT sequence, key FROM _foldline_held_events ORDER BY sequence",
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    for (sequence, key) in held {
        let key = String::from_utf8(key).unwrap();
        let events = contents.held.entry(key).or_default();
        events.push_back(sequence.cast_unsigned());
    }
    Ok(contents)
}

fn note(row: &Row<'_>) -> rusqlite::Result<(String, Note)> {
    let note = Note {
        events: row.get("events")?,
        last_sequence: row.get("last_sequence")?,
        trail: row.get("trail")?,
    };
    Ok((row.get("key")?, note))
}

fn all<T, C: FromIterator<T>>(
    transaction: &Transaction<'_>,
    sql: &str,
    read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<C> {
    let mut statement = transaction.prepare(sql)?;
    statement.query_map([], read)?.collect()
}

//! Dead letters and held events: two tables of ours beside the rows.

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Result, Row, params};

use crate::event::{Event, Sequence};
use crate::store::dead_letters::{
    DeadLetter, DeadLetterChange, HeldEvent, HeldOutline, LetterOutline, SetAside,
};

/// The tables, where they are not there yet.
pub(super) const TABLES: &str = "
CREATE TABLE IF NOT EXISTS _foldline_dead_letters (
  sequence INTEGER PRIMARY KEY,
  key BLOB,
  held INTEGER NOT NULL,
  digest TEXT NOT NULL,
  time INTEGER NOT NULL,
  subject TEXT NOT NULL,
  headers BLOB NOT NULL,
  headers_bytes INTEGER NOT NULL,
  payload BLOB NOT NULL,
  payload_bytes INTEGER NOT NULL,
  attempts_made INTEGER NOT NULL,
  attempts TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS _foldline_held_events (
  sequence INTEGER PRIMARY KEY,
  key BLOB,
  bytes INTEGER NOT NULL,
  time INTEGER NOT NULL,
  subject TEXT NOT NULL,
  headers BLOB NOT NULL,
  payload BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS _foldline_held_events_by_key ON _foldline_held_events (key, sequence);
";

/// The columns of a dead letter, in the order of [`letter`].
const LETTER: &str = "sequence, key, held, time, subject, headers, headers_bytes, payload, \
                      payload_bytes, attempts_made, attempts";

/// The same without what is long.
const OUTLINE: &str = "sequence, key, held, time, subject, x'', headers_bytes, x'', payload_bytes, attempts_made, \
    json_array(json_remove(json_extract(attempts, '$[#-1]'), '$.log', '$.backtrace'))";

/// Does what each change says, in the open transaction.
pub(super) fn write(connection: &Connection, changes: &[DeadLetterChange]) -> Result<()> {
    changes.iter().try_for_each(|change| match change {
        DeadLetterChange::Record(letter) => record(connection, letter),
        DeadLetterChange::Hold(held) => hold(connection, held),
        DeadLetterChange::Settle(sequence) => {
            let sql = "DELETE FROM _foldline_dead_letters WHERE sequence = ?";
            delete(connection, sql, *sequence)
        }
        DeadLetterChange::Release(sequence) => {
            let sql = "DELETE FROM _foldline_held_events WHERE sequence = ?";
            delete(connection, sql, *sequence)
        }
    })
}

fn delete(connection: &Connection, sql: &str, sequence: Sequence) -> Result<()> {
    let mut delete = connection.prepare_cached(sql)?;
    delete.execute([sequence.cast_signed()]).map(drop)
}

fn record(connection: &Connection, letter: &DeadLetter) -> Result<()> {
    let attempts = serde_json::to_string(&letter.attempts)
        .map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))?;
    let mut replace = connection.prepare_cached(
        "INSERT OR REPLACE INTO _foldline_dead_letters VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )?;
    let values = params![
        letter.sequence.cast_signed(),
        letter.key,
        letter.held,
        letter.digest(),
        letter.time,
        letter.subject,
        letter.headers,
        letter.headers_bytes.cast_signed(),
        letter.payload,
        letter.payload_bytes.cast_signed(),
        letter.attempts_made,
        attempts,
    ];
    replace.execute(values).map(drop)
}

fn hold(connection: &Connection, held: &HeldEvent) -> Result<()> {
    let HeldEvent { key, event } = held;
    let sql = "INSERT OR REPLACE INTO _foldline_held_events VALUES (?, ?, ?, ?, ?, ?, ?)";
    let mut insert = connection.prepare_cached(sql)?;
    let values = params![
        event.sequence.cast_signed(),
        key,
        held.bytes().cast_signed(),
        event.time,
        event.subject,
        &event.headers[..],
        &event.payload[..],
    ];
    insert.execute(values).map(drop)
}

/// Everything that is set aside.
pub(super) fn set_aside(connection: &Connection) -> Result<SetAside> {
    let letter = |row: &Row<'_>| {
        Ok(LetterOutline {
            sequence: row.get::<_, i64>(0)?.cast_unsigned(),
            key: row.get(1)?,
            held: row.get(2)?,
            digest: row.get(3)?,
        })
    };
    let held = |row: &Row<'_>| {
        Ok(HeldOutline {
            key: row.get(0)?,
            events: row.get::<_, i64>(1)?.cast_unsigned(),
            bytes: row.get::<_, i64>(2)?.cast_unsigned(),
        })
    };
    let letters =
        "SELECT sequence, key, held, digest FROM _foldline_dead_letters ORDER BY sequence";
    let keys = "SELECT key, count(*), sum(bytes) FROM _foldline_held_events GROUP BY key";
    Ok(SetAside {
        letters: collect(connection, letters, letter)?,
        held: collect(connection, keys, held)?,
    })
}

fn collect<T>(
    connection: &Connection,
    sql: &str,
    read: impl FnMut(&Row<'_>) -> Result<T>,
) -> Result<Vec<T>> {
    connection.prepare(sql)?.query_map([], read)?.collect()
}

/// The first held events of a key, at most `limit` and about `bytes`, but one at least where there is one.
pub(super) fn held_events(
    connection: &Connection,
    key: Option<&[u8]>,
    limit: usize,
    bytes: u64,
) -> Result<Vec<Event>> {
    let mut select = connection.prepare_cached(
        "SELECT sequence, time, subject, headers, payload, bytes FROM _foldline_held_events
         WHERE key IS ? ORDER BY sequence LIMIT ?",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let (mut rows, mut events, mut taken) = (select.query(params![key, limit])?, Vec::new(), 0);
    while let Some(row) = rows.next()? {
        taken += row.get::<_, i64>(5)?.cast_unsigned();
        if taken > bytes && !events.is_empty() {
            break;
        }
        events.push(Event {
            sequence: row.get::<_, i64>(0)?.cast_unsigned(),
            time: row.get(1)?,
            subject: row.get(2)?,
            headers: row.get::<_, Vec<u8>>(3)?.into(),
            payload: row.get::<_, Vec<u8>>(4)?.into(),
        });
    }
    Ok(events)
}

/// One dead letter.
pub(super) fn dead_letter(
    connection: &Connection,
    sequence: Sequence,
) -> Result<Option<DeadLetter>> {
    let sql = format!("SELECT {LETTER} FROM _foldline_dead_letters WHERE sequence = ?");
    let mut select = connection.prepare_cached(&sql)?;
    select
        .query_row([sequence.cast_signed()], letter)
        .optional()
}

/// The first dead letters behind `after`, without what is long; none in a file that is older than they are.
pub(super) fn list(
    connection: &Connection,
    after: Sequence,
    limit: usize,
) -> Result<Vec<DeadLetter>> {
    if !has_tables(connection)? {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT {OUTLINE} FROM _foldline_dead_letters WHERE sequence > ? ORDER BY sequence LIMIT ?"
    );
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let after = i64::try_from(after).unwrap_or(i64::MAX);
    let mut select = connection.prepare_cached(&sql)?;
    let letters = select.query_map([after, limit], letter)?;
    letters.collect()
}

/// One dead letter, and the number of events that are held with it.
pub(super) fn with_held(
    connection: &Connection,
    sequence: Sequence,
) -> Result<Option<(DeadLetter, u64)>> {
    if !has_tables(connection)? {
        return Ok(None);
    }
    let Some(letter) = dead_letter(connection, sequence)? else {
        return Ok(None);
    };
    let sql = "SELECT count(*) FROM _foldline_held_events WHERE key IS ?";
    let held = match letter.held {
        true => connection.query_row(sql, [&letter.key], |row| row.get(0))?,
        false => 0_i64,
    };
    Ok(Some((letter, held.cast_unsigned())))
}

/// Sequence of the dead letter behind which the event of this sequence is held, if it is.
pub(super) fn holder(connection: &Connection, sequence: Sequence) -> Result<Option<Sequence>> {
    if !has_tables(connection)? {
        return Ok(None);
    }
    let mut select = connection.prepare_cached(
        "SELECT letter.sequence FROM _foldline_held_events AS waiting
         JOIN _foldline_dead_letters AS letter ON letter.held AND letter.key IS waiting.key
         WHERE waiting.sequence = ?",
    )?;
    let holder = select.query_row([sequence.cast_signed()], |row| row.get::<_, i64>(0));
    Ok(holder.optional()?.map(i64::cast_unsigned))
}

/// Numbers of dead letters and of held keys.
pub(super) fn counts(connection: &Connection) -> Result<(u64, u64)> {
    if !has_tables(connection)? {
        return Ok((0, 0));
    }
    let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, i64>(0));
    let letters = count("SELECT count(*) FROM _foldline_dead_letters")?;
    // Null is a key here, too.
    let keys = count("SELECT count(*) FROM (SELECT 1 FROM _foldline_held_events GROUP BY key)")?;
    Ok((letters.cast_unsigned(), keys.cast_unsigned()))
}

/// A file of the format before has none until it is opened for writing.
fn has_tables(connection: &Connection) -> Result<bool> {
    let sql = "SELECT 1 FROM sqlite_schema WHERE name = '_foldline_held_events'";
    connection.prepare_cached(sql)?.exists([])
}

fn letter(row: &Row<'_>) -> Result<DeadLetter> {
    let attempts: String = row.get(10)?;
    let attempts = serde_json::from_str(&attempts)
        .map_err(|e| rusqlite::Error::FromSqlConversionFailure(10, Type::Text, e.into()))?;
    Ok(DeadLetter {
        sequence: row.get::<_, i64>(0)?.cast_unsigned(),
        key: row.get(1)?,
        held: row.get(2)?,
        time: row.get(3)?,
        subject: row.get(4)?,
        headers: row.get(5)?,
        headers_bytes: row.get::<_, i64>(6)?.cast_unsigned(),
        payload: row.get(7)?,
        payload_bytes: row.get::<_, i64>(8)?.cast_unsigned(),
        attempts_made: row.get(9)?,
        attempts,
    })
}

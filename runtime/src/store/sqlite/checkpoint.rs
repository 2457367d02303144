//! The one row that says how far the read model has come.

use rusqlite::{Connection, OptionalExtension, Result, params};

use crate::store::Checkpoint;

// Sequences and epochs are stored bit by bit: SQLite's integers are signed, and only equality counts here.

/// The stored checkpoint.
pub(super) fn read(connection: &Connection) -> Result<Option<Checkpoint>> {
    connection
        .prepare_cached("SELECT stream, sequence, anchor, epoch FROM _foldline_checkpoint")?
        .query_row([], |row| {
            Ok(Checkpoint {
                stream: row.get(0)?,
                sequence: row.get::<_, i64>(1)?.cast_unsigned(),
                anchor: row.get(2)?,
                epoch: row.get::<_, i64>(3)?.cast_unsigned(),
            })
        })
        .optional()
}

/// Puts `next` in the place of `expected`; false when something else is stored.
pub(super) fn replace(
    connection: &Connection,
    expected: Option<&Checkpoint>,
    next: &Checkpoint,
) -> Result<bool> {
    let new = (
        &next.stream,
        next.sequence.cast_signed(),
        next.anchor,
        next.epoch.cast_signed(),
    );
    let replaced = match expected {
        None => connection
            .prepare_cached(
                "INSERT INTO _foldline_checkpoint VALUES (1, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            )?
            .execute(new)?,
        Some(old) => connection
            .prepare_cached(
                "UPDATE _foldline_checkpoint SET stream = ?, sequence = ?, anchor = ?, epoch = ?
                 WHERE stream = ? AND sequence = ? AND anchor = ? AND epoch = ?",
            )?
            .execute(params![
                new.0,
                new.1,
                new.2,
                new.3,
                old.stream,
                old.sequence.cast_signed(),
                old.anchor,
                old.epoch.cast_signed()
            ])?,
    };
    Ok(replaced == 1)
}

/// Makes this writer the only one whose commits are accepted, and gives the checkpoint it goes on from.
pub(super) fn take_over(connection: &mut Connection) -> Result<Option<Checkpoint>> {
    // Also where nothing is stored yet: a file that cannot be written shows it here, before any work.
    let transaction =
        connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let found = read(&transaction)?;
    let taken = found.as_ref().map(|found| Checkpoint {
        epoch: found.epoch + 1,
        ..found.clone()
    });
    if let Some(taken) = &taken {
        replace(&transaction, found.as_ref(), taken)?;
    }
    transaction.commit()?;
    Ok(taken)
}

//! What a read model must hold after each commit, and whether it does.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::Path;

use foldline::definition::{Column, ColumnType, Definition, EventKey, Table};
use foldline::store::dead_letters::{DeadLetter, HeldEvent};
use foldline::store::sqlite::SqliteStore;
use foldline::store::{Checkpoint, ReadModelStore as _};
use foldline::value::{Row, Value};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};

use crate::disk::Disk;

/// A table with an index.
pub(crate) const NOTES: usize = 0;
/// One of nothing but a key.
pub(crate) const MARKS: usize = 1;

pub(crate) fn definition() -> Definition {
    let column = |(name, ty): (&str, ColumnType)| Column {
        name: name.to_owned(),
        ty,
        nullable: false,
    };
    let table = |name: &str, columns: &[(&str, ColumnType)], indexes: Vec<Vec<usize>>| Table {
        name: name.to_owned(),
        columns: columns.iter().copied().map(column).collect(),
        key: vec![0],
        indexes,
    };
    use ColumnType::{Integer, Text};
    Definition {
        name: "swept".into(),
        version: 1,
        subjects: vec!["orders.>".into()],
        key: EventKey::SubjectToken(1),
        tables: vec![
            table(
                "notes",
                &[("id", Integer), ("kind", Integer), ("text", Text)],
                vec![vec![1]],
            ),
            table("marks", &[("id", Integer)], vec![]),
        ],
    }
}

/// Everything that one commit makes of a read model.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct State {
    /// Sequence and epoch.
    pub(crate) checkpoint: Option<(u64, u64)>,
    pub(crate) rows: [BTreeMap<i64, Row>; 2],
    pub(crate) letters: BTreeMap<u64, DeadLetter>,
    pub(crate) held: BTreeMap<u64, HeldEvent>,
}

/// Sequence and epoch.
pub(crate) fn at(checkpoint: Option<&Checkpoint>) -> Option<(u64, u64)> {
    checkpoint.map(|checkpoint| (checkpoint.sequence, checkpoint.epoch))
}

/// Puts a disk at `path`, opens the read model on it as a host does, and says which of the states it is in.
pub(crate) fn check(
    path: &Path,
    disk: &Disk,
    states: &[State],
    may_be: RangeInclusive<usize>,
) -> Result<usize, String> {
    disk.write(path);
    let mut store =
        SqliteStore::open(path, &definition()).map_err(|e| format!("it does not open: {e}"))?;
    let taken_over = at(store.checkpoint());
    let checkpoint = taken_over.map(|(sequence, epoch)| (sequence, epoch - 1));
    let found = State {
        checkpoint,
        ..read(path, &mut store).map_err(|e| format!("it cannot be read: {e}"))?
    };
    let mut candidates = may_be.clone().rev();
    let state = candidates.find(|&i| states[i].checkpoint == checkpoint);
    let state = state.ok_or_else(|| format!("checkpoint {checkpoint:?} is none of {may_be:?}"))?;
    if found != states[state] {
        return Err(format!(
            "the checkpoint is {checkpoint:?}, and the rest is not what was committed with it"
        ));
    }
    goes_on(&mut store).map_err(|e| format!("it cannot be written: {e}"))?;
    Ok(state)
}

/// Everything but the checkpoint.
fn read(path: &Path, store: &mut SqliteStore) -> anyhow::Result<State> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    let sound: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    anyhow::ensure!(sound == "ok", "it is damaged: {sound}");
    let mut state = State {
        rows: [rows(&connection, "notes")?, rows(&connection, "marks")?],
        ..State::default()
    };
    let aside = store.set_aside()?;
    for outline in aside.letters {
        let letter = store.dead_letter(outline.sequence)?;
        state.letters.insert(outline.sequence, letter.unwrap());
    }
    for outline in aside.held {
        let key = outline.key;
        for event in store.held_events(key.as_deref(), usize::MAX, u64::MAX)? {
            let key = key.clone();
            state.held.insert(event.sequence, HeldEvent { key, event });
        }
    }
    Ok(state)
}

fn rows(connection: &Connection, table: &str) -> rusqlite::Result<BTreeMap<i64, Row>> {
    let mut statement = connection.prepare(&format!("SELECT * FROM {table}"))?;
    let columns = statement.column_count();
    let value = |value: ValueRef<'_>| match value {
        ValueRef::Integer(integer) => Value::Integer(integer),
        ValueRef::Text(text) => Value::Text(String::from_utf8_lossy(text).into_owned()),
        other => panic!("no column holds {other:?}"),
    };
    let row = |row: &rusqlite::Row<'_>| {
        let values = (0..columns).map(|i| Ok(value(row.get_ref(i)?)));
        Ok((row.get(0)?, values.collect::<rusqlite::Result<_>>()?))
    };
    statement.query_map([], row)?.collect()
}

/// What comes next can be committed.
fn goes_on(store: &mut SqliteStore) -> anyhow::Result<()> {
    if let Some(checkpoint) = store.checkpoint().cloned() {
        store.commit(&checkpoint.again())?;
    }
    Ok(())
}

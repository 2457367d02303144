//! What lies in a data folder, read as anybody could: with SQLite, while no host uses it.

use std::fs;
use std::path::Path;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Row};
use serde_json::{Map, Value, json};

use crate::rows::Rows;

mod generation;

pub use generation::{Generation, Letter, generations};

/// A projection's live read model, as a killed host left it.
#[derive(Debug)]
pub struct LiveReadModel {
    /// Its version.
    pub version: u64,
    /// Its file, which no other generation has.
    pub file: String,
    /// Its checkpoint's sequence; 0 when it has none.
    pub sequence: u64,
    /// The rows of the table that was asked for.
    pub rows: Rows,
}

/// The live read model of a projection with one table by a text key. A copy of the folder is read, because reading
/// would mend what a crash has left.
///
/// # Panics
/// If not exactly one generation of it is live, or a file cannot be read.
pub fn live(data: &Path, projection: &str, table: &str, key: &str) -> LiveReadModel {
    let copy = tempfile::tempdir().expect("a temporary folder");
    copy_folder(data, copy.path());
    let (version, file) = live_file(copy.path(), projection);
    let path = copy.path().join(&file);
    if !path.exists() {
        // Killed between the catalog and the first commit: nothing was shown yet.
        let (sequence, rows) = (0, Rows::new());
        return LiveReadModel {
            version,
            file,
            sequence,
            rows,
        };
    }
    let connection = Connection::open(path).expect("the read model can be opened");
    let sequence = connection
        .query_row(
            "SELECT max(sequence) FROM _foldline_checkpoint",
            [],
            |row| row.get::<_, Option<i64>>(0),
        )
        .expect("the read model has a checkpoint table");
    let mut statement = connection
        .prepare(&format!("SELECT * FROM {table}"))
        .expect("the table is there");
    let names: Vec<_> = statement.column_names().map(str::to_owned).collect();
    let rows = statement
        .query_map([], |row| Ok(object(row, &names)))
        .expect("the rows can be read");
    let by_key = |row: Value| (row[key].as_str().expect("a text key").to_owned(), row);
    LiveReadModel {
        version,
        file,
        sequence: sequence.unwrap_or_default().cast_unsigned(),
        rows: rows.map(|row| by_key(row.expect("a row"))).collect(),
    }
}

/// Every row of every table of a projection's live read model, bit for bit as text, in the order of the primary keys.
/// As [`live`] for a host that has ended.
///
/// # Panics
/// As [`live`].
pub fn everything(data: &Path, projection: &str) -> String {
    let copy = tempfile::tempdir().expect("a temporary folder");
    copy_folder(data, copy.path());
    let (_, file) = live_file(copy.path(), projection);
    let connection =
        Connection::open(copy.path().join(file)).expect("the read model can be opened");
    let tables = strings(
        &connection,
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE '\\_%' ESCAPE '\\' ORDER BY name",
        |row| row.get_unwrap(0),
    );
    let dump = |table: &String| {
        let rows = strings(&connection, &format!("SELECT * FROM {table}"), bits);
        format!("{table}\n{}\n", rows.join("\n"))
    };
    tables.iter().map(dump).collect()
}

fn strings(connection: &Connection, sql: &str, read: impl Fn(&Row<'_>) -> String) -> Vec<String> {
    let mut statement = connection.prepare(sql).expect("the query is right");
    let found = statement
        .query_map([], |row| Ok(read(row)))
        .and_then(Iterator::collect);
    found.expect("the rows can be read")
}

/// The values of a row so that no two that differ in a bit look the same.
fn bits(row: &Row<'_>) -> String {
    let columns = row.as_ref().column_count();
    let value = |i| match row.get_ref_unwrap(i) {
        ValueRef::Real(real) => format!("real {:016x}", real.to_bits()),
        other => format!("{other:?}"),
    };
    (0..columns).map(value).collect::<Vec<_>>().join(", ")
}

fn live_file(data: &Path, projection: &str) -> (u64, String) {
    let catalog = Connection::open(data.join("catalog.db")).expect("the catalog can be opened");
    let sql = "SELECT version, file FROM generations WHERE projection = ? AND state = 'live'";
    let mut statement = catalog.prepare(sql).expect("the catalog has generations");
    let live: Vec<(i64, String)> = statement
        .query_map([projection], |row| Ok((row.get(0)?, row.get(1)?)))
        .and_then(Iterator::collect)
        .expect("the catalog can be read");
    assert_eq!(live.len(), 1, "exactly one generation is live: {live:?}");
    (live[0].0.cast_unsigned(), live[0].1.clone())
}

/// Copies a folder with everything in it.
///
/// # Panics
/// If it cannot be read or written.
pub fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder can be made");
    for entry in fs::read_dir(from).expect("the folder is there") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy_folder(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).expect("a file can be copied");
        }
    }
}

fn object(row: &Row<'_>, names: &[String]) -> Value {
    let columns = names.iter().enumerate();
    let value = |i| match row.get_ref_unwrap(i) {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(value) => json!(value),
        ValueRef::Real(value) => json!(value),
        ValueRef::Text(value) => json!(String::from_utf8_lossy(value)),
        ValueRef::Blob(value) => json!(value),
    };
    let object: Map<_, _> = columns.map(|(i, name)| (name.clone(), value(i))).collect();
    object.into()
}

/// Moves what a stopped host left in the write-ahead log into the file itself. SQLite does so when the last connection
/// is closed, but not where that is one that only reads.
///
/// # Panics
/// If the file cannot be opened, or somebody has it open.
#[track_caller]
pub fn empty_log(file: &Path) {
    let connection = Connection::open(file).expect("the file can be opened");
    let busy = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0));
    assert_eq!(busy, Ok(false), "nobody else has {} open", file.display());
}

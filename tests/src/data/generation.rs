//! Every generation of a projection as a killed host left it: rows, checkpoint, dead letters and held events.

use std::collections::BTreeMap;
use std::path::Path;
use std::rc::Rc;

use rusqlite::Connection;
use tempfile::TempDir;

use super::{copy_folder, object};
use crate::rows::Rows;

/// One generation that is not retired, in a copy of the data folder.
#[derive(Debug)]
pub struct Generation {
    /// Its number.
    pub number: u64,
    /// Its version.
    pub version: u64,
    /// Digest of the module that feeds it.
    pub digest: String,
    /// `live`, `standby`, `building` or `failed`.
    pub state: String,
    /// Its checkpoint's sequence; 0 while nothing is committed.
    pub sequence: u64,
    /// None while it has no file.
    file: Option<Connection>,
    _copy: Rc<TempDir>,
}

/// A dead letter as far as tests know what it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// The event's key.
    pub key: Option<String>,
    /// Its subject.
    pub subject: String,
    /// Its payload.
    pub payload: Vec<u8>,
    /// Whether its key is held.
    pub held: bool,
    /// Attempts to apply it.
    pub attempts: u64,
}

/// All generations of a projection that are not retired, oldest first; none where the catalog does not know it.
///
/// # Panics
/// If a file cannot be read or is damaged.
pub fn generations(data: &Path, projection: &str) -> Vec<Generation> {
    let copy = Rc::new(tempfile::tempdir().expect("a temporary folder"));
    copy_folder(data, copy.path());
    let catalog = Connection::open(copy.path().join("catalog.db")).expect("the catalog opens");
    let sql = "SELECT number, version, digest, state, file FROM generations
               WHERE projection = ? AND state <> 'retired' ORDER BY number";
    let mut statement = match catalog.prepare(sql) {
        Ok(statement) => statement,
        // Killed before it was made.
        Err(_) => return Vec::new(),
    };
    let found = statement.query_map([projection], |row| {
        let file: String = row.get(4)?;
        let file = copy.path().join(file);
        let file = file.exists().then(|| open(&file));
        Ok(Generation {
            number: row.get::<_, i64>(0)?.cast_unsigned(),
            version: row.get::<_, i64>(1)?.cast_unsigned(),
            digest: row.get(2)?,
            state: row.get(3)?,
            sequence: file.as_ref().map_or(0, sequence),
            file,
            _copy: Rc::clone(&copy),
        })
    });
    let found = found.and_then(Iterator::collect);
    found.expect("the catalog can be read")
}

fn open(file: &Path) -> Connection {
    let connection = Connection::open(file).expect("the read model can be opened");
    let sound = connection.query_row("PRAGMA quick_check", [], |row| row.get::<_, String>(0));
    assert_eq!(sound.as_deref(), Ok("ok"), "{}", file.display());
    connection
}

fn sequence(connection: &Connection) -> u64 {
    let sql = "SELECT coalesce(max(sequence), 0) FROM _foldline_checkpoint";
    let sequence: i64 = connection
        .query_row(sql, [], |row| row.get(0))
        .expect("the read model has a checkpoint table");
    sequence.cast_unsigned()
}

impl Generation {
    /// The rows of a table, by the text of their key column.
    ///
    /// # Panics
    /// If they cannot be read.
    pub fn rows(&self, table: &str, key: &str) -> Rows {
        let mut rows = Rows::new();
        let Some(file) = &self.file else { return rows };
        let mut statement = file
            .prepare(&format!("SELECT * FROM {table}"))
            .expect("the table is there");
        let names: Vec<_> = statement.column_names().map(str::to_owned).collect();
        let found = statement.query_map([], |row| Ok(object(row, &names)));
        for row in found.expect("the rows can be read") {
            let row = row.expect("a row");
            let id = row[key]
                .as_str()
                .map_or_else(|| row[key].to_string(), str::to_owned);
            rows.insert(id, row);
        }
        rows
    }

    /// The dead letters, by their sequences.
    ///
    /// # Panics
    /// If they cannot be read.
    pub fn dead_letters(&self) -> BTreeMap<u64, Letter> {
        let Some(file) = &self.file else {
            return BTreeMap::new();
        };
        let sql = "SELECT sequence, key, subject, payload, held, attempts_made FROM _foldline_dead_letters";
        let mut statement = file.prepare(sql).expect("there is a table of dead letters");
        let found = statement.query_map([], |row| {
            let letter = Letter {
                key: row.get::<_, Option<Vec<u8>>>(1)?.map(text),
                subject: row.get(2)?,
                payload: row.get(3)?,
                held: row.get(4)?,
                attempts: row.get::<_, i64>(5)?.cast_unsigned(),
            };
            Ok((row.get::<_, i64>(0)?.cast_unsigned(), letter))
        });
        let found = found.and_then(Iterator::collect);
        found.expect("the dead letters can be read")
    }

    /// The held events of each key, in their order.
    ///
    /// # Panics
    /// If they cannot be read.
    pub fn held_events(&self) -> BTreeMap<String, Vec<u64>> {
        let mut held: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        let Some(file) = &self.file else { return held };
        let sql = "SELECT key, sequence FROM _foldline_held_events ORDER BY sequence";
        let mut statement = file.prepare(sql).expect("there is a table of held events");
        let found = statement.query_map([], |row| {
            let key: Vec<u8> = row.get(0)?;
            Ok((text(key), row.get::<_, i64>(1)?.cast_unsigned()))
        });
        for event in found.expect("the held events can be read") {
            let (key, sequence) = event.expect("a held event");
            held.entry(key).or_default().push(sequence);
        }
        held
    }
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("keys of these projections are texts")
}

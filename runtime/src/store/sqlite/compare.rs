//! Compares two read models row by row, each as it was at one moment, while their writers go on.

use std::cmp::Ordering;
use std::path::{Path, PathBuf};

use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, Row, Rows};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::schema;
use crate::definition::{ColumnType, Definition, Table};
use crate::event::Sequence;
use crate::store::StoreError;

/// A read model as it was when this was taken, for as long as it lives.
#[derive(Debug)]
pub struct Snapshot {
    path: PathBuf,
    definition: Definition,
    connection: Connection,
    sequence: Sequence,
}

/// How two read models differ.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The sequence at which both stood.
    pub sequence: Sequence,
    /// Whether both have the same tables and rows, as far as they have the same columns.
    pub equal: bool,
    /// Table by table.
    pub tables: Vec<TableDifference>,
}

/// How one table differs between the live read model and the other one.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TableDifference {
    /// Its name.
    pub table: String,
    /// Why its rows cannot be compared; none if they were.
    pub incomparable: Option<String>,
    /// Columns that only the live one has.
    pub columns_only_live: Vec<String>,
    /// Columns that only the other one has.
    pub columns_only_other: Vec<String>,
    /// Rows of the live one.
    pub rows_live: u64,
    /// Rows of the other one.
    pub rows_other: u64,
    /// Rows whose key only the live one has.
    pub only_live: u64,
    /// Rows whose key only the other one has.
    pub only_other: u64,
    /// Rows that differ in a column that both have.
    pub changed: u64,
    /// SHA-256 over all rows of the live one in the order of their keys.
    pub hash_live: String,
    /// The same of the other one.
    pub hash_other: String,
    /// The first rows that differ.
    pub examples: Vec<Example>,
}

/// One row that differs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Example {
    /// Its primary key.
    pub key: Vec<serde_json::Value>,
    /// What differs; empty when only one of the two has the row.
    pub columns: Vec<Cell>,
    /// Who has the row.
    pub only: Option<Side>,
}

/// One of the two read models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The one that is served.
    Live,
    /// The one it is compared with.
    Other,
}

/// One value that differs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// Its column.
    pub column: String,
    /// In the live one.
    pub live: serde_json::Value,
    /// In the other one.
    pub other: serde_json::Value,
}

impl Snapshot {
    /// Takes a snapshot of the read model at `path`. Blocks no writer.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn take(path: &Path, definition: &Definition) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let pinned = || {
            let connection = Connection::open_with_flags(path, flags)?;
            connection.busy_timeout(super::file::BUSY_TIMEOUT)?;
            connection.execute_batch("BEGIN")?;
            // The first read pins what all later ones see.
            let checkpoint = super::checkpoint::read(&connection)?;
            Ok((connection, checkpoint.map_or(0, |at| at.sequence)))
        };
        let (connection, sequence) = pinned().map_err(|e| StoreError::sqlite(path, e))?;
        Ok(Self {
            path: path.to_owned(),
            definition: definition.clone(),
            connection,
            sequence,
        })
    }

    /// The sequence it stands at.
    pub fn sequence(&self) -> Sequence {
        self.sequence
    }

    /// Compares this one, which is live, with another; with up to `examples` rows that differ for each table.
    ///
    /// # Errors
    /// If one of them cannot be read.
    pub fn compare(&self, other: &Self, examples: usize) -> Result<Difference, StoreError> {
        let ours = self.definition.tables.iter();
        let tables: Result<Vec<_>, StoreError> = ours
            .map(|live| match other.table(&live.name) {
                Some(theirs) => Comparison::new(live, theirs).run(self, other, examples),
                None => Ok(alone(&live.name, "only the live read model has this table")),
            })
            .collect();
        let mut tables = tables?;
        let theirs = other.definition.tables.iter();
        let new = theirs.filter(|table| self.table(&table.name).is_none());
        let only_other = "only the other read model has this table";
        tables.extend(new.map(|table| alone(&table.name, only_other)));
        Ok(Difference {
            sequence: self.sequence,
            equal: tables.iter().all(TableDifference::is_equal),
            tables,
        })
    }

    fn table(&self, name: &str) -> Option<&Table> {
        let mut tables = self.definition.tables.iter();
        tables.find(|table| table.name == name)
    }

    fn error(&self, source: rusqlite::Error) -> StoreError {
        StoreError::sqlite(&self.path, source)
    }
}

impl TableDifference {
    fn is_equal(&self) -> bool {
        self.incomparable.is_none() && self.only_live + self.only_other + self.changed == 0
    }
}

fn alone(table: &str, why: &str) -> TableDifference {
    TableDifference {
        table: table.to_owned(),
        incomparable: Some(why.to_owned()),
        ..TableDifference::default()
    }
}

/// One table of the two.
struct Comparison<'a> {
    live: &'a Table,
    other: &'a Table,
    /// Positions of the columns that both have: in the live one, and in the other.
    common: Vec<(usize, usize)>,
}

/// Rows of one side in the order of their keys.
struct Cursor<'a> {
    rows: Rows<'a>,
    table: &'a Table,
    current: Option<Vec<Value>>,
    count: u64,
    hash: Sha256,
}

impl<'a> Comparison<'a> {
    fn new(live: &'a Table, other: &'a Table) -> Self {
        let columns = live.columns.iter().enumerate();
        let common = columns.filter_map(|(i, column)| Some((i, other.column(&column.name)?)));
        Self {
            live,
            other,
            common: common.collect(),
        }
    }

    fn run(
        &self,
        live: &Snapshot,
        other: &Snapshot,
        examples: usize,
    ) -> Result<TableDifference, StoreError> {
        let mut found = TableDifference {
            columns_only_live: missing(self.live, self.other),
            columns_only_other: missing(self.other, self.live),
            table: self.live.name.clone(),
            ..TableDifference::default()
        };
        if keys(self.live) != keys(self.other) {
            found.incomparable = Some("the primary keys are not the same".into());
            return Ok(found);
        }
        let (sql_live, sql_other) = (select(self.live), select(self.other));
        let ours = live.connection.prepare(&sql_live);
        let mut ours = ours.map_err(|e| live.error(e))?;
        let theirs = other.connection.prepare(&sql_other);
        let mut theirs = theirs.map_err(|e| other.error(e))?;
        let ours = ours.query([]).map_err(|e| live.error(e))?;
        let theirs = theirs.query([]).map_err(|e| other.error(e))?;
        let mut ours = Cursor::new(ours, self.live);
        let mut theirs = Cursor::new(theirs, self.other);
        ours.step().map_err(|e| live.error(e))?;
        theirs.step().map_err(|e| other.error(e))?;
        loop {
            let order = match (&ours.current, &theirs.current) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(ours), Some(theirs)) => self.order(ours, theirs),
            };
            self.note(order, &ours, &theirs, &mut found, examples);
            if order.is_le() {
                ours.step().map_err(|e| live.error(e))?;
            }
            if order.is_ge() {
                theirs.step().map_err(|e| other.error(e))?;
            }
        }
        (found.rows_live, found.hash_live) = ours.end();
        (found.rows_other, found.hash_other) = theirs.end();
        Ok(found)
    }

    /// The order of two keys, as SQLite sorts them.
    fn order(&self, ours: &[Value], theirs: &[Value]) -> Ordering {
        let keys = self.live.key.iter().zip(&self.other.key);
        let orders = keys.map(|(&i, &j)| order(&ours[i], &theirs[j]));
        orders.fold(Ordering::Equal, Ordering::then)
    }

    fn note(
        &self,
        order: Ordering,
        ours: &Cursor<'_>,
        theirs: &Cursor<'_>,
        found: &mut TableDifference,
        examples: usize,
    ) {
        let (only, columns) = match order {
            Ordering::Less => (Some(Side::Live), Vec::new()),
            Ordering::Greater => (Some(Side::Other), Vec::new()),
            Ordering::Equal => (None, self.changed(ours, theirs)),
        };
        match only {
            Some(Side::Live) => found.only_live += 1,
            Some(Side::Other) => found.only_other += 1,
            None if columns.is_empty() => return,
            None => found.changed += 1,
        }
        if found.examples.len() < examples {
            let key = if only == Some(Side::Other) {
                theirs.key()
            } else {
                ours.key()
            };
            found.examples.push(Example { key, columns, only });
        }
    }

    fn changed(&self, ours: &Cursor<'_>, theirs: &Cursor<'_>) -> Vec<Cell> {
        let (Some(ours), Some(theirs)) = (&ours.current, &theirs.current) else {
            return Vec::new();
        };
        let pairs = self.common.iter();
        let differing = pairs.filter(|&&(i, j)| order(&ours[i], &theirs[j]).is_ne());
        let cell = |&(i, j): &(usize, usize)| Cell {
            column: self.live.columns[i].name.clone(),
            live: json(&ours[i], self.live.columns[i].ty),
            other: json(&theirs[j], self.other.columns[j].ty),
        };
        differing.map(cell).collect()
    }
}

impl<'a> Cursor<'a> {
    fn new(rows: Rows<'a>, table: &'a Table) -> Self {
        Self {
            rows,
            table,
            current: None,
            count: 0,
            hash: Sha256::new(),
        }
    }

    fn step(&mut self) -> rusqlite::Result<()> {
        let columns = self.table.columns.len();
        let read = |row: &Row<'_>| (0..columns).map(|i| row.get(i)).collect();
        let row: Option<rusqlite::Result<Vec<Value>>> = self.rows.next()?.map(read);
        self.current = row.transpose()?;
        if let Some(row) = &self.current {
            self.count += 1;
            row.iter().for_each(|value| hash(value, &mut self.hash));
        }
        Ok(())
    }

    fn key(&self) -> Vec<serde_json::Value> {
        let row = self.current.as_deref().unwrap_or_default();
        let keys = self.table.key.iter();
        keys.map(|&i| json(&row[i], self.table.columns[i].ty))
            .collect()
    }

    /// How many rows there were, and their hash.
    fn end(self) -> (u64, String) {
        let digest = self.hash.finalize();
        let digits = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        (self.count, digits)
    }
}

/// Columns of `table` that `other` has not.
fn missing(table: &Table, other: &Table) -> Vec<String> {
    let names = table.columns.iter().map(|column| &column.name);
    names
        .filter(|name| other.column(name).is_none())
        .cloned()
        .collect()
}

/// Names and types of the primary key.
fn keys(table: &Table) -> Vec<(&str, ColumnType)> {
    let columns = table.key.iter().map(|&i| &table.columns[i]);
    columns.map(|column| (&*column.name, column.ty)).collect()
}

fn select(table: &Table) -> String {
    let all: Vec<_> = (0..table.columns.len()).collect();
    let (columns, keys) = (schema::names(table, &all), schema::names(table, &table.key));
    format!(
        "SELECT {} FROM {} ORDER BY {}",
        columns.join(", "),
        schema::quoted(&table.name),
        keys.join(", ")
    )
}

/// The order of SQLite: null, numbers, texts by their bytes, blobs.
fn order(one: &Value, other: &Value) -> Ordering {
    let class = |value: &Value| match value {
        Value::Null => 0,
        Value::Integer(_) | Value::Real(_) => 1,
        Value::Text(_) => 2,
        Value::Blob(_) => 3,
    };
    match (one, other) {
        (Value::Integer(one), Value::Integer(other)) => one.cmp(other),
        (Value::Real(one), Value::Real(other)) => one.total_cmp(other),
        (Value::Integer(one), Value::Real(other)) => (*one as f64).total_cmp(other),
        (Value::Real(one), Value::Integer(other)) => one.total_cmp(&(*other as f64)),
        (Value::Text(one), Value::Text(other)) => one.as_bytes().cmp(other.as_bytes()),
        (Value::Blob(one), Value::Blob(other)) => one.cmp(other),
        _ => class(one).cmp(&class(other)),
    }
}

/// Each value with its type and length before it, so that no two rows look the same.
fn hash(value: &Value, hash: &mut Sha256) {
    let mut put = |tag: u8, bytes: &[u8]| {
        hash.update([tag]);
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    match value {
        Value::Null => put(0, b""),
        Value::Integer(value) => put(1, &value.to_le_bytes()),
        Value::Real(value) => put(2, &value.to_le_bytes()),
        Value::Text(value) => put(3, value.as_bytes()),
        Value::Blob(value) => put(4, value),
    }
}

fn json(value: &Value, ty: ColumnType) -> serde_json::Value {
    use base64::Engine as _;
    match value {
        Value::Integer(value) if ty == ColumnType::Boolean => (*value != 0).into(),
        Value::Null => serde_json::Value::Null,
        Value::Integer(value) => (*value).into(),
        Value::Real(value) => (*value).into(),
        Value::Text(value) => value.clone().into(),
        Value::Blob(value) => base64::engine::general_purpose::STANDARD
            .encode(value)
            .into(),
    }
}

#[cfg(test)]
mod tests;

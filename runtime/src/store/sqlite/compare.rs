//! Compares two read models row by row, each as it was at one moment, while their writers go on.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, Statement};
use serde::{Deserialize, Serialize};

use crate::definition::{Definition, Table};
use crate::event::Sequence;
use crate::store::StoreError;
use table::Tables;

mod table;
#[cfg(test)]
mod tests;
mod value;

/// Why two read models were not compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// One of them cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It was called off.
    #[error("the comparison was called off")]
    Stopped,
}

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

    /// Numbers of dead letters and of held keys.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn set_aside(&self) -> Result<(u64, u64), StoreError> {
        let counts = super::dead_letters::counts(&self.connection);
        counts.map_err(|e| StoreError::sqlite(&self.path, e))
    }

    /// Compares this one, which is live, with another; with up to `examples` rows that differ for each table. Row by row
    /// it is asked whether that has `stopped`.
    ///
    /// # Errors
    /// If one of them cannot be read, or it was called off.
    pub fn compare(
        &self,
        other: &Self,
        examples: usize,
        stopped: &dyn Fn() -> bool,
    ) -> Result<Difference, CompareError> {
        let ours = self.definition.tables.iter();
        let tables: Result<Vec<_>, CompareError> = ours
            .map(|live| match other.table(&live.name) {
                Some(theirs) => Tables::new(live, theirs).run((self, other), examples, stopped),
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

    fn prepare(&self, sql: &str) -> Result<Statement<'_>, StoreError> {
        self.connection.prepare(sql).map_err(|e| self.error(e))
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

//! One table of two read models, row by row in the order of its keys.

use std::cmp::Ordering;

use rusqlite::types::Value;
use rusqlite::{Rows, Statement};
use sha2::{Digest, Sha256};

use super::value::{hash, json, order};
use super::{Cell, CompareError, Example, Side, Snapshot, TableDifference};
use crate::definition::{ColumnType, Table};
use crate::store::StoreError;
use crate::store::sqlite::schema;

/// One table of both read models.
pub(super) struct Tables<'a> {
    live: &'a Table,
    other: &'a Table,
    /// Positions of the columns that both have: in the live one, and in the other.
    common: Vec<(usize, usize)>,
}

/// Rows of one side in the order of their keys.
struct Cursor<'a> {
    snapshot: &'a Snapshot,
    rows: Rows<'a>,
    table: &'a Table,
    current: Option<Vec<Value>>,
    count: u64,
    hash: Sha256,
}

impl<'a> Tables<'a> {
    pub(super) fn new(live: &'a Table, other: &'a Table) -> Self {
        let columns = live.columns.iter().enumerate();
        let common = columns.filter_map(|(i, column)| Some((i, other.column(&column.name)?)));
        Self {
            live,
            other,
            common: common.collect(),
        }
    }

    /// Reads both tables through, with up to `examples` rows that differ.
    pub(super) fn run(
        &self,
        (live, other): (&Snapshot, &Snapshot),
        examples: usize,
        stopped: &dyn Fn() -> bool,
    ) -> Result<TableDifference, CompareError> {
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
        let mut ours = live.prepare(&select(self.live))?;
        let mut theirs = other.prepare(&select(self.other))?;
        let mut ours = Cursor::open(live, &mut ours, self.live)?;
        let mut theirs = Cursor::open(other, &mut theirs, self.other)?;
        while let Some(order) = self.next(&ours, &theirs) {
            if stopped() {
                return Err(CompareError::Stopped);
            }
            self.note(order, &ours, &theirs, &mut found, examples);
            if order.is_le() {
                ours.step()?;
            }
            if order.is_ge() {
                theirs.step()?;
            }
        }
        (found.rows_live, found.hash_live) = ours.end();
        (found.rows_other, found.hash_other) = theirs.end();
        Ok(found)
    }

    /// Whose row comes first; none behind the last one of both.
    fn next(&self, ours: &Cursor<'_>, theirs: &Cursor<'_>) -> Option<Ordering> {
        match (&ours.current, &theirs.current) {
            (None, None) => None,
            (Some(_), None) => Some(Ordering::Less),
            (None, Some(_)) => Some(Ordering::Greater),
            (Some(ours), Some(theirs)) => Some(self.order(ours, theirs)),
        }
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
    /// Stands at the first row.
    fn open(
        snapshot: &'a Snapshot,
        statement: &'a mut Statement<'_>,
        table: &'a Table,
    ) -> Result<Self, StoreError> {
        let rows = statement.query([]).map_err(|e| snapshot.error(e))?;
        let mut cursor = Self {
            snapshot,
            rows,
            table,
            current: None,
            count: 0,
            hash: Sha256::new(),
        };
        cursor.step()?;
        Ok(cursor)
    }

    fn step(&mut self) -> Result<(), StoreError> {
        let read = self.read();
        self.current = read.map_err(|e| self.snapshot.error(e))?;
        if let Some(row) = &self.current {
            self.count += 1;
            row.iter().for_each(|value| hash(value, &mut self.hash));
        }
        Ok(())
    }

    fn read(&mut self) -> rusqlite::Result<Option<Vec<Value>>> {
        let columns = self.table.columns.len();
        let row = self.rows.next()?;
        row.map(|row| (0..columns).map(|i| row.get(i)).collect())
            .transpose()
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

//! Where two read models differ first.

use std::fmt;

use super::memory::{KeyCell, Memory, Rows};
use crate::Value;
use crate::definition::{ColumnDefinition, ColumnType, TableDefinition};

/// One place where rows differ: a missing row, one too many, or a column.
#[derive(Debug)]
pub(super) struct Difference {
    table: &'static str,
    key: String,
    what: What,
}

#[derive(Debug)]
enum What {
    Missing {
        expected: String,
    },
    TooMany {
        found: String,
    },
    Column {
        name: &'static str,
        expected: String,
        found: String,
    },
}

/// The first difference in the order of the keys.
pub(super) fn first(table: &TableDefinition, expected: &Rows, found: &Rows) -> Option<Difference> {
    let mut keys: Vec<&Vec<KeyCell>> = expected.keys().chain(found.keys()).collect();
    keys.sort();
    keys.into_iter().find_map(|key| {
        let what = match (expected.get(key), found.get(key)) {
            (Some(expected), None) => What::Missing {
                expected: row(table, expected),
            },
            (None, Some(found)) => What::TooMany {
                found: row(table, found),
            },
            (Some(expected), Some(found)) => column(table, expected, found)?,
            (None, None) => return None,
        };
        Some(Difference {
            table: table.name,
            key: key_text(key),
            what,
        })
    })
}

/// The first difference in the order of the tables.
pub(super) fn first_of_all(expected: &Memory, found: &Memory) -> Option<Difference> {
    expected
        .tables()
        .zip(found.tables())
        .find_map(|((table, expected), (_, found))| first(table, expected, found))
}

impl Difference {
    /// Says which side is which: `expected` and `found`, or the names of two runs.
    pub(super) fn between(&self, expected: &str, found: &str) -> String {
        let Difference { table, key, what } = self;
        let place = format!("table `{table}`, row {key}");
        match what {
            What::Missing { expected: row } => {
                format!("{place}: missing\n  {expected}: {row}\n  {found}: no such row")
            }
            What::TooMany { found: row } => {
                format!("{place}: one too many\n  {expected}: no such row\n  {found}: {row}")
            }
            What::Column {
                name,
                expected: left,
                found: right,
            } => {
                format!("{place}, column `{name}`\n  {expected}: {left}\n  {found}: {right}")
            }
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.between("expected", "found"))
    }
}

fn column(table: &TableDefinition, expected: &[Value<'_>], found: &[Value<'_>]) -> Option<What> {
    let pairs = table.columns.iter().zip(expected.iter().zip(found));
    let (column, (expected, found)) = pairs
        .into_iter()
        .find(|(column, (a, b))| !same(column, a, b))?;
    Some(What::Column {
        name: column.name,
        expected: expected.to_string(),
        found: found.to_string(),
    })
}

/// JSON is the same when it says the same: maps have no order.
fn same(column: &ColumnDefinition, a: &Value<'_>, b: &Value<'_>) -> bool {
    match (column.ty, a, b) {
        (ColumnType::Json, Value::Text(a), Value::Text(b)) => json(a) == json(b),
        _ => a == b,
    }
}

fn json(document: &str) -> Option<serde_json::Value> {
    serde_json::from_str(document).ok()
}

fn row(table: &TableDefinition, values: &[Value<'_>]) -> String {
    let columns = table.columns.iter().zip(values);
    let columns: Vec<String> = columns
        .map(|(column, value)| format!("{}: {value}", column.name))
        .collect();
    format!("{{ {} }}", columns.join(", "))
}

fn key_text(key: &[KeyCell]) -> String {
    let cells = key.iter().map(|cell| match cell {
        KeyCell::Boolean(boolean) => boolean.to_string(),
        KeyCell::Integer(integer) => integer.to_string(),
        KeyCell::Text(text) => format!("{text:?}"),
        KeyCell::Blob(bytes) => format!("{bytes:?}"),
    });
    cells.collect::<Vec<_>>().join(", ")
}

//! The SQL of one read model: its tables and indexes, and the statements that write and read them.

use std::collections::BTreeSet;

use crate::definition::{Column, ColumnType, Definition, Table};

/// Tables of ours beside those of the definition. No definition can name a table like this.
pub(super) const OWN_TABLES: &str = "
CREATE TABLE _foldline_checkpoint (
  id INTEGER PRIMARY KEY CHECK (id = 1),
  stream TEXT NOT NULL,
  sequence INTEGER NOT NULL,
  anchor INTEGER NOT NULL,
  epoch INTEGER NOT NULL
);
CREATE TABLE _foldline_meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
";

/// Creates every table of `definition`.
pub(super) fn create_tables(definition: &Definition) -> String {
    definition.tables.iter().map(create_table).collect()
}

/// Creates every secondary index that is not there yet.
pub(super) fn create_indexes(definition: &Definition) -> String {
    let mut taken: BTreeSet<_> = definition.tables.iter().map(|t| t.name.clone()).collect();
    let mut sql = String::new();
    for table in &definition.tables {
        for index in &table.indexes {
            let name = index_name(table, index, &mut taken);
            let (table_name, columns) = (quoted(&table.name), names(table, index).join(", "));
            sql += &format!(
                "CREATE INDEX IF NOT EXISTS {} ON {table_name} ({columns});\n",
                quoted(&name)
            );
        }
    }
    sql
}

fn create_table(table: &Table) -> String {
    let columns: Vec<_> = table.columns.iter().map(column).collect();
    format!(
        "CREATE TABLE {} ({}, PRIMARY KEY ({})) WITHOUT ROWID;\n",
        quoted(&table.name),
        columns.join(", "),
        names(table, &table.key).join(", "),
    )
}

fn column(column: &Column) -> String {
    let affinity = match column.ty {
        ColumnType::Boolean | ColumnType::Integer => "INTEGER",
        ColumnType::Real => "REAL",
        ColumnType::Text | ColumnType::Json => "TEXT",
        ColumnType::Blob => "BLOB",
    };
    let not_null = if column.nullable { "" } else { " NOT NULL" };
    format!("{} {affinity}{not_null}", quoted(&column.name))
}

/// `<table>_by_<columns>`. Tables and indexes share one space of names, so the name gets a number where it
/// is taken: two indexes can spell the same (`a_b` and `c`, `a` and `b_c`), and a table may be called so.
fn index_name(table: &Table, index: &[usize], taken: &mut BTreeSet<String>) -> String {
    let columns: Vec<_> = index
        .iter()
        .map(|&i| table.columns[i].name.as_str())
        .collect();
    let plain = format!("{}_by_{}", table.name, columns.join("_"));
    let numbered = (2..).map(|n| format!("{plain}_{n}"));
    let mut candidates = std::iter::once(plain.clone()).chain(numbered);
    // The numbers do not run out before the names that are taken do.
    let name = candidates
        .find(|name| !taken.contains(name))
        .unwrap_or(plain);
    taken.insert(name.clone());
    name
}

/// The statements of one table.
#[derive(Debug)]
pub(super) struct Statements {
    /// What they are about.
    pub(super) table: Table,
    /// Takes the key, gives the row.
    pub(super) get: String,
    /// Takes the row.
    pub(super) put: String,
    /// The same where the table has no secondary index. SQLite then writes the row over the one before without unpacking
    /// it; with an index `REPLACE` was measured at 5 to 15 % more than `put`, because it deletes the old row first.
    pub(super) put_without_indexes: String,
    /// Takes the row, where the one that stands there has the same values in all indexes. SQLite writes an
    /// index anew for each of its columns that is set, also to the value it has: for the example
    /// order-summary that was a quarter of the store's time.
    pub(super) put_beside_indexes: String,
    /// Takes the key.
    pub(super) delete: String,
    /// Per secondary index: takes its columns' values and a limit, gives rows.
    pub(super) find: Vec<String>,
    /// Gives one row if there is any.
    pub(super) any: String,
}

impl Statements {
    pub(super) fn new(table: &Table) -> Self {
        let name = quoted(&table.name);
        let all: Vec<_> = (0..table.columns.len()).collect();
        let columns = names(table, &all).join(", ");
        let key = conditions(table, &table.key);
        let order = names(table, &table.key).join(", ");
        let find = |index: &Vec<usize>| {
            let (matches, limit) = (conditions(table, index), index.len() + 1);
            format!("SELECT {columns} FROM {name} WHERE {matches} ORDER BY {order} LIMIT ?{limit}")
        };
        Self {
            table: table.clone(),
            get: format!("SELECT {columns} FROM {name} WHERE {key}"),
            put: put(table, |_| true),
            put_without_indexes: format!("REPLACE INTO {name} VALUES ({})", marks(table)),
            put_beside_indexes: put(table, |column| !table.is_indexed(column)),
            delete: format!("DELETE FROM {name} WHERE {key}"),
            find: table.indexes.iter().map(find).collect(),
            any: format!("SELECT 1 FROM {name} LIMIT 1"),
        }
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        let fixed = [
            &self.get,
            &self.put,
            &self.put_without_indexes,
            &self.put_beside_indexes,
            &self.delete,
            &self.any,
        ];
        fixed.into_iter().chain(&self.find).map(String::as_str)
    }
}

/// An upsert that sets the chosen columns.
fn put(table: &Table, sets: impl Fn(usize) -> bool) -> String {
    let all = 0..table.columns.len();
    let others: Vec<_> = all.filter(|i| !table.key.contains(i) && sets(*i)).collect();
    let set = |name: &String| format!("{name} = excluded.{name}");
    let sets: Vec<_> = names(table, &others).iter().map(set).collect();
    let update = match sets.is_empty() {
        true => "NOTHING".to_owned(),
        false => format!("UPDATE SET {}", sets.join(", ")),
    };
    let (name, marks) = (quoted(&table.name), marks(table));
    format!("INSERT INTO {name} VALUES ({marks}) ON CONFLICT DO {update}")
}

/// A parameter for each column.
fn marks(table: &Table) -> String {
    let marks = (1..=table.columns.len()).map(|i| format!("?{i}"));
    marks.collect::<Vec<_>>().join(", ")
}

/// Each of the columns equals its parameter; `IS` lets null equal null.
fn conditions(table: &Table, columns: &[usize]) -> String {
    let condition = |(n, &i): (usize, &usize)| {
        let column = &table.columns[i];
        let equals = if column.nullable { "IS" } else { "=" };
        format!("{} {equals} ?{}", quoted(&column.name), n + 1)
    };
    let conditions: Vec<_> = columns.iter().enumerate().map(condition).collect();
    conditions.join(" AND ")
}

pub(super) fn names(table: &Table, columns: &[usize]) -> Vec<String> {
    columns
        .iter()
        .map(|&i| quoted(&table.columns[i].name))
        .collect()
}

/// An identifier as SQL text. Checked names hold no quote, but may well be words of SQL.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}

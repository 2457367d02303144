//! The read model in memory, with the rules of the host.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use crate::definition::{ColumnDefinition, ColumnType, TableDefinition};
use crate::read_model::Tables;
use crate::row::{self, Packer};
use crate::table::{Listed, Table};
use crate::{Result, Value};

/// Rows that one search gives at most, as the host's `[limits] find_rows` where nothing else is set.
const FIND_ROWS: usize = 1_000;

/// The rows of one table, in the order of the primary key.
pub(super) type Rows = BTreeMap<Vec<KeyCell>, Vec<Value<'static>>>;

/// One column of a key, ordered as in the host: numbers by size, text and blobs by their bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum KeyCell {
    Boolean(bool),
    Integer(i64),
    Text(String),
    Blob(Vec<u8>),
}

/// All tables of a projection.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    definitions: &'static [TableDefinition],
    tables: Vec<Rows>,
}

/// The tables lent to a `ReadModel`.
pub(super) struct Lent(pub(super) Rc<RefCell<Memory>>);

impl Memory {
    pub(super) fn new(definitions: &'static [TableDefinition]) -> Self {
        Memory {
            definitions,
            tables: vec![Rows::new(); definitions.len()],
        }
    }

    fn rows(&self, table: u32) -> &Rows {
        &self.tables[table as usize]
    }

    /// The rows of the table of `T`. A crate with several projections has several tables of each
    /// number.
    #[track_caller]
    pub(super) fn rows_of<T: Listed>(&self) -> &Rows {
        let listed = self.definitions.get(T::NUMBER as usize);
        let table = T::DEFINITION.name;
        assert_eq!(
            listed,
            Some(&T::DEFINITION),
            "table `{table}` belongs to another projection"
        );
        self.rows(T::NUMBER)
    }

    pub(super) fn tables(&self) -> impl Iterator<Item = (&'static TableDefinition, &Rows)> {
        self.definitions.iter().zip(&self.tables)
    }
}

impl Tables for Lent {
    fn get(&self, table: u32, key: &[u8]) -> Option<Vec<u8>> {
        let memory = self.0.borrow();
        let row = memory.rows(table).get(&cells(&unpacked(key)));
        row.map(|row| packed(row))
    }

    fn find(&self, table: u32, index: u32, key: &[u8], limit: u32) -> Vec<Vec<u8>> {
        let memory = self.0.borrow();
        let key = unpacked(key);
        let columns = memory.definitions[table as usize].indexes[index as usize];
        let matches = |row: &&Vec<Value<'static>>| {
            columns.iter().map(|column| &row[*column as usize]).eq(&key)
        };
        memory
            .rows(table)
            .values()
            .filter(matches)
            .take((limit as usize).min(FIND_ROWS))
            .map(|row| packed(row))
            .collect()
    }

    fn put(&mut self, table: u32, row: &[u8]) {
        let mut memory = self.0.borrow_mut();
        let (key, row) = stored(&memory.definitions[table as usize], unpacked(row));
        memory.tables[table as usize].insert(key, row);
    }

    fn delete(&mut self, table: u32, key: &[u8]) {
        self.0.borrow_mut().tables[table as usize].remove(&cells(&unpacked(key)));
    }
}

fn packed(row: &[Value<'_>]) -> Vec<u8> {
    let mut packed = Vec::new();
    row::pack(row, &mut packed);
    packed
}

fn unpacked(row: &[u8]) -> Vec<Value<'static>> {
    row::values(row)
        .unwrap_or_else(|error| panic!("the SDK packed bytes that are no row: {error:#}"))
}

/// Rows that a test expects, as they would be stored.
pub(super) fn rows_of<T: Table>(
    definition: &TableDefinition,
    rows: impl IntoIterator<Item = T>,
) -> Result<Rows> {
    let mut expected = Rows::new();
    for row in rows {
        let mut packed = Vec::new();
        row.pack(&mut Packer::new(&mut packed))?;
        let (key, row) = stored(definition, unpacked(&packed));
        crate::ensure!(
            !expected.contains_key(&key),
            "two expected rows have the same key: {key:?}"
        );
        expected.insert(key, row);
    }
    Ok(expected)
}

fn stored(
    definition: &TableDefinition,
    row: Vec<Value<'static>>,
) -> (Vec<KeyCell>, Vec<Value<'static>>) {
    for (column, value) in definition.columns.iter().zip(&row) {
        let (table, name, kind) = (definition.name, column.name, value.kind());
        assert!(
            fits(column, value),
            "column `{name}` of table `{table}` is {:?}, but is given {kind}",
            column.ty
        );
    }
    let key: Vec<Value<'_>> = definition
        .key
        .iter()
        .map(|column| row[*column as usize].clone())
        .collect();
    (cells(&key), row)
}

/// A column type of the author's own can say one thing and do another.
fn fits(column: &ColumnDefinition, value: &Value<'_>) -> bool {
    match (column.ty, value) {
        (_, Value::Null) => column.nullable,
        (ColumnType::Boolean, Value::Boolean(_))
        | (ColumnType::Integer, Value::Integer(_))
        | (ColumnType::Real, Value::Real(_))
        | (ColumnType::Text | ColumnType::Json, Value::Text(_))
        | (ColumnType::Blob, Value::Blob(_)) => true,
        _ => false,
    }
}

fn cells(key: &[Value<'_>]) -> Vec<KeyCell> {
    key.iter().map(cell).collect()
}

fn cell(value: &Value<'_>) -> KeyCell {
    match value {
        Value::Boolean(boolean) => KeyCell::Boolean(*boolean),
        Value::Integer(integer) => KeyCell::Integer(*integer),
        Value::Text(text) => KeyCell::Text(text.clone().into_owned()),
        Value::Blob(bytes) => KeyCell::Blob(bytes.clone().into_owned()),
        Value::Null | Value::Real(_) => panic!("{} cannot be part of a key", value.kind()),
    }
}

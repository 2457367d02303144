//! The SDK's own types to and from the generated ones.

use std::borrow::Cow;
use std::cell::RefCell;

use foldline_row::{Field, Fields};

use super::bindings;
use super::bindings::foldline::projection::types;
use crate::Value;
use crate::definition::{ColumnDefinition, ColumnType, Definition, EventKey, TableDefinition};

thread_local! {
    /// The row or key that was sent last, kept for its memory.
    static SENT: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Calls `send` with the values as the contract has them.
pub(super) fn with_row<R>(values: &[Value<'_>], send: impl FnOnce(&[u8]) -> R) -> R {
    SENT.with_borrow_mut(|row| {
        row.clear();
        values
            .iter()
            .for_each(|value| foldline_row::push(row, field(value)));
        send(row)
    })
}

fn field<'v>(value: &'v Value<'_>) -> Field<'v> {
    match value {
        Value::Null => Field::Null,
        Value::Boolean(boolean) => Field::Boolean(*boolean),
        Value::Integer(integer) => Field::Integer(*integer),
        Value::Real(real) => Field::Real(*real),
        Value::Text(text) => Field::Text(text.as_bytes()),
        Value::Blob(bytes) => Field::Blob(bytes),
    }
}

/// The values of a row from the host.
///
/// # Panics
/// When it is none: then nothing that the host says can be relied on.
pub(super) fn values(row: &[u8]) -> Vec<Value<'static>> {
    let mut values = Vec::with_capacity(ROW_COLUMNS);
    for field in Fields::new(row) {
        let value = field.map_err(|error| error.to_string()).and_then(value);
        match value {
            Ok(value) => values.push(value),
            Err(error) => panic!("the host sent a row that is none: {error}"),
        }
    }
    values
}

/// Room for the values of most rows, so that reading one seldom has to make more.
const ROW_COLUMNS: usize = 16;

fn value(field: Field<'_>) -> Result<Value<'static>, String> {
    Ok(match field {
        Field::Null => Value::Null,
        Field::Boolean(boolean) => Value::Boolean(boolean),
        Field::Integer(integer) => Value::Integer(integer),
        Field::Real(real) => Value::Real(real),
        Field::Text(text) => {
            let text = std::str::from_utf8(text).map_err(|error| error.to_string())?;
            Value::Text(Cow::Owned(text.to_owned()))
        }
        Field::Blob(bytes) => Value::Blob(Cow::Owned(bytes.to_owned())),
    })
}

pub(super) fn definition(definition: &Definition) -> bindings::Definition {
    bindings::Definition {
        name: definition.name.to_owned(),
        version: definition.version,
        subjects: definition
            .subjects
            .iter()
            .map(|&subject| subject.to_owned())
            .collect(),
        key: match definition.key {
            EventKey::None => types::EventKey::None,
            EventKey::SubjectToken(position) => types::EventKey::SubjectToken(position),
            EventKey::Header(name) => types::EventKey::Header(name.to_owned()),
        },
        tables: definition.tables.iter().map(table).collect(),
    }
}

fn table(table: &TableDefinition) -> types::TableDefinition {
    types::TableDefinition {
        name: table.name.to_owned(),
        columns: table.columns.iter().map(column).collect(),
        key: table.key.to_vec(),
        indexes: table.indexes.iter().map(|&index| index.to_vec()).collect(),
    }
}

fn column(column: &ColumnDefinition) -> types::ColumnDefinition {
    let ty = match column.ty {
        ColumnType::Boolean => types::ColumnType::Boolean,
        ColumnType::Integer => types::ColumnType::Integer,
        ColumnType::Real => types::ColumnType::Real,
        ColumnType::Text => types::ColumnType::Text,
        ColumnType::Blob => types::ColumnType::Blob,
        ColumnType::Json => types::ColumnType::Json,
    };
    types::ColumnDefinition {
        name: column.name.to_owned(),
        ty,
        nullable: column.nullable,
    }
}

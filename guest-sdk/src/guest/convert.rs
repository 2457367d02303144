//! The SDK's own types to and from the generated ones.

use std::borrow::Cow;

use super::bindings;
use super::bindings::foldline::projection::types::{self, ValueParam, ValueResult};
use crate::Value;
use crate::definition::{ColumnDefinition, ColumnType, Definition, EventKey, TableDefinition};

/// Rows and keys up to this many values are sent from the stack.
const STACK_VALUES: usize = 16;

/// Calls `send` with the values as the contract has them.
pub(super) fn with_values<R>(values: &[Value<'_>], send: impl FnOnce(&[ValueParam<'_>]) -> R) -> R {
    let mut stack = [const { ValueParam::Null }; STACK_VALUES];
    match stack.get_mut(..values.len()) {
        Some(sent) => {
            for (sent, value) in sent.iter_mut().zip(values) {
                *sent = param(value);
            }
            send(sent)
        }
        None => send(&values.iter().map(param).collect::<Vec<_>>()),
    }
}

fn param<'v>(value: &'v Value<'_>) -> ValueParam<'v> {
    match value {
        Value::Null => ValueParam::Null,
        Value::Boolean(boolean) => ValueParam::Boolean(*boolean),
        Value::Integer(integer) => ValueParam::Integer(*integer),
        Value::Real(real) => ValueParam::Real(*real),
        Value::Text(text) => ValueParam::Text(text),
        Value::Blob(bytes) => ValueParam::Blob(bytes),
    }
}

/// A row from the host.
pub(super) fn row(values: Vec<ValueResult>) -> Vec<Value<'static>> {
    values.into_iter().map(value).collect()
}

fn value(value: ValueResult) -> Value<'static> {
    match value {
        ValueResult::Null => Value::Null,
        ValueResult::Boolean(boolean) => Value::Boolean(boolean),
        ValueResult::Integer(integer) => Value::Integer(integer),
        ValueResult::Real(real) => Value::Real(real),
        ValueResult::Text(text) => Value::Text(Cow::Owned(text)),
        ValueResult::Blob(bytes) => Value::Blob(Cow::Owned(bytes)),
    }
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

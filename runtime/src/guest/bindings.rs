//! **Seam**: the generated side of the WIT world, and the only file that knows generated types.

#![allow(
    missing_docs,
    reason = "generated code; projection.wit documents every item"
)]

use crate::batch::{self, Batch};
use crate::definition;
use crate::value::{Row, Value};

wasmtime::component::bindgen!({
    path: "../guest-sdk/wit",
    world: "projection",
    imports: { default: trappable },
    ownership: Owning,
});

use self::foldline::projection::types;

pub use self::foldline::projection::{log, read_model};

/// The interfaces a module may import, with their version.
pub const IMPORTS: [&str; 3] = [
    "foldline:projection/types@0.1.0",
    "foldline:projection/read-model@0.1.0",
    "foldline:projection/log@0.1.0",
];

/// The functions a module must export.
pub const EXPORTS: [&str; 2] = ["describe", "project"];

/// The package every Foldline interface belongs to, whatever its version.
pub const PACKAGE: &str = "foldline:projection";

impl From<&Batch> for EventBatch {
    fn from(batch: &Batch) -> Self {
        Self {
            sequences: batch.sequences().to_vec(),
            timestamps: batch.timestamps().to_vec(),
            subjects: batch.subjects().into(),
            headers: batch.headers().into(),
            payloads: batch.payloads().into(),
        }
    }
}

impl From<&batch::Column> for types::Column {
    fn from(column: &batch::Column) -> Self {
        Self {
            ends: column.ends().to_vec(),
            bytes: column.bytes().to_vec(),
        }
    }
}

impl From<types::Value> for Value {
    fn from(value: types::Value) -> Self {
        match value {
            types::Value::Null => Self::Null,
            types::Value::Boolean(v) => Self::Boolean(v),
            types::Value::Integer(v) => Self::Integer(v),
            types::Value::Real(v) => Self::Real(v),
            types::Value::Text(v) => Self::Text(v),
            types::Value::Blob(v) => Self::Blob(v),
        }
    }
}

impl From<Value> for types::Value {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Boolean(v) => Self::Boolean(v),
            Value::Integer(v) => Self::Integer(v),
            Value::Real(v) => Self::Real(v),
            Value::Text(v) => Self::Text(v),
            Value::Blob(v) => Self::Blob(v),
        }
    }
}

/// A row as the guest sent it.
pub fn row_from_guest(row: types::Row) -> Row {
    row.into_iter().map(Value::from).collect()
}

/// A row as the guest will see it.
pub fn row_to_guest(row: Row) -> types::Row {
    row.into_iter().map(types::Value::from).collect()
}

impl From<types::Definition> for definition::Definition {
    fn from(from: types::Definition) -> Self {
        Self {
            name: from.name,
            version: from.version,
            subjects: from.subjects,
            key: match from.key {
                types::EventKey::None => definition::EventKey::None,
                types::EventKey::SubjectToken(i) => definition::EventKey::SubjectToken(i),
                types::EventKey::Header(name) => definition::EventKey::Header(name),
            },
            tables: from.tables.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<types::TableDefinition> for definition::Table {
    fn from(from: types::TableDefinition) -> Self {
        let positions = |list: Vec<u32>| list.into_iter().map(|i| i as usize).collect();
        Self {
            name: from.name,
            columns: from.columns.into_iter().map(Into::into).collect(),
            key: positions(from.key),
            indexes: from.indexes.into_iter().map(positions).collect(),
        }
    }
}

impl From<types::ColumnDefinition> for definition::Column {
    fn from(from: types::ColumnDefinition) -> Self {
        Self {
            name: from.name,
            ty: match from.ty {
                types::ColumnType::Boolean => definition::ColumnType::Boolean,
                types::ColumnType::Integer => definition::ColumnType::Integer,
                types::ColumnType::Real => definition::ColumnType::Real,
                types::ColumnType::Text => definition::ColumnType::Text,
                types::ColumnType::Blob => definition::ColumnType::Blob,
                types::ColumnType::Json => definition::ColumnType::Json,
            },
            nullable: from.nullable,
        }
    }
}

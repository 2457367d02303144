//! **Seam**: the generated side of the WIT world, and the only file that knows generated types.

#![allow(
    missing_docs,
    reason = "generated code; projection.wit documents every item"
)]

use crate::batch::{self, Batch};
use crate::definition;

wasmtime::component::bindgen!({
    path: "../guest-sdk/wit",
    world: "projection",
    imports: { default: trappable },
    // A batch is copied into the guest from where it stands.
    ownership: Borrowing { duplicate_if_necessary: true },
});

use self::foldline::projection::types;

pub use self::foldline::projection::log;

/// The interface through which a guest reads and changes its rows.
pub const READ_MODEL: &str = "foldline:projection/read-model@0.1.0";

/// The interfaces a module may import, with their version.
pub const IMPORTS: [&str; 3] = [
    "foldline:projection/types@0.1.0",
    READ_MODEL,
    "foldline:projection/log@0.1.0",
];

/// The functions a module must export.
pub const EXPORTS: [&str; 2] = ["describe", "project"];

/// The package every Foldline interface belongs to, whatever its version.
pub const PACKAGE: &str = "foldline:projection";

impl<'a> From<&'a Batch> for EventBatch<'a> {
    fn from(batch: &'a Batch) -> Self {
        Self {
            sequences: batch.sequences(),
            timestamps: batch.timestamps(),
            subjects: batch.subjects().into(),
            headers: batch.headers().into(),
            payloads: batch.payloads().into(),
        }
    }
}

impl<'a> From<&'a batch::Column> for types::Column<'a> {
    fn from(column: &'a batch::Column) -> Self {
        Self {
            ends: column.ends(),
            bytes: column.bytes(),
        }
    }
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

//! The SDK's own types to the generated ones.

use super::bindings;
use super::bindings::foldline::projection::types;
use crate::definition::{ColumnDefinition, ColumnType, Definition, EventKey, TableDefinition};

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

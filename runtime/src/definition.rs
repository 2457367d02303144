//! What a projection module says about itself, checked once and relied on everywhere after.

use std::fmt;

use foldline_row::Field;
use serde::{Deserialize, Serialize};

use crate::value::Value;

mod check;
mod difference;
mod key;
pub use check::DefinitionError;

/// A checked definition. Stored with each read model; two modules with equal definitions can share one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// `[a-z][a-z0-9-]*`, at most 63 characters.
    pub name: String,
    /// Counts up from 1.
    pub version: u32,
    /// Subject filters as written, 1 to 64; each parses as a [`crate::subject::SubjectFilter`].
    pub subjects: Vec<String>,
    /// Which events belong together.
    pub key: EventKey,
    /// 1 to 64; a table is named by its position from here on.
    pub tables: Vec<Table>,
}

/// Which events belong together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventKey {
    /// Order matters over the whole stream.
    None,
    /// The subject's token at this position, counted from 0.
    SubjectToken(u32),
    /// The first value of this header.
    Header(String),
}

/// One table of the read model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// `[a-z][a-z0-9_]*`, at most 63 characters, unique in the projection.
    pub name: String,
    /// In the order of a row's values; 1 to 200.
    pub columns: Vec<Column>,
    /// Positions of the primary key's columns.
    pub key: Vec<usize>,
    /// Secondary indexes, at most 16: positions of their columns.
    pub indexes: Vec<Vec<usize>>,
}

/// One column of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// `[a-z][a-z0-9_]*`, at most 63 characters, unique in the table.
    pub name: String,
    /// What it holds.
    #[serde(rename = "type")]
    pub ty: ColumnType,
    /// Whether null is allowed.
    pub nullable: bool,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnType {
    /// True or false.
    Boolean,
    /// 64 bits, signed.
    Integer,
    /// 64-bit IEEE 754.
    Real,
    /// UTF-8.
    Text,
    /// Any bytes.
    Blob,
    /// One JSON document, stored as text.
    Json,
}

impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Real => "real",
            Self::Text => "text",
            Self::Blob => "blob",
            Self::Json => "json",
        })
    }
}

impl Column {
    /// Whether `value` may stand in this column.
    pub fn accepts(&self, value: &Field<'_>) -> bool {
        matches!(
            (self.ty, value),
            (ColumnType::Boolean, Field::Boolean(_))
                | (ColumnType::Integer, Field::Integer(_))
                | (ColumnType::Real, Field::Real(_))
                | (ColumnType::Text | ColumnType::Json, Field::Text(_))
                | (ColumnType::Blob, Field::Blob(_))
        ) || (self.nullable && matches!(value, Field::Null))
    }
}

impl Table {
    /// The position of the column of this name.
    pub fn column(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column.name == name)
    }

    /// The primary key of a row of this table.
    pub fn key_of(&self, row: &[Value]) -> Vec<Value> {
        self.key.iter().map(|&i| row[i].clone()).collect()
    }

    /// Whether a secondary index is about this column.
    pub fn is_indexed(&self, column: usize) -> bool {
        self.indexes.iter().flatten().any(|&i| i == column)
    }
}

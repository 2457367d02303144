//! Values of two read models: their order, their hash, and how they are shown.

use std::cmp::Ordering;

use rusqlite::types::Value;
use sha2::{Digest, Sha256};

use crate::definition::ColumnType;

/// The order of SQLite: null, numbers, texts by their bytes, blobs.
pub(super) fn order(one: &Value, other: &Value) -> Ordering {
    let class = |value: &Value| match value {
        Value::Null => 0,
        Value::Integer(_) | Value::Real(_) => 1,
        Value::Text(_) => 2,
        Value::Blob(_) => 3,
    };
    match (one, other) {
        (Value::Integer(one), Value::Integer(other)) => one.cmp(other),
        (Value::Real(one), Value::Real(other)) => one.total_cmp(other),
        (Value::Integer(one), Value::Real(other)) => (*one as f64).total_cmp(other),
        (Value::Real(one), Value::Integer(other)) => one.total_cmp(&(*other as f64)),
        (Value::Text(one), Value::Text(other)) => one.as_bytes().cmp(other.as_bytes()),
        (Value::Blob(one), Value::Blob(other)) => one.cmp(other),
        _ => class(one).cmp(&class(other)),
    }
}

/// Each value with its type and length before it, so that no two rows look the same.
pub(super) fn hash(value: &Value, hash: &mut Sha256) {
    let mut put = |tag: u8, bytes: &[u8]| {
        hash.update([tag]);
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    match value {
        Value::Null => put(0, b""),
        Value::Integer(value) => put(1, &value.to_le_bytes()),
        Value::Real(value) => put(2, &value.to_le_bytes()),
        Value::Text(value) => put(3, value.as_bytes()),
        Value::Blob(value) => put(4, value),
    }
}

pub(super) fn json(value: &Value, ty: ColumnType) -> serde_json::Value {
    use base64::Engine as _;
    match value {
        Value::Integer(value) if ty == ColumnType::Boolean => (*value != 0).into(),
        Value::Null => serde_json::Value::Null,
        Value::Integer(value) => (*value).into(),
        Value::Real(value) => (*value).into(),
        Value::Text(value) => value.clone().into(),
        Value::Blob(value) => base64::engine::general_purpose::STANDARD
            .encode(value)
            .into(),
    }
}

//! A hash over all rows of a read model: two peers that did the same work have the same one.

use std::path::Path;

use anyhow::{Context as _, Result};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Row};
use sha2::{Digest as _, Sha256};

const ROWS: &str =
    "SELECT order_id, customer_id, status, total, item_count, tracking_number, version, updated_at
  FROM orders ORDER BY order_id";
const COLUMNS: usize = 8;

/// SHA-256 over the sorted rows of the table `orders`, in hexadecimal.
pub(crate) fn hash(database: &Path) -> Result<String> {
    let connection = Connection::open_with_flags(database, OpenFlags::SQLITE_OPEN_READ_WRITE);
    let connection = connection.with_context(|| format!("opening {}", database.display()))?;
    let mut statement = connection.prepare(ROWS)?;
    let (mut rows, mut hasher) = (statement.query([])?, Sha256::new());
    while let Some(row) = rows.next()? {
        add(&mut hasher, row)?;
    }
    Ok(hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

/// Each value with its type and length, so that no two different rows look the same.
fn add(hasher: &mut Sha256, row: &Row<'_>) -> Result<()> {
    for column in 0..COLUMNS {
        let (kind, value) = match row.get_ref(column)? {
            ValueRef::Null => (b'n', Vec::new()),
            ValueRef::Integer(value) => (b'i', value.to_le_bytes().to_vec()),
            ValueRef::Real(value) => (b'r', value.to_bits().to_le_bytes().to_vec()),
            ValueRef::Text(value) | ValueRef::Blob(value) => (b't', value.to_vec()),
        };
        hasher.update([kind]);
        hasher.update(value.len().to_le_bytes());
        hasher.update(value);
    }
    Ok(())
}

//! What a read model's file says about itself, and whether a file is one at all.

use std::path::Path;

use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension};

use crate::definition::Definition;
use crate::store::StoreError;

/// "FOLD" in the file's header: tells `file` and other tools, and us, whose file it is.
pub(super) const APPLICATION_ID: u32 = u32::from_be_bytes(*b"FOLD");

/// Counts up when the layout of our own tables changes. 2: dead letters and held events.
pub(super) const FORMAT: u32 = 2;

/// The oldest format that can still be read; it is made the newest one when the file is opened for writing.
const OLDEST_FORMAT: u32 = 1;

const NO_DATABASE: &str = "it is no SQLite database";

/// What a read model's file says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// The definition of the projection that built it.
    pub definition: Definition,
    /// Digest of the module that built it: lower-case hexadecimal SHA-256.
    pub digest: String,
    /// When the file was made, RFC 3339.
    pub created: String,
}

/// Reads what the file says about itself, without changing it.
///
/// # Errors
/// [`StoreError::WrongFile`] when it is another program's, or of a newer Foldline, [`StoreError::Damaged`] when it is no
/// database; others when it cannot be read.
pub fn read_meta(path: &Path) -> Result<Meta, StoreError> {
    // A database of no bytes is one to SQLite, and it removes what lies beside it.
    let empty = std::fs::metadata(path).map(|file| file.len() == 0);
    if empty.map_err(|e| StoreError::io(path, e))? {
        return Err(StoreError::damaged(path, NO_DATABASE));
    }
    // Only ever through SQLite: whoever opens and closes the file by other means gives back every lock that
    // this process holds on it, and another program may then remove the log under an open connection.
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags);
    let connection = connection.map_err(|e| StoreError::sqlite(path, e))?;
    check_header(&connection, path)?;
    read(&connection, path)
}

/// Refuses what is no read model of a known format.
fn check_header(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let number = |name: &str| {
        let number = connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
        number
            .map(i32::cast_unsigned)
            .map_err(|e| match e.sqlite_error_code() {
                Some(ErrorCode::NotADatabase) => StoreError::damaged(path, NO_DATABASE),
                _ => StoreError::sqlite(path, e),
            })
    };
    if number("application_id")? != APPLICATION_ID {
        let reason = "it is an SQLite database of another program";
        return Err(StoreError::wrong_file(path, reason));
    }
    let format = number("user_version")?;
    if !(OLDEST_FORMAT..=FORMAT).contains(&format) {
        let reason = format!(
            "its format is {format}, and this Foldline knows only {OLDEST_FORMAT} to {FORMAT}"
        );
        return Err(StoreError::wrong_file(path, reason));
    }
    Ok(())
}

fn read(connection: &Connection, path: &Path) -> Result<Meta, StoreError> {
    let entry = |key: &str| -> Result<String, StoreError> {
        connection
            .query_row(
                "SELECT value FROM _foldline_meta WHERE key = ?",
                [key],
                |row| row.get(0),
            )
            .optional()
            .map_err(|e| StoreError::sqlite(path, e))?
            .ok_or_else(|| StoreError::damaged(path, format!("its {key} is missing")))
    };
    let definition = serde_json::from_str(&entry("definition")?)
        .map_err(|e| StoreError::damaged(path, format!("its definition cannot be read: {e}")))?;
    Ok(Meta {
        definition,
        digest: entry("digest")?,
        created: entry("created")?,
    })
}

//! What a read model's file says about itself, and whether a file is one at all.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use rusqlite::{Connection, OpenFlags, OptionalExtension};

use crate::definition::Definition;
use crate::store::StoreError;

/// "FOLD" in the file's header: tells `file` and other tools, and us, whose file it is.
pub(super) const APPLICATION_ID: u32 = u32::from_be_bytes(*b"FOLD");

/// Counts up when the layout of our own tables changes.
pub(super) const FORMAT: u32 = 1;

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
/// [`StoreError::WrongFile`] when it is no read model, or one of a newer Foldline; others when it cannot
/// be read.
pub fn read_meta(path: &Path) -> Result<Meta, StoreError> {
    check_header(path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags);
    let connection = connection.map_err(|e| StoreError::sqlite(path, e))?;
    read(&connection, path)
}

/// Refuses what is no read model before SQLite opens it: opening can change a file.
pub(super) fn check_header(path: &Path) -> Result<(), StoreError> {
    let mut header = [0; 100];
    let mut file = File::open(path).map_err(|e| StoreError::io(path, e))?;
    match file.read_exact(&mut header) {
        Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => {}
        other => other.map_err(|e| StoreError::io(path, e))?,
    }
    let number = |at: usize| {
        u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
    };
    // Offsets of the database header, https://www.sqlite.org/fileformat.html#the_database_header
    let (user_version, application_id) = (number(60), number(68));
    if !header.starts_with(b"SQLite format 3\0") {
        return Err(StoreError::wrong_file(path, "it is no SQLite database"));
    }
    if application_id != APPLICATION_ID {
        return Err(StoreError::wrong_file(
            path,
            "it is an SQLite database of another program",
        ));
    }
    if user_version != FORMAT {
        let reason = format!("its format is {user_version}, and this Foldline knows only {FORMAT}");
        return Err(StoreError::wrong_file(path, reason));
    }
    Ok(())
}

pub(super) fn read(connection: &Connection, path: &Path) -> Result<Meta, StoreError> {
    let entry = |key: &str| -> Result<String, StoreError> {
        connection
            .query_row(
                "SELECT value FROM _foldline_meta WHERE key = ?",
                [key],
                |row| row.get(0),
            )
            .optional()
            .map_err(|e| StoreError::sqlite(path, e))?
            .ok_or_else(|| StoreError::wrong_file(path, format!("its {key} is missing")))
    };
    let definition = serde_json::from_str(&entry("definition")?)
        .map_err(|e| StoreError::wrong_file(path, format!("its definition cannot be read: {e}")))?;
    Ok(Meta {
        definition,
        digest: entry("digest")?,
        created: entry("created")?,
    })
}

//! Making and opening a read model's file.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, params};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::{dead_letters, meta, schema};
use crate::definition::Definition;
use crate::store::StoreError;

/// How long to wait for a lock that another program holds on the file.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// SQLite's own page cache, in KiB. Rows are cached before it, and the system's cache is behind it, so it only has to
/// hold the inner pages of the B-trees: with 32 MiB a replay took as long, with orders in random order too.
const PAGE_CACHE_KIB: i64 = 8 * 1024;

/// The same while an index is made, because SQLite sorts as much at once, and what it sorts should fit into a processor's
/// cache: 333,000 rows took 135 ms instead of 215, and 259 with 32 MiB. 1 MiB is the least that SQLite takes.
const SORT_KIB: i64 = 2 * 1024;

/// Pages of 4 KiB in the write-ahead log before a commit moves them into the database.
const CHECKPOINT_PAGES: i64 = 8 * 1024;

/// The write-ahead log's file is cut to this many bytes when it starts again.
const LOG_BYTES_KEPT: i64 = 32 * 1024 * 1024;

/// Makes the file, empty. It appears under its name only when it is complete, so a crash leaves nothing
/// that could be taken for a read model.
pub(super) fn create(path: &Path, definition: &Definition, digest: &str) -> Result<(), StoreError> {
    if path.exists() {
        return Err(StoreError::wrong_file(path, "it is there already"));
    }
    let folder = folder_of(path);
    fs::create_dir_all(folder).map_err(|e| StoreError::io(folder, e))?;
    let draft = beside(path, ".new");
    remove_with_companions(&draft)?;
    build(&draft, definition, digest).map_err(|e| StoreError::sqlite(&draft, e))?;
    // A log left behind by a file of this name would be read as this one's.
    remove_with_companions(path)?;
    publish(&draft, path).map_err(|e| StoreError::io(path, e))
}

fn build(path: &Path, definition: &Definition, digest: &str) -> rusqlite::Result<()> {
    let mut connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    let transaction = connection.transaction()?;
    transaction.pragma_update(None, "application_id", meta::APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", meta::FORMAT)?;
    transaction.execute_batch(schema::OWN_TABLES)?;
    transaction.execute_batch(dead_letters::TABLES)?;
    transaction.execute_batch(&schema::create_tables(definition))?;
    let json = serde_json::to_string(definition)
        .map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))?;
    let now = OffsetDateTime::now_utc()
        .format(&Rfc3339)
        .map_err(|e| rusqlite::Error::ToSqlConversionFailure(e.into()))?;
    let format = meta::FORMAT.to_string();
    transaction.execute(
        "INSERT INTO _foldline_meta VALUES ('format', ?), ('definition', ?), ('digest', ?), ('created', ?)",
        params![format, json, digest, now],
    )?;
    transaction.commit()?;
    empty_log(&connection)?;
    connection.close().map_err(|(_, e)| e)
}

/// Moves everything from the write-ahead log into the database. Closing does the same, but says nothing where there is no
/// room for it.
fn empty_log(connection: &Connection) -> rusqlite::Result<()> {
    let busy: bool =
        connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
    if busy {
        let busy = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY);
        return Err(rusqlite::Error::SqliteFailure(busy, None));
    }
    Ok(())
}

/// Gives the finished file its name, durably.
fn publish(draft: &Path, path: &Path) -> std::io::Result<()> {
    // No connection is open to the draft, so no lock is lost with this file.
    File::open(draft)?.sync_all()?;
    fs::rename(draft, path)?;
    // Other systems do not open folders, and make renames durable by themselves.
    if cfg!(unix) {
        File::open(folder_of(path))?.sync_all()?;
    }
    Ok(())
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Opens a read model for writing, if it was built for `definition`. Whether it was is asked first and
/// without writing: opening for writing can change a file.
pub(super) fn open(path: &Path, definition: &Definition) -> Result<Connection, StoreError> {
    let found = meta::read_meta(path)?;
    let differences = definition.differences(&found.definition);
    if !differences.is_empty() {
        let reason = format!("the module's {}", differences.join("; "));
        return Err(StoreError::wrong_file(path, reason));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(path, flags)
        .and_then(|mut connection| {
            configure(&connection)?;
            upgrade(&mut connection)?;
            Ok(connection)
        })
        .map_err(|e| StoreError::sqlite(path, e))
}

/// Brings a file of an older format to the newest one.
fn upgrade(connection: &mut Connection) -> rusqlite::Result<()> {
    let format: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if format == meta::FORMAT {
        return Ok(());
    }
    let transaction = connection.transaction()?;
    transaction.execute_batch(dead_letters::TABLES)?;
    transaction.pragma_update(None, "user_version", meta::FORMAT)?;
    transaction.commit()
}

/// Keeps SQLite from preparing a statement again because other values are bound to it: the plan does not depend on them
/// (<https://www.sqlite.org/c3ref/c_dbconfig_defensive.html>, `SQLITE_DBCONFIG_ENABLE_QPSG`).
pub(super) fn prepare_once(connection: &Connection) -> rusqlite::Result<()> {
    let stable = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true);
    stable.map(drop)
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    prepare_once(connection)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // A power cut may undo the last commits, never tear one: they are read from the stream again.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "cache_size", -PAGE_CACHE_KIB)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES_KEPT)
}

/// Whether any table of the definition has a secondary index: what SQLite makes for a primary key has no SQL, and only
/// tables of ours begin with an underscore.
pub(super) fn has_indexes(connection: &Connection) -> rusqlite::Result<bool> {
    let sql = "SELECT 1 FROM sqlite_schema
               WHERE type = 'index' AND sql IS NOT NULL AND substr(tbl_name, 1, 1) <> '_'";
    connection.prepare(sql)?.exists([])
}

/// Runs the SQL that makes indexes, with fewer pages than usual; those are back afterwards, however it ends.
pub(super) fn make_indexes(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.pragma_update(None, "cache_size", -SORT_KIB)?;
    let made = connection.execute_batch(sql);
    let given_back = connection.pragma_update(None, "cache_size", -PAGE_CACHE_KIB);
    made.and(given_back)
}

/// `path` with `suffix` behind its whole name.
pub(in crate::store) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Deletes a database with everything that SQLite keeps beside it.
pub(crate) fn remove_with_companions(path: &Path) -> Result<(), StoreError> {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let file = beside(path, suffix);
        match fs::remove_file(&file) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                return Err(StoreError::io(&file, e));
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A full disk says the same as a reader that is in the way: that the database is not complete.
    #[test]
    fn a_log_that_cannot_be_emptied_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("draft.db");
        let writer = Connection::open(&path).unwrap();
        writer.busy_timeout(Duration::ZERO).unwrap();
        writer.pragma_update(None, "journal_mode", "WAL").unwrap();
        writer.execute_batch("CREATE TABLE a (id)").unwrap();
        let reader = Connection::open(&path).unwrap();
        reader.execute_batch("BEGIN; SELECT * FROM a").unwrap();
        writer.execute_batch("INSERT INTO a VALUES (1)").unwrap();
        assert!(empty_log(&writer).is_err());
        reader.execute_batch("END").unwrap();
        empty_log(&writer).unwrap();
        assert_eq!(fs::metadata(beside(&path, "-wal")).unwrap().len(), 0);
    }
}

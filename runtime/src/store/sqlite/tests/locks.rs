//! Other programs see that the file is in use, however often this process looks at it.

use std::process::Command;

use super::*;
use crate::store::sqlite::reader::{ReadLimits, Reader};

/// Names the file to the process that [`opened_and_closed_elsewhere`] starts.
const FILE: &str = "FOLDLINE_TEST_FILE";

/// Runs [`another_program`] in a process of its own.
fn opened_and_closed_elsewhere(path: &Path) {
    let (_, module) = module_path!().split_once("::").unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("{module}::another_program")])
        .env(FILE, path)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("1 passed"), "{text}");
}

#[test]
fn another_program() {
    let Some(path) = std::env::var_os(FILE) else {
        return;
    };
    let read = |locking_mode: &str| -> rusqlite::Result<u32> {
        let connection = Connection::open(&path)?;
        connection.busy_timeout(std::time::Duration::ZERO)?;
        connection.pragma_update(None, "locking_mode", locking_mode)?;
        let count = "SELECT count(*) FROM \"order\"";
        connection.query_row(count, [], |row| row.get(0))
    };
    assert!(read("normal").unwrap() > 0);
    // What an SQLite before 3.51 does at closing: it looks at the locks of the database file alone, and
    // removes the log when there are none. Newer ones look at the shared memory too.
    let code = read("exclusive").map_err(|e| e.sqlite_error_code());
    assert_eq!(code, Err(Some(rusqlite::ErrorCode::DatabaseBusy)));
}

#[test]
fn another_program_that_closes_the_file_takes_no_commit_with_it() {
    let file = TestFile::create(&definition());
    let mut store = file.open();
    write(&mut store, ORDER, &[noted("a", "")], &[]);
    store.commit(&at(1, 1)).unwrap();
    let reader = Reader::new(file.path());
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    let bytes_max = 1 << 20;
    let limits = ReadLimits {
        deadline,
        bytes_max,
    };
    assert_eq!(reader.checkpoint(limits).unwrap(), Some(at(1, 1)));
    // The projection starts again while the reader keeps its connection.
    drop(store);
    let mut store = file.open();
    read_meta(&file.path()).unwrap();
    write(&mut store, ORDER, &[noted("b", "")], &[]);
    store.commit(&at(2, 2)).unwrap();
    opened_and_closed_elsewhere(&file.path());
    assert!(store.log_path.exists());
    write(&mut store, ORDER, &[noted("c", "")], &[]);
    store.commit(&at(3, 2)).unwrap();
    opened_and_closed_elsewhere(&file.path());
    assert_eq!(reader.checkpoint(limits).unwrap(), Some(at(3, 2)));
    drop((reader, store));
    let mut store = file.open();
    assert_eq!(store.checkpoint(), Some(&at(3, 3)));
    for id in ["a", "b", "c"] {
        assert!(store.get(ORDER, &[text(id)]).unwrap().is_some(), "{id}");
    }
}

//! Files that are not what they should be.

use super::*;

/// What opening says, and that the file stays as it was.
fn refused(path: &Path, definition: &Definition) -> String {
    let before = fs::read(path).unwrap();
    let error = SqliteStore::open(path, definition).unwrap_err();
    assert_eq!(fs::read(path).unwrap(), before);
    let known = matches!(
        error,
        StoreError::WrongFile { .. } | StoreError::Damaged { .. }
    );
    assert!(known, "{error:?}");
    assert!(
        error.hint().contains("foldline rebuild"),
        "{}",
        error.hint()
    );
    let text = error.to_string();
    assert!(text.contains(path.to_str().unwrap()), "{text}");
    text
}

#[test]
fn what_is_no_read_model_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.db");
    for content in ["", "a text", &"long ".repeat(1_000)] {
        fs::write(&path, content).unwrap();
        assert!(refused(&path, &definition()).contains("no SQLite database"));
    }
    fs::remove_file(&path).unwrap();
    let stranger = Connection::open(&path).unwrap();
    stranger.execute_batch("CREATE TABLE t (a)").unwrap();
    assert!(refused(&path, &definition()).contains("another program"));
    stranger
        .pragma_update(None, "application_id", meta::APPLICATION_ID)
        .unwrap();
    stranger.pragma_update(None, "user_version", 7).unwrap();
    assert!(refused(&path, &definition()).contains("format is 7"));
    stranger.pragma_update(None, "journal_mode", "wal").unwrap();
    stranger.pragma_update(None, "user_version", 8).unwrap();
    assert!(refused(&path, &definition()).contains("format is 8"));
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let path = Path::new("/nowhere/v1-01234567.db");
    let error = SqliteStore::open(path, &definition()).unwrap_err();
    assert!(matches!(error, StoreError::Io { .. }));
    assert!(
        error.to_string().contains("/nowhere/v1-01234567.db"),
        "{error}"
    );
}

#[test]
fn another_definition_is_refused_with_the_difference() {
    let file = TestFile::create(&definition());
    let with = |change: fn(&mut Definition)| {
        let mut definition = definition();
        change(&mut definition);
        refused(&file.path(), &definition)
    };
    assert!(with(|d| d.name = "other".into()).contains("name is other, not conformance"));
    assert!(with(|d| d.version = 4).contains("version is 4, not 3"));
    assert!(with(|d| d.tables[1].columns[0].nullable = true).contains("table pairs"));
}

#[test]
fn a_damaged_file_is_named_with_what_to_do() {
    let file = TestFile::create(&definition());
    let mut bytes = fs::read(file.path()).unwrap();
    bytes[4096..].fill(0xAA);
    fs::write(file.path(), bytes).unwrap();
    let error = SqliteStore::open(&file.path(), &file.definition).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("v3-0123abcd.db is damaged"), "{text}");
    assert_eq!(error.code(), crate::store::DAMAGED);
    assert!(
        error.hint().contains("foldline rebuild"),
        "{}",
        error.hint()
    );
    assert_eq!(
        look_through(&file.path()).unwrap_err().code(),
        crate::store::DAMAGED
    );
}

#[test]
fn a_page_that_nobody_reads_is_found_when_the_file_is_looked_through() {
    let file = TestFile::create(&definition());
    let mut store = file.open();
    let rows: Vec<_> = (0..2_000)
        .map(|i| noted(&format!("{i:08}"), "a note"))
        .collect();
    write(&mut store, ORDER, &rows, &[]);
    store.commit(&at(1, 1)).unwrap();
    drop(store);
    look_through(&file.path()).unwrap();
    let mut bytes = fs::read(file.path()).unwrap();
    let last_page = bytes.len() - 4096;
    bytes[last_page..].fill(0xAA);
    fs::write(file.path(), bytes).unwrap();
    let store = SqliteStore::open(&file.path(), &file.definition).unwrap();
    drop(store);
    let error = look_through(&file.path()).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
}

#[test]
fn what_the_system_forbids_comes_with_what_to_allow() {
    let path = Path::new("data");
    for kind in [
        std::io::ErrorKind::PermissionDenied,
        std::io::ErrorKind::ReadOnlyFilesystem,
    ] {
        assert!(StoreError::io(path, kind.into()).hint().contains("--data"));
    }
    for (code, expected) in [
        (rusqlite::ffi::SQLITE_READONLY, "--data"),
        (rusqlite::ffi::SQLITE_CANTOPEN, "--data"),
        (rusqlite::ffi::SQLITE_FULL, "disk space"),
        (rusqlite::ffi::SQLITE_BUSY, "another program"),
    ] {
        let source = rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(code), None);
        let hint = StoreError::sqlite(path, source).hint();
        assert!(hint.contains(expected), "{hint}");
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    let below = file.path().join("v1-01234567.db");
    let error = SqliteStore::create(&below, &definition(), "").unwrap_err();
    assert!(error.hint().contains("choose another folder"), "{error}");
}

#[test]
fn a_crash_while_creating_leaves_nothing_in_the_way() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("v3-0123abcd.db");
    let draft = file::beside(&path, ".new");
    for leftover in [
        &draft,
        &file::beside(&draft, "-wal"),
        &file::beside(&path, "-wal"),
    ] {
        fs::write(leftover, "half of something").unwrap();
    }
    SqliteStore::create(&path, &definition(), "0123abcd").unwrap();
    assert!(!draft.exists());
    assert_eq!(read_meta(&path).unwrap().definition, definition());
}

#[test]
fn a_log_of_a_removed_file_does_not_come_back_in_a_new_one() {
    let file = TestFile::create(&definition());
    let mut store = file.open();
    write(&mut store, ORDER, &[noted("a", "of the removed file")], &[]);
    store.commit(&at(1, 1)).unwrap();
    let log = fs::read(&store.log_path).unwrap();
    drop(store);
    fs::remove_file(file.path()).unwrap();
    fs::write(file::beside(&file.path(), "-wal"), log).unwrap();
    let mut store = SqliteStore::create(&file.path(), &definition(), "").unwrap();
    assert_eq!(store.checkpoint(), None);
    assert_eq!(store.get(ORDER, &[text("a")]).unwrap(), None);
}

#[test]
fn a_file_that_is_there_is_never_created_over() {
    let file = TestFile::create(&definition());
    let error = SqliteStore::create(&file.path(), &definition(), "").unwrap_err();
    assert!(error.to_string().contains("there already"), "{error}");
}

#[test]
fn meta_is_read_beside_a_writer_and_after_it_was_killed() {
    let file = TestFile::create(&definition());
    let mut store = file.open();
    write(&mut store, ORDER, &[noted("a", "")], &[]);
    store.commit(&at(1, 1)).unwrap();
    let meta = read_meta(&file.path()).unwrap();
    assert_eq!(meta.definition, definition());
    assert_eq!(meta.digest, "0123abcd");
    assert!(meta.created.starts_with("20"), "{}", meta.created);
    // What a killed process leaves: the database and its log, and no more.
    let killed = tempfile::tempdir().unwrap();
    let copy = killed.path().join("v3-0123abcd.db");
    fs::copy(file.path(), &copy).unwrap();
    fs::copy(&store.log_path, file::beside(&copy, "-wal")).unwrap();
    assert_eq!(read_meta(&copy).unwrap(), meta);
    let reopened = SqliteStore::open(&copy, &definition()).unwrap();
    assert_eq!(reopened.checkpoint(), Some(&at(1, 2)));
}

#[test]
fn a_file_of_the_format_before_dead_letters_is_served_as_it_is_and_brought_up_when_it_is_written() {
    let file = TestFile::create(&definition());
    let old = Connection::open(file.path()).unwrap();
    old.execute_batch("DROP TABLE _foldline_dead_letters; DROP TABLE _foldline_held_events; PRAGMA user_version = 1;")
        .unwrap();
    drop(old);
    let reader = reader::Reader::new(file.path());
    let limits = reader::ReadLimits {
        deadline: std::time::Instant::now() + Duration::from_secs(10),
        bytes_max: 0,
    };
    assert_eq!(reader.set_aside(limits).unwrap(), (0, 0));
    assert_eq!(reader.dead_letters(0, 10, limits).unwrap(), []);
    let mut store = SqliteStore::open(&file.path(), &definition()).unwrap();
    assert_eq!(store.set_aside().unwrap(), Default::default());
    assert!(read_meta(&file.path()).is_ok());
}

use std::fs;

use rusqlite::StatementStatus;

use super::*;
use crate::store::conformance::{
    BY_TEXT, ORDER, ReadModel, at, conformance_suite, definition, noted, text, write,
};

mod files;
mod locks;
mod log;

/// A read model's file in a folder of its own.
struct TestFile {
    folder: tempfile::TempDir,
    definition: Definition,
}

impl TestFile {
    fn path(&self) -> PathBuf {
        let folder = self.folder.path().join("conformance");
        folder.join("v3-0123abcd.db")
    }
}

impl ReadModel for TestFile {
    type Store = SqliteStore;

    fn create(definition: &Definition) -> Self {
        let file = Self {
            folder: tempfile::tempdir().unwrap(),
            definition: definition.clone(),
        };
        SqliteStore::create(&file.path(), definition, "0123abcd").unwrap();
        file
    }

    fn open(&self) -> SqliteStore {
        SqliteStore::open(&self.path(), &self.definition).unwrap()
    }
}

conformance_suite!(TestFile);

#[test]
fn find_walks_an_index_and_never_sorts() {
    let file = TestFile::create(&definition());
    let mut store = file.open();
    store.build_indexes().unwrap();
    for sql in store.statements.iter().flat_map(|table| &table.find) {
        let plan = format!("EXPLAIN QUERY PLAN {sql}");
        let mut plan = store.connection.prepare(&plan).unwrap();
        // The parameters stay null: the plan does not depend on them.
        let steps = plan.raw_query().mapped(|row| row.get::<_, String>(3));
        let steps: Vec<_> = steps.map(Result::unwrap).collect();
        assert_eq!(steps.len(), 1, "{steps:?}");
        assert!(steps[0].contains("USING INDEX order_by_"), "{steps:?}");
    }
}

#[test]
fn find_is_prepared_once_whatever_is_looked_for() {
    let file = TestFile::create(&definition());
    let mut store = file.open();
    let mut prepared_again_after = |value, rows| {
        let found = store.find(ORDER, BY_TEXT, &[text(value)], FindLimit::rows(rows));
        assert!(found.unwrap().is_empty());
        let sql = &store.statements[ORDER].find[BY_TEXT];
        let statement = store.connection.prepare_cached(sql).unwrap();
        statement.get_status(StatementStatus::RePrepare)
    };
    // The index is made by the first one.
    let first = prepared_again_after("x", 1);
    assert_eq!(prepared_again_after("y", 1), first);
    assert_eq!(prepared_again_after("y", 2), first);
}

/// What the crash sweep takes for granted: less, and a power cut tears what it should only undo.
#[test]
fn the_log_is_on_the_disk_before_it_is_copied_into_the_database() {
    let file = TestFile::create(&definition());
    let connection = &file.open().connection;
    let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
    // NORMAL is 1.
    assert_eq!(number("synchronous"), Ok(1));
    let mode = connection.pragma_query_value(None, "journal_mode", |row| row.get::<_, String>(0));
    assert_eq!(mode.as_deref(), Ok("wal"));
}

/// Those of the definition's tables.
fn index_names(store: &SqliteStore) -> Vec<String> {
    let sql = "SELECT name FROM sqlite_schema
               WHERE type = 'index' AND sql IS NOT NULL AND substr(name, 1, 1) <> '_' ORDER BY name";
    let mut names = store.connection.prepare(sql).unwrap();
    let names = names.query_map([], |row| row.get(0)).unwrap();
    names.map(Result::unwrap).collect()
}

#[test]
fn indexes_wait_until_they_are_due_and_come_back_after_a_rollback() {
    let file = TestFile::create(&definition());
    let mut store = file.open();
    write(&mut store, ORDER, &[noted("a", "x")], &[]);
    store.commit(&at(1, 1)).unwrap();
    assert!(index_names(&store).is_empty());
    store.build_indexes().unwrap();
    store.rollback().unwrap();
    assert!(index_names(&store).is_empty());
    assert_eq!(
        store
            .find(ORDER, BY_TEXT, &[text("x")], FindLimit::rows(9))
            .unwrap()
            .len(),
        1
    );
    store.commit(&at(2, 1)).unwrap();
    drop(store);
    let mut store = file.open();
    assert_eq!(index_names(&store).len(), 2);
    store.build_indexes().unwrap();
    assert_eq!(index_names(&store).len(), 2);
}

#[test]
fn rows_are_put_the_cheap_way_until_there_is_an_index() {
    let file = TestFile::create(&definition());
    let mut store = file.open();
    assert_eq!(store.indexes, Indexes::None);
    store.rollback().unwrap();
    assert_eq!(store.indexes, Indexes::None);
    store.build_indexes().unwrap();
    store.commit(&at(1, 1)).unwrap();
    assert_eq!(store.indexes, Indexes::Made);
    drop(store);
    assert_eq!(file.open().indexes, Indexes::Unknown);
}

/// `REPLACE` deletes the old row first unless SQLite sees that it need not, and only then it pays.
#[test]
fn the_cheap_way_deletes_nothing() {
    let file = TestFile::create(&definition());
    let mut store = file.open();
    let deletes = |store: &SqliteStore| {
        let sql = format!("EXPLAIN {}", store.statements[ORDER].put_without_indexes);
        let mut explain = store.connection.prepare(&sql).unwrap();
        let steps = explain
            .raw_query()
            .mapped(|row| row.get::<_, String>("opcode"));
        steps.map(Result::unwrap).any(|step| step == "Delete")
    };
    assert!(!deletes(&store));
    store.build_indexes().unwrap();
    assert!(deletes(&store));
}

#[test]
fn the_page_cache_is_as_large_as_before_once_indexes_were_made_or_could_not_be() {
    let file = TestFile::create(&definition());
    let store = file.open();
    let pages = || {
        store
            .connection
            .pragma_query_value(None, "cache_size", |row| row.get::<_, i64>(0))
    };
    let before = pages().unwrap();
    file::make_indexes(&store.connection, &store.create_indexes).unwrap();
    assert_eq!(pages(), Ok(before));
    file::make_indexes(&store.connection, "CREATE INDEX no ON nothing (at_all)").unwrap_err();
    assert_eq!(pages(), Ok(before));
}

#[test]
fn indexes_that_would_share_a_name_get_numbers() {
    let mut definition = definition();
    let order = &mut definition.tables[ORDER];
    order.indexes.push(vec![4]);
    order.indexes.push(vec![2, 1]);
    definition.tables[1].name = "order_by_count_flag".into();
    let file = TestFile::create(&definition);
    let mut store = file.open();
    store.build_indexes().unwrap();
    let names = index_names(&store);
    let expected = [
        "order_by_count_flag_2",
        "order_by_flag_count",
        "order_by_text",
        "order_by_text_2",
    ];
    assert_eq!(names, expected);
}

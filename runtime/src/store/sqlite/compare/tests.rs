//! What a comparison finds.

use rusqlite::Connection;

use super::*;
use crate::definition::{Column, ColumnType, EventKey};

struct Model {
    folder: tempfile::TempDir,
    definition: Definition,
    connection: Connection,
}

/// A read model with a table `orders` of these columns; the first is the key.
fn model(columns: &[(&str, ColumnType)], rows: &[&str]) -> Model {
    let column = |&(name, ty): &(&str, ColumnType)| Column {
        name: name.into(),
        ty,
        nullable: true,
    };
    let definition = Definition {
        name: "order-summary".into(),
        version: 1,
        subjects: vec!["orders.>".into()],
        key: EventKey::None,
        tables: vec![Table {
            name: "orders".into(),
            columns: columns.iter().map(column).collect(),
            key: vec![0],
            indexes: vec![],
        }],
    };
    let folder = tempfile::tempdir().unwrap();
    super::super::SqliteStore::create(&folder.path().join("a.db"), &definition, "d").unwrap();
    let connection = Connection::open(folder.path().join("a.db")).unwrap();
    let model = Model {
        folder,
        definition,
        connection,
    };
    rows.iter().for_each(|row| model.insert(row));
    model
}

impl Model {
    fn insert(&self, row: &str) {
        let sql = format!("INSERT INTO orders VALUES ({row})");
        self.connection.execute(&sql, []).unwrap();
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot::take(&self.folder.path().join("a.db"), &self.definition).unwrap()
    }
}

/// The only table's difference.
fn between(live: &Model, other: &Model) -> TableDifference {
    let mut found = live
        .snapshot()
        .compare(&other.snapshot(), 2, &|| false)
        .unwrap();
    assert_eq!(found.tables.len(), 1);
    let table = found.tables.remove(0);
    assert_eq!(found.equal, table.is_equal());
    table
}

use ColumnType::{Boolean, Integer, Real, Text};

const COLUMNS: [(&str, ColumnType); 3] = [("id", Text), ("total", Real), ("paid", Boolean)];

#[test]
fn equal_rows_have_equal_hashes_in_whatever_order_they_came() {
    let one = model(&COLUMNS, &["'a', 1.5, 1", "'b', NULL, 0"]);
    let other = model(&COLUMNS, &["'b', NULL, 0", "'a', 1.5, 1"]);
    let found = between(&one, &other);
    assert!(found.is_equal(), "{found:?}");
    assert_eq!(found.hash_live, found.hash_other);
    assert_eq!((found.rows_live, found.rows_other), (2, 2));
}

#[test]
fn every_row_that_differs_is_counted_and_the_first_are_shown() {
    let live = model(
        &COLUMNS,
        &["'a', 1, 1", "'b', 2, 1", "'c', 3, 1", "'e', 5, 1"],
    );
    let other = model(
        &COLUMNS,
        &["'b', 2, 0", "'c', 3, 1", "'d', 4, 1", "'e', 6, 0"],
    );
    let found = between(&live, &other);
    assert_eq!(
        (found.only_live, found.only_other, found.changed),
        (1, 1, 2)
    );
    assert_ne!(found.hash_live, found.hash_other);
    let shown = serde_json::to_value(&found.examples).unwrap();
    let expected = serde_json::json!([
        {"key": ["a"], "columns": [], "only": "live"},
        {"key": ["b"], "columns": [{"column": "paid", "live": true, "other": false}], "only": null},
    ]);
    assert_eq!(shown, expected);
}

#[test]
fn columns_of_one_side_are_named_and_do_not_make_rows_different() {
    let live = model(&COLUMNS, &["'a', 1, 1"]);
    let more = [
        ("id", Text),
        ("paid", Boolean),
        ("note", Text),
        ("total", Real),
    ];
    let found = between(&live, &model(&more, &["'a', 1, 'new', 1.0"]));
    assert!(found.is_equal(), "{found:?}");
    assert_eq!(found.columns_only_other, ["note"]);
    let found = between(&model(&more, &["'a', 1, 'new', 1.0"]), &live);
    assert_eq!(found.columns_only_live, ["note"]);
}

#[test]
fn tables_with_other_keys_are_not_compared() {
    let numbers = [("id", Integer), ("total", Real), ("paid", Boolean)];
    let found = between(
        &model(&COLUMNS, &["'a', 1, 1"]),
        &model(&numbers, &["1, 1, 1"]),
    );
    assert!(found.incomparable.unwrap().contains("primary keys"));
    let mut renamed = model(&COLUMNS, &[]);
    renamed.definition.tables[0].name = "parcels".into();
    let live = model(&COLUMNS, &[]);
    let found = live
        .snapshot()
        .compare(&renamed.snapshot(), 1, &|| false)
        .unwrap();
    assert!(!found.equal);
    assert_eq!(found.tables.len(), 2);
}

#[test]
fn what_is_written_after_a_snapshot_is_not_in_it() {
    let (live, other) = (
        model(&COLUMNS, &["'a', 1, 1"]),
        model(&COLUMNS, &["'a', 1, 1"]),
    );
    let (one, two) = (live.snapshot(), other.snapshot());
    live.insert("'b', 2, 1");
    assert!(one.compare(&two, 1, &|| false).unwrap().equal);
    assert!(!live.snapshot().compare(&two, 1, &|| false).unwrap().equal);
}

#[test]
fn a_comparison_that_nobody_waits_for_any_more_ends() {
    let (live, other) = (model(&COLUMNS, &["'a', 1, 1"]), model(&COLUMNS, &[]));
    let ended = live.snapshot().compare(&other.snapshot(), 1, &|| true);
    assert!(matches!(ended, Err(CompareError::Stopped)));
}

//! Hand-made read model files, for tests of everything that only reads.

use std::path::PathBuf;

use rusqlite::Connection;
use tempfile::TempDir;

use crate::definition::{Column, ColumnType, Definition, EventKey, Table};

/// A read model file with a writer of its own, gone when dropped.
pub(crate) struct Fixture {
    pub(super) folder: TempDir,
    pub(crate) writer: Connection,
}

/// Two tables: `orders`, with a column of every type, and `stock`, with a key of two columns and names that
/// are SQL's and the query string's own words.
pub(crate) fn definition() -> Definition {
    use ColumnType::{Blob, Boolean, Integer, Json, Real, Text};
    let orders = [
        ("order_id", Text, false),
        ("customer_id", Text, false),
        ("total", Real, false),
        ("items", Integer, false),
        ("paid", Boolean, false),
        ("note", Text, true),
        ("meta", Json, true),
        ("raw", Blob, true),
    ];
    let stock = [
        ("warehouse", Text, false),
        ("sku", Integer, false),
        ("limit", Integer, false),
        ("order", Text, true),
    ];
    Definition {
        name: "order-summary".into(),
        version: 1,
        subjects: vec!["orders.>".into()],
        key: EventKey::SubjectToken(1),
        tables: vec![
            table("orders", &orders, &[0], &[&[1]]),
            table("stock", &stock, &[0, 1], &[]),
        ],
    }
}

fn table(
    name: &str,
    columns: &[(&str, ColumnType, bool)],
    key: &[usize],
    indexes: &[&[usize]],
) -> Table {
    let column = |(name, ty, nullable): &(&str, ColumnType, bool)| Column {
        name: (*name).into(),
        ty: *ty,
        nullable: *nullable,
    };
    Table {
        name: name.into(),
        columns: columns.iter().map(column).collect(),
        key: key.to_vec(),
        indexes: indexes.iter().map(|index| index.to_vec()).collect(),
    }
}

impl Fixture {
    /// Empty tables and no checkpoint.
    pub(crate) fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let writer = Connection::open(folder.path().join("read-model.db")).unwrap();
        writer.pragma_update(None, "journal_mode", "wal").unwrap();
        writer.pragma_update(None, "synchronous", "normal").unwrap();
        writer
            .execute_batch(
                r#"CREATE TABLE "orders" ("order_id" TEXT NOT NULL, "customer_id" TEXT NOT NULL,
                     "total" REAL NOT NULL, "items" INTEGER NOT NULL, "paid" INTEGER NOT NULL, "note" TEXT,
                     "meta" TEXT, "raw" BLOB, PRIMARY KEY ("order_id")) WITHOUT ROWID;
                   CREATE TABLE "stock" ("warehouse" TEXT NOT NULL, "sku" INTEGER NOT NULL,
                     "limit" INTEGER NOT NULL, "order" TEXT, PRIMARY KEY ("warehouse", "sku")) WITHOUT ROWID;
                   CREATE TABLE _foldline_checkpoint (id INTEGER PRIMARY KEY CHECK (id = 1),
                     stream TEXT NOT NULL, sequence INTEGER NOT NULL, anchor INTEGER NOT NULL,
                     epoch INTEGER NOT NULL);"#,
            )
            .unwrap();
        Self { folder, writer }
    }

    /// Three orders and three stock rows at sequence 42.
    pub(crate) fn filled() -> Self {
        let fixture = Self::empty();
        fixture
            .writer
            .execute_batch(
                r#"INSERT INTO "orders" VALUES
                     ('o-1', 'ann', 10, 1, 0, NULL, NULL, NULL),
                     ('o-2', 'bob', 25.5, 3, 1, 'a "quoted" note', '{"gift": true}', x'00ff10'),
                     ('o-3', 'ann', 7.25, 2, 1, '', '[1,2]', x'');
                   INSERT INTO "stock" VALUES ('zürich', 7, 100, 'first'), ('a,b', 7, 5, NULL), ('zürich', 8, 5, NULL);"#,
            )
            .unwrap();
        fixture.checkpoint(42);
        fixture
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("read-model.db")
    }

    /// Moves the checkpoint.
    pub(crate) fn checkpoint(&self, sequence: u64) {
        let sql = "INSERT OR REPLACE INTO _foldline_checkpoint VALUES (1, 'ORDERS', ?, 1, 1)";
        self.writer.execute(sql, [sequence.cast_signed()]).unwrap();
    }
}

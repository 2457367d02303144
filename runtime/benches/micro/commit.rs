//! Rows and checkpoint into SQLite.

use std::path::Path;

use divan::Bencher;
use divan::counter::ItemsCount;
use foldline::changes::{Change, Changes};
use foldline::store::sqlite::SqliteStore;
use foldline::store::{Checkpoint, ReadModelStore};
use foldline::value::{Packed, Row, Value};

use crate::guest::order_summary;

/// Rows in the table before anything is measured.
const ROWS: usize = 100_000;

/// Rows in one commit.
const COMMIT: usize = 1_000;

/// Puts of orders `numbers`, for the table of order-summary, as they follow puts of the version before.
fn puts(numbers: impl Iterator<Item = usize>, version: i64) -> Changes {
    let mut changes = Changes::new(1);
    for number in numbers {
        let row = order(number, version);
        changes.push(
            0,
            Change {
                key: &Packed::from(&row[..1]),
                row: Some(&Packed::from(&row)),
                keeps_indexes: version > 1,
            },
        );
    }
    changes
}

fn order(number: usize, version: i64) -> Row {
    vec![
        Value::Text(format!("ord-{number:010}")),
        Value::Text(format!("cust-{:05}", number * 7919 % 50_000)),
        Value::Text("shipped".into()),
        Value::Real(99.5),
        Value::Integer(3),
        Value::Text(format!("T{number:09}")),
        Value::Integer(version),
        Value::Text("2026-01-01T00:00:00Z".into()),
    ]
}

struct Writer {
    store: SqliteStore,
    commits: u64,
}

impl Writer {
    fn new(file: &Path) -> Self {
        let definition = order_summary().definition;
        let store = SqliteStore::create(file, &definition, "0123abcd").unwrap();
        let mut writer = Self { store, commits: 0 };
        writer.commit(&puts(0..ROWS, 1));
        writer
    }

    fn commit(&mut self, changes: &Changes) {
        self.commits += 1;
        let next = Checkpoint {
            stream: "ORDERS".into(),
            sequence: self.commits,
            anchor: 0,
            epoch: self
                .store
                .checkpoint()
                .map_or(1, |checkpoint| checkpoint.epoch),
        };
        self.store.write(changes).unwrap();
        self.store.commit(&next).unwrap();
    }
}

/// How the keys of one commit lie in the table: next to each other, or all over it.
#[divan::bench(args = [1, 97])]
fn commit_1000_rows_apart_by(bencher: Bencher<'_, '_>, apart: usize) {
    let folder = tempfile::tempdir().unwrap();
    let mut writer = Writer::new(&folder.path().join("bench/v1-0123abcd.db"));
    let (mut first, mut version) = (0, 1);
    bencher
        .counter(ItemsCount::new(COMMIT))
        .with_inputs(|| {
            first += COMMIT * apart;
            version += 1;
            let numbers = (0..COMMIT).map(|i| (first + i * apart) % ROWS);
            puts(numbers, version)
        })
        .bench_local_values(|changes| writer.commit(&changes));
}

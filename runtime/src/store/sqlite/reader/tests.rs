//! Reading files by hand-made definitions, beside a writer.

use std::sync::atomic::{AtomicBool, Ordering};

use rusqlite::{StatementStatus, params};

use super::fixture::{Fixture, definition};
use super::*;
use crate::changes::{Change, Changes};
use crate::store::ReadModelStore as _;
use crate::store::sqlite::SqliteStore;
use crate::value::Packed;
use crate::value::Value::{Blob, Boolean, Integer, Null, Real, Text};

fn limits() -> ReadLimits {
    ReadLimits {
        deadline: Instant::now() + Duration::from_secs(60),
        bytes_max: 1 << 20,
    }
}

fn text(text: &str) -> Value {
    Text(text.into())
}

/// All of a table, first ten rows.
fn all(table: &Table) -> Select {
    Select {
        columns: (0..table.columns.len()).collect(),
        conditions: Vec::new(),
        order: Vec::new(),
        limit: 10,
        offset: 0,
    }
}

fn keys(page: &Page) -> Vec<Value> {
    page.rows.iter().map(|row| row[0].clone()).collect()
}

#[test]
fn a_query_is_prepared_once_whatever_values_it_asks_for() {
    let fixture = Fixture::filled();
    let table = &definition().tables[0];
    let connection = open(&fixture.path()).unwrap();
    let mut select = all(table);
    for (customer, offset) in [("ann", 0), ("bob", 0), ("ann", 1)] {
        select.conditions = vec![Condition {
            column: 1,
            comparison: Comparison::Equal(text(customer)),
        }];
        select.offset = offset;
        let found = rows(&connection, table, &select, 1 << 20);
        assert!(matches!(found, Ok(rows) if !rows.is_empty()));
    }
    let statement = connection.prepare_cached(&select.sql(table)).unwrap();
    assert_eq!(statement.get_status(StatementStatus::RePrepare), 0);
    assert_eq!(statement.get_status(StatementStatus::Run), 3);
}

#[test]
fn how_a_query_is_carried_out_follows_its_limit() {
    let fixture = Fixture::filled();
    let table = &definition().tables[0];
    let index = "CREATE INDEX orders_by_customer_id ON orders (customer_id)";
    fixture.writer.execute(index, []).unwrap();
    let connection = open(&fixture.path()).unwrap();
    let plan = |limit| {
        let mut select = all(table);
        select.conditions = vec![Condition {
            column: 0,
            comparison: Comparison::Greater(text("o-1")),
        }];
        select.order = vec![(1, Direction::Ascending)];
        select.limit = limit;
        let sql = format!("EXPLAIN QUERY PLAN {}", select.sql(table));
        let mut plan = connection.prepare(&sql).unwrap();
        let steps = plan.query_map(params!["o-1", 0], |step| step.get::<_, String>("detail"));
        steps.unwrap().collect::<Result<Vec<_>, _>>().unwrap()
    };
    // SQLite takes a small limit for less work to sort than to walk along the index, whatever one thinks of that.
    let of_one = plan(1);
    assert!(of_one[0].contains("PRIMARY KEY (order_id>?)"), "{of_one:?}");
    assert_eq!(
        plan(1_000),
        ["SCAN orders USING INDEX orders_by_customer_id"]
    );
}

#[test]
fn every_type_comes_back_as_it_was_written() {
    let fixture = Fixture::filled();
    let table = &definition().tables[0];
    let reader = Reader::new(fixture.path());
    let page = reader.select(table, &all(table), limits()).unwrap();
    assert_eq!(page.sequence(), 42);
    assert_eq!(
        page.rows[1],
        [
            text("o-2"),
            text("bob"),
            Real(25.5),
            Integer(3),
            Boolean(true),
            text("a \"quoted\" note"),
            text("{\"gift\": true}"),
            Blob(vec![0, 255, 16]),
        ]
    );
    // Written as the integer 10 into a column of reals.
    assert_eq!(
        page.rows[0][2..],
        [Real(10.0), Integer(1), Boolean(false), Null, Null, Null]
    );
}

#[test]
fn before_the_first_commit_there_are_no_rows_at_sequence_zero() {
    let fixture = Fixture::empty();
    let table = &definition().tables[0];
    let reader = Reader::new(fixture.path());
    let page = reader.select(table, &all(table), limits()).unwrap();
    assert_eq!((page.rows.len(), page.sequence()), (0, 0));
    assert_eq!(reader.checkpoint(limits()).unwrap(), None);
}

#[test]
fn conditions_order_and_window_are_applied_together() {
    let fixture = Fixture::filled();
    let table = &definition().tables[0];
    let reader = Reader::new(fixture.path());
    let read = |change: &dyn Fn(&mut Select)| {
        let mut select = all(table);
        change(&mut select);
        keys(&reader.select(table, &select, limits()).unwrap())
    };
    let condition = |column, comparison| vec![Condition { column, comparison }];
    let of = |names: &[&str]| names.iter().map(|name| text(name)).collect::<Vec<_>>();

    assert_eq!(
        read(&|s| s.conditions = condition(1, Comparison::Equal(text("ann")))),
        of(&["o-1", "o-3"])
    );
    assert_eq!(
        read(&|s| s.conditions = condition(1, Comparison::NotEqual(text("ann")))),
        of(&["o-2"])
    );
    assert_eq!(
        read(&|s| s.conditions = condition(2, Comparison::Greater(Real(7.25)))),
        of(&["o-1", "o-2"])
    );
    assert_eq!(
        read(&|s| s.conditions = condition(2, Comparison::GreaterOrEqual(Real(10.0)))),
        of(&["o-1", "o-2"])
    );
    assert_eq!(
        read(&|s| s.conditions = condition(3, Comparison::Less(Integer(2)))),
        of(&["o-1"])
    );
    assert_eq!(
        read(&|s| s.conditions = condition(3, Comparison::LessOrEqual(Integer(2)))),
        of(&["o-1", "o-3"])
    );
    assert_eq!(
        read(&|s| s.conditions = condition(4, Comparison::Equal(Boolean(true)))),
        of(&["o-2", "o-3"])
    );
    assert_eq!(
        read(&|s| s.conditions = condition(7, Comparison::Equal(Blob(vec![])))),
        of(&["o-3"])
    );
    assert_eq!(
        read(&|s| s.conditions = condition(5, Comparison::IsNull)),
        of(&["o-1"])
    );
    assert_eq!(
        read(&|s| s.conditions = condition(5, Comparison::IsNotNull)),
        of(&["o-2", "o-3"])
    );
    assert_eq!(
        read(&|s| s.order = vec![(2, Direction::Ascending)]),
        of(&["o-3", "o-1", "o-2"])
    );
    // Equal customers stay in the order of the key.
    assert_eq!(
        read(&|s| s.order = vec![(1, Direction::Descending)]),
        of(&["o-2", "o-1", "o-3"])
    );
    assert_eq!(read(&|s| (s.limit, s.offset) = (1, 1)), of(&["o-2"]));
    assert_eq!(read(&|s| s.offset = u64::MAX), of(&[]));
}

#[test]
fn values_are_never_taken_for_sql() {
    let fixture = Fixture::filled();
    let definition = definition();
    let reader = Reader::new(fixture.path());
    let orders = &definition.tables[0];
    let mut select = all(orders);
    select.conditions = vec![Condition {
        column: 0,
        comparison: Comparison::Equal(text("' OR 1=1; DROP TABLE orders; --")),
    }];
    assert!(
        reader
            .select(orders, &select, limits())
            .unwrap()
            .rows
            .is_empty()
    );
    // A table whose columns are called like SQL's own words.
    let stock = &definition.tables[1];
    let by_key = Select::by_key(stock, vec![text("zürich"), Integer(7)]);
    let page = reader.select(stock, &by_key, limits()).unwrap();
    assert_eq!(
        page.rows,
        [[text("zürich"), Integer(7), Integer(100), text("first")]]
    );
}

#[test]
fn a_reader_cannot_write() {
    let fixture = Fixture::filled();
    let reader = Reader::new(fixture.path());
    let write = reader.read(limits(), |transaction| {
        Ok(transaction.execute("DELETE FROM orders", [])?)
    });
    assert!(write.unwrap_err().to_string().contains("readonly"));
}

#[test]
fn what_the_store_commits_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("read-model.db");
    let definition = definition();
    let mut store = SqliteStore::create(&path, &definition, "ab").unwrap();
    let row = vec![text("zürich"), Integer(7), Integer(100), Null];
    let mut changes = Changes::new(definition.tables.len());
    changes.push(
        1,
        Change {
            key: &Packed::from(&row[..2]),
            row: Some(&Packed::from(&row)),
            keeps_indexes: false,
        },
    );
    store.write(&changes).unwrap();
    let reader = Reader::new(&path);
    let stock = &definition.tables[1];
    assert!(
        reader
            .select(stock, &all(stock), limits())
            .unwrap()
            .rows
            .is_empty()
    );
    let next = Checkpoint {
        stream: "ORDERS".into(),
        sequence: 7,
        anchor: 1,
        epoch: 1,
    };
    store.commit(&next).unwrap();
    let page = reader.select(stock, &all(stock), limits()).unwrap();
    assert_eq!(
        (page.rows, page.checkpoint),
        (vec![row], store.checkpoint().cloned())
    );
}

#[test]
fn a_stopped_projection_is_still_read() {
    let Fixture { folder, writer } = Fixture::filled();
    // The last writer to close a WAL file removes the log beside it.
    writer.close().unwrap();
    let reader = Reader::new(folder.path().join("read-model.db"));
    assert_eq!(reader.checkpoint(limits()).unwrap().unwrap().sequence, 42);
}

#[test]
fn a_read_past_its_deadline_is_stopped_and_the_next_one_works() {
    let fixture = Fixture::filled();
    let reader = Reader::new(fixture.path());
    let endless =
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n";
    let deadline = Instant::now() + Duration::from_millis(20);
    let stopped = reader.read(
        ReadLimits {
            deadline,
            ..limits()
        },
        |transaction| Ok(transaction.query_row(endless, [], |row| row.get::<_, i64>(0))?),
    );
    assert!(matches!(stopped, Err(ReadError::TooSlow)), "{stopped:?}");
    assert!(reader.checkpoint(limits()).is_ok());
}

#[test]
fn rows_beyond_the_answers_limit_are_refused_with_the_number_that_fits() {
    let fixture = Fixture::filled();
    let table = &definition().tables[0];
    let reader = Reader::new(fixture.path());
    let one_row: usize = {
        let page = reader.select(table, &all(table), limits()).unwrap();
        page.rows[0].iter().map(Value::size).sum()
    };
    let bytes_max = one_row + 1;
    let refused = reader.select(
        table,
        &all(table),
        ReadLimits {
            bytes_max,
            ..limits()
        },
    );
    assert!(
        matches!(refused, Err(ReadError::TooLarge { rows: 1, .. })),
        "{refused:?}"
    );
}

#[test]
fn a_missing_file_is_named() {
    let reader = Reader::new("/nowhere/read-model.db");
    let error = reader.checkpoint(limits()).unwrap_err();
    assert!(
        error.to_string().starts_with("/nowhere/read-model.db: "),
        "{error}"
    );
}

#[test]
fn a_reader_in_the_middle_of_a_read_holds_no_commit_back() {
    let fixture = Fixture::filled();
    fixture.writer.busy_timeout(Duration::ZERO).unwrap();
    let reader = Reader::new(fixture.path());
    let read = reader.read(limits(), |transaction| {
        let before = checkpoint::read(transaction)?;
        fixture.checkpoint(43);
        Ok((before, checkpoint::read(transaction)?))
    });
    let (before, after) = read.unwrap();
    assert_eq!(before, after);
    assert_eq!(reader.checkpoint(limits()).unwrap().unwrap().sequence, 43);
}

/// A writer moves items between two stock rows and writes the commit's sequence into a third; whatever readers
/// see must add up, and carry the sequence of the same commit.
#[test]
fn readers_beside_a_writer_see_whole_commits_with_their_own_sequence() {
    const COMMITS: u64 = 400;
    const READS_MIN: usize = 100;
    let mut fixture = Fixture::empty();
    fixture
        .writer
        .execute_batch(r#"INSERT INTO stock VALUES ('a', 1, 500, NULL), ('b', 1, 500, NULL), ('sequence', 1, 0, NULL)"#)
        .unwrap();
    fixture.checkpoint(0);
    let reader = Reader::new(fixture.path());
    let table = &definition().tables[1];
    let written = AtomicBool::new(false);
    let check = || {
        let (mut reads, mut seen) = (0, 0);
        while reads < READS_MIN || !written.load(Ordering::Acquire) {
            let page = reader.select(table, &all(table), limits()).unwrap();
            let [Integer(a), Integer(b), Integer(sequence)] =
                [0, 1, 2].map(|i| page.rows[i][2].clone())
            else {
                panic!("{page:?}");
            };
            assert_eq!(a + b, 1_000);
            assert_eq!(page.sequence(), sequence.cast_unsigned());
            assert!(page.sequence() >= seen, "a reader went back in time");
            (reads, seen) = (reads + 1, page.sequence());
        }
        assert_eq!(
            reader.checkpoint(limits()).unwrap().unwrap().sequence,
            COMMITS
        );
    };
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..4).map(|_| scope.spawn(check)).collect();
        let write = || (1..=COMMITS).for_each(|sequence| move_items(&mut fixture.writer, sequence));
        let outcome = scope.spawn(write).join();
        // Also when writing failed: the readers must end.
        written.store(true, Ordering::Release);
        outcome.unwrap();
        readers
            .into_iter()
            .for_each(|reader| reader.join().unwrap());
    });
}

fn move_items(writer: &mut Connection, sequence: u64) {
    let items = (sequence % 7).cast_signed();
    let transaction = writer.transaction().unwrap();
    let set = |warehouse: &str, sql: &str, value: i64| {
        let sql = format!(r#"UPDATE stock SET "limit" = {sql} WHERE warehouse = ?1"#);
        transaction
            .execute(&sql, rusqlite::params![warehouse, value])
            .unwrap();
    };
    set("a", r#""limit" + ?2"#, items);
    set("b", r#""limit" - ?2"#, items);
    set("sequence", "?2", sequence.cast_signed());
    let checkpoint = "INSERT OR REPLACE INTO _foldline_checkpoint VALUES (1, 'ORDERS', ?, 1, 1)";
    transaction
        .execute(checkpoint, [sequence.cast_signed()])
        .unwrap();
    transaction.commit().unwrap();
}

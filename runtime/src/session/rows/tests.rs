use super::*;
use crate::value::{Packed, Value};

fn key(i: i64) -> Packed {
    Packed::from([Value::Integer(i)])
}

fn entry_bytes() -> usize {
    Entry::new(&key(0), Some(&key(0))).size()
}

impl Rows {
    /// Puts a row of one integer under this key.
    fn put(&mut self, id: i64, row: i64) {
        self.set(0, &key(id), Some(&key(row)));
    }

    fn delete(&mut self, id: i64) {
        self.set(0, &key(id), None);
    }

    fn known(&mut self, id: i64) -> Known {
        self.look_up(0, &key(id)).0
    }
}

/// The rows that are taken, in the order of their keys.
fn taken(changes: &Changes) -> Vec<Option<&[u8]>> {
    let sorted = changes.sorted(0);
    sorted.iter().map(|change| change.row).collect()
}

/// One table with room for `bytes`; its rows are two integers at most, the second of them in an index.
fn table(complete: bool, bytes: usize) -> Rows {
    let table = TableRows {
        complete,
        indexed: vec![false, true],
        entries: IndexSet::default(),
    };
    Rows::new(vec![table], bytes)
}

/// One table, empty at first, with room for `entries` rows of one integer.
fn rows(entries: usize) -> Rows {
    table(true, entries * entry_bytes())
}

fn commit(rows: &mut Rows) -> Changes {
    let changes = rows.take();
    rows.committed();
    changes
}

/// Commits rows whose only column is their key.
fn fill(rows: &mut Rows, keys: std::ops::Range<i64>) {
    keys.for_each(|i| rows.put(i, i));
    commit(rows);
}

fn known(rows: &mut Rows, keys: std::ops::Range<i64>) -> usize {
    keys.filter(|&i| rows.known(i) == Known::Row).count()
}

fn counted(rows: &Rows) -> usize {
    let entries = rows.tables.iter().flat_map(|table| &table.entries);
    entries.map(Entry::size).sum()
}

#[test]
fn what_is_not_there_is_absent_until_something_was_dropped() {
    let mut rows = rows(100);
    fill(&mut rows, 0..100);
    rows.delete(7);
    assert_eq!(rows.known(7), Known::Nothing);
    commit(&mut rows);
    assert_eq!(rows.known(7), Known::Nothing);
    assert_eq!(rows.known(500), Known::Nothing);
    fill(&mut rows, 100..102);
    assert_eq!(rows.known(500), Known::Unknown);
}

#[test]
fn a_table_that_had_rows_is_not_complete_and_remembers_what_is_absent() {
    let mut rows = table(false, 1_000_000);
    assert_eq!(rows.known(1), Known::Unknown);
    rows.learn(0, &key(1), None);
    assert_eq!(rows.known(1), Known::Nothing);
}

#[test]
fn rows_that_are_only_looked_up_are_kept_up_to_a_limit_also_within_one_call() {
    let mut rows = table(false, 1);
    let large = vec![b'x'; 1 << 20];
    let kept = (0..64).filter(|&id| rows.learn(0, &key(id), Some(&large)).is_some());
    assert!((1..=16).contains(&kept.count()));
    assert!(rows.bytes <= rows.limit_bytes + LEARNED_OVER_LIMIT);
    assert_eq!(rows.known(63), Known::Unknown, "it is asked for again");
}

#[test]
fn the_limit_holds_after_each_commit_and_the_bytes_are_counted_right() {
    let mut rows = rows(100);
    for round in 0..20 {
        fill(&mut rows, round * 50..round * 50 + 90);
        rows.delete(round);
        rows.put(round + 1, 5);
        rows.undo_call();
        rows.learn(0, &key(-round - 1), None);
        assert_eq!(rows.bytes, counted(&rows));
        commit(&mut rows);
        assert_eq!(rows.bytes, counted(&rows));
        assert!(rows.bytes <= rows.limit_bytes);
    }
}

#[test]
fn what_was_used_since_the_last_sweep_stays() {
    let mut rows = rows(100);
    fill(&mut rows, 0..101);
    let survivors: Vec<_> = (0..101)
        .filter(|&i| known(&mut rows, i..i + 1) == 1)
        .collect();
    assert_eq!(survivors.len(), 75);
    // Age everything by a sweep, then use twenty of the survivors and force another one.
    fill(&mut rows, 1_000..1_026);
    let used = &survivors[..20];
    let before: Vec<_> = used
        .iter()
        .filter(|&&i| known(&mut rows, i..i + 1) == 1)
        .collect();
    fill(&mut rows, 2_000..2_026);
    assert!(before.iter().all(|&&i| known(&mut rows, i..i + 1) == 1));
    assert!(known(&mut rows, 2_000..2_026) == 26);
}

#[test]
fn a_row_larger_than_the_limit_is_not_kept_after_its_commit() {
    let mut rows = rows(0);
    fill(&mut rows, 0..3);
    assert_eq!((known(&mut rows, 0..3), rows.bytes), (0, 0));
    assert_eq!(rows.known(1), Known::Unknown);
}

#[test]
fn a_key_is_taken_once_with_its_last_row() {
    let mut rows = rows(100);
    fill(&mut rows, 0..1);
    rows.delete(0);
    rows.put(0, 1);
    assert_eq!(taken(&rows.take()), [Some(&*key(1))]);
    // Taken for the open transaction only: what changes again is taken again.
    rows.put(0, 2);
    assert_eq!(commit(&mut rows).len(), 1);
    assert_eq!(commit(&mut rows).len(), 0);
}

#[test]
fn a_row_that_is_put_as_it_was_is_no_change() {
    let mut rows = rows(100);
    fill(&mut rows, 0..1);
    rows.put(0, 0);
    rows.delete(1);
    assert!(commit(&mut rows).is_empty());
    assert_eq!(rows.tables[0].entries.len(), 1);
}

#[test]
fn indexes_are_kept_only_where_every_row_since_the_last_commit_had_the_same_values_in_them() {
    let pair = |a: i64, b: i64| Some(Packed::from([Value::Integer(a), Value::Integer(b)]));
    let keeps = |steps: &[Option<Packed>]| {
        let mut rows = rows(100);
        rows.set(0, &key(1), pair(0, 7).as_deref());
        assert!(!commit(&mut rows).sorted(0)[0].keeps_indexes, "a new row");
        steps
            .iter()
            .for_each(|row| rows.set(0, &key(1), row.as_deref()));
        commit(&mut rows).sorted(0)[0].keeps_indexes
    };
    assert!(keeps(&[pair(1, 7)]));
    assert!(keeps(&[pair(1, 7), pair(2, 7)]));
    assert!(!keeps(&[pair(0, 8)]));
    assert!(!keeps(&[pair(0, 8), pair(1, 8)]));
    assert!(!keeps(&[pair(0, 8), pair(1, 7)]));
    assert!(!keeps(&[None, pair(0, 7), pair(1, 7)]));
    assert!(!keeps(&[None]));
}

#[test]
fn nothing_is_known_of_the_indexes_of_a_row_that_the_store_was_not_asked_for() {
    let mut rows = table(false, 1_000_000);
    rows.put(1, 1);
    rows.put(1, 2);
    assert!(!commit(&mut rows).sorted(0)[0].keeps_indexes);
}

#[test]
fn a_failed_call_is_undone_and_what_came_before_it_is_taken() {
    let mut rows = table(false, 1_000_000);
    rows.put(1, 10);
    rows.begin_call();
    rows.put(1, 11);
    rows.delete(1);
    rows.put(2, 20);
    rows.undo_call();
    let (_, place) = rows.look_up(0, &key(1));
    assert_eq!(rows.row(place.unwrap()), Some(&*key(10)));
    assert_eq!(rows.known(2), Known::Unknown);
    assert_eq!(taken(&commit(&mut rows)), [Some(&*key(10))]);
}

#[test]
fn what_a_rolled_back_transaction_held_is_taken_again_without_trust_in_what_was_there() {
    let mut rows = rows(100);
    rows.put(1, 10);
    rows.take();
    rows.put(1, 11);
    rows.put(2, 20);
    rows.rolled_back();
    let changes = commit(&mut rows);
    assert_eq!(taken(&changes), [Some(&*key(11)), Some(&*key(20))]);
    assert!(changes.sorted(0).iter().all(|change| !change.keeps_indexes));
}

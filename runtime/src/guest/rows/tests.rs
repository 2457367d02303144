//! What a guest asks of its read model is checked against its definition and its limits.

use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::definition::{Column, ColumnType, Definition, EventKey};
use crate::guest::GuestLimits;
use crate::session::Session;
use crate::store::memory::{MemoryReadModel, MemoryStore};

fn definition() -> Definition {
    let column = |name: &str, ty, nullable| Column {
        name: name.into(),
        ty,
        nullable,
    };
    Definition {
        name: "test".into(),
        version: 1,
        subjects: vec![">".into()],
        key: EventKey::None,
        tables: vec![Table {
            name: "notes".into(),
            columns: vec![
                column("id", ColumnType::Integer, false),
                column("text", ColumnType::Text, true),
                column("weight", ColumnType::Real, false),
            ],
            key: vec![0],
            indexes: vec![vec![1]],
        }],
    }
}

/// A guest that may ask for 10 changes of 2,000 bytes in all, with rows of up to 1,000.
fn guest() -> GuestState {
    let definition = definition();
    let store = MemoryStore::open(&MemoryReadModel::new(&definition));
    let limits = GuestLimits {
        module_bytes: 0,
        memory_bytes: 0,
        call: Duration::ZERO,
        changes: 10,
        change_bytes: 2_000,
        row_bytes: 1_000,
        find_rows: 3,
        find_bytes: 1_000,
        log_lines: 0,
        batches: 0,
    };
    let session = Session::new(Box::new(store), Arc::new(definition), 1 << 20).unwrap();
    GuestState::at_work(limits, session)
}

fn note(id: i64, text: &str) -> Row {
    vec![
        Value::Integer(id),
        Value::Text(text.into()),
        Value::Real(0.5),
    ]
}

fn key(id: i64) -> Packed {
    Packed::from([Value::Integer(id)])
}

fn bytes(fields: &[Field<'_>]) -> Vec<u8> {
    let mut row = Vec::new();
    fields
        .iter()
        .for_each(|field| foldline_row::push(&mut row, *field));
    row
}

fn put(guest: &mut GuestState, table: u32, row: &Row) -> Result<(), GuestFault> {
    let fields: Vec<_> = row.iter().map(Field::from).collect();
    guest.replace(table, &mut bytes(&fields))
}

fn misuse<T: std::fmt::Debug>(result: Result<T, GuestFault>) -> String {
    match result {
        Err(GuestFault::Misuse(text)) => text,
        other => panic!("expected misuse, got {other:?}"),
    }
}

#[test]
fn a_guest_sees_its_own_changes_at_once_by_key_and_by_index() {
    let mut guest = guest();
    for id in [3, 1, 2, 4] {
        put(&mut guest, 0, &note(id, "same")).unwrap();
    }
    guest.remove(0, &key(2)).unwrap();
    assert_eq!(
        guest.read(0, &key(1)).unwrap(),
        Some(&*Packed::from(note(1, "same")))
    );
    assert_eq!(guest.read(0, &key(2)).unwrap(), None);
    let same = Packed::from([Value::Text("same".into())]);
    let found = guest.search(0, 0, &same, 2).unwrap();
    assert_eq!(found, [note(1, "same"), note(3, "same")]);
}

#[test]
fn find_gives_back_no_more_rows_than_the_host_allows() {
    let mut guest = guest();
    for id in 0..5 {
        put(&mut guest, 0, &note(id, "same")).unwrap();
    }
    let found = guest
        .search(0, 0, &Packed::from([Value::Text("same".into())]), u32::MAX)
        .unwrap();
    assert_eq!(found.len(), 3);
}

#[test]
fn find_gives_back_no_more_bytes_than_the_host_allows() {
    let mut guest = guest();
    let same = "s".repeat(400);
    let find = |guest: &mut GuestState| {
        let key = Packed::from([Value::Text(same.as_str().into())]);
        guest.search(0, 0, &key, 3)
    };
    put(&mut guest, 0, &note(1, &same)).unwrap();
    assert_eq!(find(&mut guest).unwrap().len(), 1);
    for id in [2, 3] {
        put(&mut guest, 0, &note(id, &same)).unwrap();
    }
    let error = find(&mut guest).unwrap_err().to_string();
    assert!(error.contains("find limit"), "{error}");
    assert!(error.contains("more than 1000 bytes"), "{error}");
}

#[test]
fn what_the_definition_does_not_have_is_misuse_and_named() {
    let mut guest = guest();
    assert!(misuse(put(&mut guest, 7, &note(1, "a"))).contains("no table number 7"));
    assert!(misuse(put(&mut guest, 0, &vec![Value::Null])).contains("3 columns"));
    let mut wrong = note(1, "a");
    wrong[0] = Value::Null;
    assert!(misuse(put(&mut guest, 0, &wrong)).contains("notes.id (integer)"));
    let mut nan = note(1, "a");
    nan[2] = Value::Real(f64::NAN);
    assert!(misuse(put(&mut guest, 0, &nan)).contains("NaN"));
    assert!(misuse(guest.remove(0, b"")).contains("a key of table notes"));
    let search = guest.search(0, 9, &Packed::from([Value::Null]), 1);
    assert!(misuse(search).contains("no index number 9"));
}

#[test]
fn rows_changes_and_their_bytes_are_limited() {
    let mut large = guest();
    large.admit(0, 1_000).unwrap();
    let row = large.admit(0, 1_001);
    assert!(
        matches!(row, Err(GuestFault::Row { limit: 1_000, .. })),
        "{row:?}"
    );

    let mut many = guest();
    let last = (0..11)
        .map(|_| put(&mut many, 0, &note(1, "")))
        .find(Result::is_err);
    assert!(
        matches!(last, Some(Err(GuestFault::Changes { limit: 10 }))),
        "{last:?}"
    );

    let mut much = guest();
    let text = "x".repeat(700);
    let last = (0..10)
        .map(|_| put(&mut much, 0, &note(1, &text)))
        .find(Result::is_err);
    assert!(
        matches!(last, Some(Err(GuestFault::ChangeBytes { limit: 2_000 }))),
        "{last:?}"
    );
}

#[test]
fn bytes_that_are_no_row_are_misuse_and_change_nothing() {
    let mut guest = guest();
    let good = bytes(&[Field::Integer(1), Field::Text(b"text"), Field::Real(0.5)]);
    for end in 0..good.len() {
        misuse(guest.replace(0, &mut good[..end].to_vec()));
    }
    let longer = [good.as_slice(), &[0]].concat();
    assert!(misuse(guest.replace(0, &mut longer.clone())).contains("a row of 4 given"));
    let unknown = misuse(guest.replace(0, &mut [9]));
    assert!(
        unknown.contains("notes is no row: byte 0 is 9"),
        "{unknown}"
    );
    let latin = bytes(&[Field::Integer(1), Field::Text(&[0xfc]), Field::Real(0.5)]);
    assert!(misuse(guest.replace(0, &mut latin.clone())).contains("not UTF-8"));
    let cut = misuse(guest.read(0, &key(1)[..5]));
    assert!(
        cut.contains("notes is no row: the value at byte 0 is cut off"),
        "{cut}"
    );
    assert_eq!(guest.read(0, &key(1)).unwrap(), None);
}

#[test]
fn zero_has_no_sign() {
    let mut guest = guest();
    let text = Field::Text(b"text");
    let mut signed = bytes(&[Field::Integer(1), text, Field::Real(-0.0)]);
    guest.replace(0, &mut signed).unwrap();
    let row = guest.read(0, &key(1)).unwrap().unwrap();
    assert_eq!(*row, bytes(&[Field::Integer(1), text, Field::Real(0.0)]));
}

//! Rows: what was written is what is read.

use super::*;

fn created<M: ReadModel>() -> (M, M::Store) {
    let read_model = M::create(&definition());
    let store = read_model.open();
    (read_model, store)
}

/// Reads the row written, then commits, restarts and reads it again.
fn comes_back<M: ReadModel>(table: usize, rows: &[Row]) {
    let (read_model, mut store) = created::<M>();
    let definition = definition();
    let check = |store: &mut M::Store| {
        for row in rows {
            let key = definition.tables[table].key_of(row);
            assert_eq!(store.get(table, &key).unwrap().as_ref(), Some(row));
        }
    };
    write(&mut store, table, rows, &[]);
    check(&mut store);
    store.commit(&at(1, 1)).unwrap();
    check(&mut store);
    drop(store);
    check(&mut read_model.open());
}

pub(in crate::store) fn what_was_written_is_read_before_the_commit<M: ReadModel>() {
    let (_read_model, mut store) = created::<M>();
    assert_eq!(store.get(ORDER, &[text("a")]).unwrap(), None);
    write(&mut store, ORDER, &[noted("a", "first")], &[]);
    assert_eq!(
        store.get(ORDER, &[text("a")]).unwrap(),
        Some(noted("a", "first"))
    );
    assert_eq!(store.get(ORDER, &[text("b")]).unwrap(), None);
}

pub(in crate::store) fn what_was_deleted_is_gone_before_the_commit<M: ReadModel>() {
    let (_read_model, mut store) = created::<M>();
    write(&mut store, ORDER, &[noted("a", ""), noted("b", "")], &[]);
    store.commit(&at(1, 1)).unwrap();
    write(
        &mut store,
        ORDER,
        &[],
        &[vec![text("a")], vec![text("never there")]],
    );
    assert_eq!(store.get(ORDER, &[text("a")]).unwrap(), None);
    store.commit(&at(2, 1)).unwrap();
    assert_eq!(store.get(ORDER, &[text("a")]).unwrap(), None);
    assert_eq!(
        store.get(ORDER, &[text("b")]).unwrap(),
        Some(noted("b", ""))
    );
}

pub(in crate::store) fn the_last_write_of_a_key_wins<M: ReadModel>() {
    let (_read_model, mut store) = created::<M>();
    for note in ["first", "second", "third"] {
        write(&mut store, ORDER, &[noted("a", note)], &[]);
    }
    write(&mut store, ORDER, &[], &[vec![text("a")]]);
    write(&mut store, ORDER, &[noted("a", "fourth")], &[]);
    store.commit(&at(1, 1)).unwrap();
    assert_eq!(
        store.get(ORDER, &[text("a")]).unwrap(),
        Some(noted("a", "fourth"))
    );
    assert_eq!(
        store
            .find(ORDER, BY_TEXT, &[text("first")], FindLimit::rows(9))
            .unwrap(),
        [] as [Row; 0]
    );
}

pub(in crate::store) fn every_value_comes_back_as_it_was<M: ReadModel>() {
    let integers = [i64::MIN, -1, 0, i64::MAX];
    let reals = [
        f64::MIN,
        -1.5,
        0.0,
        3.0,
        1e300,
        f64::MIN_POSITIVE,
        f64::INFINITY,
        f64::NEG_INFINITY,
    ];
    let texts = [
        "",
        "\0",
        "a\0b",
        "grüße 🦀",
        "'; DROP TABLE \"order\"; --",
        "12",
        "1e3",
    ];
    let blobs: [&[u8]; 4] = [b"", b"\0", b"text", &[0xff; 300]];
    let mut columns = vec![
        (1, Value::Boolean(true)),
        (1, Value::Boolean(false)),
        (1, Value::Null),
    ];
    columns.extend(integers.map(|v| (2, Value::Integer(v))));
    columns.extend(reals.map(|v| (3, Value::Real(v))));
    columns.extend(texts.map(|v| (4, text(v))));
    columns.extend(blobs.map(|v| (5, Value::Blob(v.into()))));
    columns.push((6, text("{\"a\": [1, 2]}")));
    let row = |(i, (column, value)): (usize, (usize, Value))| {
        let mut row = order(&format!("row {i}"), Value::Null, Value::Null, Value::Null);
        row[column] = value;
        row
    };
    let mut rows: Vec<_> = columns.into_iter().enumerate().map(row).collect();
    rows.extend(texts.map(|id| noted(id, "as a key")));
    comes_back::<M>(ORDER, &rows);
}

pub(in crate::store) fn zero_comes_back_without_a_sign_at_any_time<M: ReadModel>() {
    let (read_model, mut store) = created::<M>();
    let with = |zero| {
        let mut row = noted("a", "");
        row[3] = Value::Real(zero);
        row
    };
    write(&mut store, ORDER, &[with(-0.0)], &[]);
    assert_eq!(store.get(ORDER, &[text("a")]).unwrap(), Some(with(0.0)));
    store.commit(&at(1, 1)).unwrap();
    assert_eq!(store.get(ORDER, &[text("a")]).unwrap(), Some(with(0.0)));
    drop(store);
    let mut store = read_model.open();
    assert_eq!(store.get(ORDER, &[text("a")]).unwrap(), Some(with(0.0)));
}

pub(in crate::store) fn composite_keys_tell_rows_apart<M: ReadModel>() {
    let row = |a: &str, n, note: &[u8]| vec![text(a), Value::Integer(n), Value::Blob(note.into())];
    let rows = [
        row("x", 1, b"1"),
        row("x", 2, b"2"),
        row("y", 1, b"3"),
        row("", -7, b""),
    ];
    comes_back::<M>(PAIRS, &rows);
}

pub(in crate::store) fn a_table_of_nothing_but_a_key_can_be_written_twice<M: ReadModel>() {
    let (_read_model, mut store) = created::<M>();
    for sequence in 1..=2 {
        write(&mut store, MARKS, &[vec![text("a")]], &[]);
        store.commit(&at(sequence, 1)).unwrap();
    }
    assert_eq!(
        store.get(MARKS, &[text("a")]).unwrap(),
        Some(vec![text("a")])
    );
}

pub(in crate::store) fn find_gives_matches_in_the_order_of_the_key_up_to_the_limit<M: ReadModel>() {
    let (_read_model, mut store) = created::<M>();
    let wanted = ["", "B", "a", "a\0", "b", "é"].map(|id| noted(id, "x"));
    let mut shuffled = wanted.to_vec();
    shuffled.reverse();
    shuffled.push(noted("another", "y"));
    write(&mut store, ORDER, &shuffled, &[]);
    store.commit(&at(1, 1)).unwrap();
    for limit in [0, 1, 3, 6, usize::MAX] {
        let found = store
            .find(ORDER, BY_TEXT, &[text("x")], FindLimit::rows(limit))
            .unwrap();
        assert_eq!(found, wanted[..limit.min(6)]);
    }
}

pub(in crate::store) fn find_ends_behind_the_row_that_has_too_many_bytes<M: ReadModel>() {
    let (_read_model, mut store) = created::<M>();
    let rows = ["a", "b", "c"].map(|id| noted(id, "x"));
    write(&mut store, ORDER, &rows, &[]);
    let bytes: usize = rows[0].iter().map(Value::size).sum();
    for (limit, count) in [(0, 1), (bytes - 1, 1), (bytes, 2), (3 * bytes, 3)] {
        let limit = FindLimit {
            rows: 9,
            bytes: limit,
        };
        let found = store.find(ORDER, BY_TEXT, &[text("x")], limit).unwrap();
        assert_eq!(found, rows[..count]);
    }
}

pub(in crate::store) fn find_sees_what_is_not_committed<M: ReadModel>() {
    let (_read_model, mut store) = created::<M>();
    write(
        &mut store,
        ORDER,
        &["a", "b", "c"].map(|id| noted(id, "x")),
        &[],
    );
    store.commit(&at(1, 1)).unwrap();
    // One is added, one changes into the index, one out of it, one is deleted.
    write(
        &mut store,
        ORDER,
        &[noted("0", "x"), noted("a", "y")],
        &[vec![text("b")]],
    );
    let found = store
        .find(ORDER, BY_TEXT, &[text("x")], FindLimit::rows(9))
        .unwrap();
    assert_eq!(found, [noted("0", "x"), noted("c", "x")]);
    write(&mut store, ORDER, &[noted("a", "x")], &[]);
    assert_eq!(
        store
            .find(ORDER, BY_TEXT, &[text("x")], FindLimit::rows(9))
            .unwrap()
            .len(),
        3
    );
}

pub(in crate::store) fn find_takes_null_as_equal_to_null<M: ReadModel>() {
    let (_read_model, mut store) = created::<M>();
    let (yes, null, one) = (Value::Boolean(true), Value::Null, Value::Integer(1));
    let rows = [
        order("a", null.clone(), yes.clone(), null.clone()),
        order("b", null.clone(), yes.clone(), one.clone()),
        order("c", null.clone(), null.clone(), null.clone()),
    ];
    write(&mut store, ORDER, &rows, &[]);
    let mut find = |key: [&Value; 2]| {
        let found = store.find(
            ORDER,
            BY_FLAG_AND_COUNT,
            &key.map(Clone::clone),
            FindLimit::rows(9),
        );
        found.unwrap()
    };
    assert_eq!(find([&yes, &null]), rows[..1]);
    assert_eq!(find([&yes, &one]), rows[1..2]);
    assert_eq!(find([&null, &null]), rows[2..]);
    assert_eq!(find([&null, &one]), [] as [Row; 0]);
}

pub(in crate::store) fn a_table_is_empty_until_its_first_row<M: ReadModel>() {
    let (read_model, mut store) = created::<M>();
    assert!(store.is_empty(ORDER).unwrap());
    write(&mut store, ORDER, &[noted("a", "")], &[]);
    store.commit(&at(1, 1)).unwrap();
    drop(store);
    let mut store = read_model.open();
    assert!(!store.is_empty(ORDER).unwrap());
    assert!(store.is_empty(PAIRS).unwrap());
}

pub(in crate::store) fn a_row_that_keeps_its_place_in_the_indexes_is_found_there<M: ReadModel>() {
    let (_read_model, mut store) = created::<M>();
    let with_count = |note, count| order("a", text(note), Value::Null, Value::Integer(count));
    let mut rows = vec![with_count("x", 1), with_count("x", 2), with_count("y", 2)];
    let mut same_in_indexes = with_count("y", 2);
    same_in_indexes[6] = text("{}");
    rows.push(same_in_indexes.clone());
    for (sequence, row) in (1..).zip(rows) {
        let mut changes = Changes::new(3);
        let keeps_indexes = row == same_in_indexes;
        changes.put(ORDER, &row, keeps_indexes);
        store.write(&changes).unwrap();
        store.commit(&at(sequence, 1)).unwrap();
        assert_eq!(store.get(ORDER, &[text("a")]).unwrap(), Some(row.clone()));
        for note in ["x", "y"].map(text) {
            let found = store.find(
                ORDER,
                BY_TEXT,
                std::slice::from_ref(&note),
                FindLimit::rows(9),
            );
            assert_eq!(found.unwrap().len(), usize::from(row[4] == note));
        }
    }
}

//! Commits: rows and checkpoint together, by one writer only.

use super::*;
use crate::store::StoreError;

/// A read model with row "a" noted "old", committed at sequence 1.
fn with_one_commit<M: ReadModel>() -> (M, M::Store) {
    let read_model = M::create(&definition());
    let mut store = read_model.open();
    write(&mut store, ORDER, &[noted("a", "old")], &[]);
    store.commit(&at(1, 1)).unwrap();
    (read_model, store)
}

fn note_of_a(store: &mut impl ReadModelStore) -> Option<Row> {
    store.get(ORDER, &[text("a")]).unwrap()
}

pub(in crate::store) fn rows_and_checkpoint_come_back_together<M: ReadModel>() {
    let (read_model, mut store) = with_one_commit::<M>();
    assert_eq!(store.checkpoint(), Some(&at(1, 1)));
    write(&mut store, ORDER, &[noted("a", "new")], &[]);
    store.commit(&at(2, 1)).unwrap();
    assert_eq!(store.checkpoint(), Some(&at(2, 1)));
    drop(store);
    let mut store = read_model.open();
    assert_eq!(
        store.checkpoint().map(Checkpoint::position),
        Some(at(2, 1).position())
    );
    assert_eq!(note_of_a(&mut store), Some(noted("a", "new")));
}

pub(in crate::store) fn a_checkpoint_moves_without_rows<M: ReadModel>() {
    let (read_model, mut store) = with_one_commit::<M>();
    store.write(&Changes::new(3)).unwrap();
    for sequence in 2..=4 {
        store.commit(&at(sequence, 1)).unwrap();
    }
    drop(store);
    let mut store = read_model.open();
    assert_eq!(store.checkpoint(), Some(&at(4, 2)));
    assert_eq!(note_of_a(&mut store), Some(noted("a", "old")));
}

pub(in crate::store) fn what_was_not_committed_is_gone_after_a_crash<M: ReadModel>() {
    let (read_model, mut store) = with_one_commit::<M>();
    write(
        &mut store,
        ORDER,
        &[noted("a", "new"), noted("b", "new")],
        &[],
    );
    drop(store);
    let mut store = read_model.open();
    assert_eq!(store.checkpoint(), Some(&at(1, 2)));
    assert_eq!(note_of_a(&mut store), Some(noted("a", "old")));
    assert_eq!(store.get(ORDER, &[text("b")]).unwrap(), None);
    assert_eq!(
        store
            .find(ORDER, BY_TEXT, &[text("new")], FindLimit::rows(9))
            .unwrap(),
        [] as [Row; 0]
    );
}

pub(in crate::store) fn rollback_restores_the_last_commit<M: ReadModel>() {
    let (_read_model, mut store) = with_one_commit::<M>();
    for _ in 0..2 {
        write(&mut store, ORDER, &[noted("b", "new")], &[vec![text("a")]]);
        assert_eq!(note_of_a(&mut store), None);
        store.rollback().unwrap();
        assert_eq!(note_of_a(&mut store), Some(noted("a", "old")));
        assert_eq!(store.get(ORDER, &[text("b")]).unwrap(), None);
        assert_eq!(
            store
                .find(ORDER, BY_TEXT, &[text("old")], FindLimit::rows(9))
                .unwrap(),
            [noted("a", "old")]
        );
    }
    store.rollback().unwrap();
    store.commit(&at(2, 1)).unwrap();
    assert_eq!(note_of_a(&mut store), Some(noted("a", "old")));
}

pub(in crate::store) fn every_opening_counts_the_epoch_up<M: ReadModel>() {
    let (read_model, store) = with_one_commit::<M>();
    drop(store);
    for epoch in 2..5 {
        let mut store = read_model.open();
        assert_eq!(store.checkpoint(), Some(&at(epoch - 1, epoch)));
        store.commit(&at(epoch, epoch)).unwrap();
    }
}

pub(in crate::store) fn an_older_writer_is_refused_and_leaves_nothing<M: ReadModel>() {
    let (read_model, mut older) = with_one_commit::<M>();
    let mut newer = read_model.open();
    write(
        &mut older,
        ORDER,
        &[noted("a", "older"), noted("b", "older")],
        &[],
    );
    let refused = older.commit(&at(2, 1)).unwrap_err();
    let StoreError::CheckpointMoved { expected, found } = &refused else {
        panic!("{refused:?}")
    };
    assert_eq!(
        (expected.as_ref(), found.as_ref()),
        (&Some(at(1, 1)), &Some(at(1, 2)))
    );
    assert!(refused.to_string().contains("epoch 2"), "{refused}");
    assert_eq!(note_of_a(&mut newer), Some(noted("a", "old")));
    write(&mut newer, ORDER, &[noted("a", "newer")], &[]);
    newer.commit(&at(2, 2)).unwrap();
    drop((older, newer));
    let mut store = read_model.open();
    assert_eq!(note_of_a(&mut store), Some(noted("a", "newer")));
    assert_eq!(store.get(ORDER, &[text("b")]).unwrap(), None);
}

pub(in crate::store) fn of_two_writers_on_an_empty_read_model_the_first_commit_wins<
    M: ReadModel,
>() {
    let read_model = M::create(&definition());
    let (mut first, mut second) = (read_model.open(), read_model.open());
    write(&mut second, ORDER, &[noted("a", "second")], &[]);
    second.commit(&at(1, 1)).unwrap();
    write(&mut first, ORDER, &[noted("a", "first")], &[]);
    let refused = first.commit(&at(1, 1));
    assert!(matches!(refused, Err(StoreError::CheckpointMoved { .. })));
    assert_eq!(
        note_of_a(&mut read_model.open()),
        Some(noted("a", "second"))
    );
}

fn not_a_number() -> Changes {
    let mut row = noted("b", "");
    row[3] = Value::Real(f64::NAN);
    let mut changes = Changes::new(3);
    changes.delete(ORDER, &vec![text("a")]);
    changes.put(ORDER, &row, false);
    changes
}

pub(in crate::store) fn a_real_that_is_no_number_is_refused_by_name<M: ReadModel>() {
    let (_read_model, mut store) = with_one_commit::<M>();
    let refused = store.write(&not_a_number()).unwrap_err();
    assert!(
        refused.to_string().contains("column order.real"),
        "{refused}"
    );
}

pub(in crate::store) fn after_a_failed_write_only_a_rollback_helps<M: ReadModel>() {
    let (_read_model, mut store) = with_one_commit::<M>();
    store.write(&not_a_number()).unwrap_err();
    write(&mut store, ORDER, &[noted("c", "")], &[]);
    let refused = store.commit(&at(2, 1));
    assert!(matches!(refused, Err(StoreError::RollBackFirst)));
    store.rollback().unwrap();
    write(&mut store, ORDER, &[noted("d", "")], &[]);
    store.commit(&at(2, 1)).unwrap();
    assert_eq!(note_of_a(&mut store), Some(noted("a", "old")));
    assert_eq!(store.get(ORDER, &[text("c")]).unwrap(), None);
    assert_eq!(
        store.get(ORDER, &[text("d")]).unwrap(),
        Some(noted("d", ""))
    );
}

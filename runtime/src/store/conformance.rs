//! What every store must do, whatever it is made of. A store's own test file names it in
//! [`conformance_suite`] and adds only what is special about it.

use super::{Checkpoint, FindLimit, ReadModelStore};
use crate::changes::{Change, Changes};
use crate::definition::{Column, ColumnType, Definition, EventKey, Table};
use crate::event::Sequence;
use crate::value::{Key, Packed, Row, Value};

pub(super) mod commits;
pub(super) mod dead_letters;
pub(super) mod model;
pub(super) mod rows;

/// The durable side of a store: what is left when its writer is gone.
pub(super) trait ReadModel {
    type Store: ReadModelStore;

    /// An empty one.
    fn create(definition: &Definition) -> Self;

    /// A new writer, as after a restart. Dropping the last one without a commit is the crash.
    fn open(&self) -> Self::Store;
}

/// Makes one `#[test]` of every promise for a [`ReadModel`].
macro_rules! conformance_suite {
    ($read_model:ty) => {
        $crate::store::conformance::conformance_suite! { $read_model:
            rows::what_was_written_is_read_before_the_commit,
            rows::what_was_deleted_is_gone_before_the_commit,
            rows::the_last_write_of_a_key_wins,
            rows::every_value_comes_back_as_it_was,
            rows::zero_comes_back_without_a_sign_at_any_time,
            rows::composite_keys_tell_rows_apart,
            rows::a_table_of_nothing_but_a_key_can_be_written_twice,
            rows::find_gives_matches_in_the_order_of_the_key_up_to_the_limit,
            rows::find_ends_behind_the_row_that_has_too_many_bytes,
            rows::find_sees_what_is_not_committed,
            rows::find_takes_null_as_equal_to_null,
            commits::rows_and_checkpoint_come_back_together,
            commits::a_checkpoint_moves_without_rows,
            commits::what_was_not_committed_is_gone_after_a_crash,
            commits::rollback_restores_the_last_commit,
            commits::every_opening_counts_the_epoch_up,
            commits::an_older_writer_is_refused_and_leaves_nothing,
            commits::of_two_writers_on_an_empty_read_model_the_first_commit_wins,
            commits::a_real_that_is_no_number_is_refused_by_name,
            commits::after_a_failed_write_only_a_rollback_helps,
            dead_letters::what_is_set_aside_is_committed_with_the_rows_or_not_at_all,
            dead_letters::held_events_come_by_key_in_order_and_within_the_limits,
            rows::a_table_is_empty_until_its_first_row,
            rows::a_row_that_keeps_its_place_in_the_indexes_is_found_there,
            model::random_operations_agree_with_a_plain_map,
            model::random_operations_agree_with_a_plain_map_when_few_rows_are_kept,
        }
    };
    ($read_model:ty: $($module:ident :: $promise:ident),* $(,)?) => {
        $(
            #[test]
            fn $promise() {
                $crate::store::conformance::$module::$promise::<$read_model>();
            }
        )*
    };
}
pub(super) use conformance_suite;

/// Table 0: one key column, a nullable column of every type, two indexes; its names are words of SQL.
pub(super) const ORDER: usize = 0;
/// Table 1: a key of two columns, in another order than the row's.
pub(super) const PAIRS: usize = 1;
/// Table 2: a key and nothing else.
pub(super) const MARKS: usize = 2;

/// Indexes of [`ORDER`].
pub(super) const BY_TEXT: usize = 0;
pub(super) const BY_FLAG_AND_COUNT: usize = 1;

pub(super) fn definition() -> Definition {
    use ColumnType::{Blob, Boolean, Integer, Json, Real, Text};
    let order = [
        ("select", Text, false),
        ("flag", Boolean, true),
        ("count", Integer, true),
        ("real", Real, true),
        ("text", Text, true),
        ("blob", Blob, true),
        ("json", Json, true),
    ];
    let pairs = [
        ("a", Text, false),
        ("n", Integer, false),
        ("note", Blob, false),
    ];
    Definition {
        name: "conformance".into(),
        version: 3,
        subjects: vec!["orders.>".into()],
        key: EventKey::None,
        tables: vec![
            table("order", &order, &[0], &[&[4], &[1, 2]]),
            table("pairs", &pairs, &[1, 0], &[]),
            table("marks", &[("id", Text, false)], &[0], &[]),
        ],
    }
}

fn table(
    name: &str,
    columns: &[(&str, ColumnType, bool)],
    key: &[usize],
    indexes: &[&[usize]],
) -> Table {
    let column = |&(name, ty, nullable): &(&str, _, _)| Column {
        name: name.to_owned(),
        ty,
        nullable,
    };
    Table {
        name: name.to_owned(),
        columns: columns.iter().map(column).collect(),
        key: key.to_vec(),
        indexes: indexes.iter().map(|index| index.to_vec()).collect(),
    }
}

pub(super) fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

/// A row of [`ORDER`] with the columns that its indexes are about.
pub(super) fn order(id: &str, note: Value, flag: Value, count: Value) -> Row {
    let null = Value::Null;
    vec![
        text(id),
        flag,
        count,
        null.clone(),
        note,
        null.clone(),
        null,
    ]
}

/// A row of [`ORDER`] told apart by its text.
pub(super) fn noted(id: &str, note: &str) -> Row {
    order(id, text(note), Value::Boolean(true), Value::Integer(1))
}

pub(super) fn at(sequence: Sequence, epoch: u64) -> Checkpoint {
    Checkpoint {
        stream: "ORDERS".into(),
        sequence,
        anchor: sequence.cast_signed() * 1_000,
        epoch,
    }
}

impl Changes {
    pub(super) fn put(&mut self, table: usize, row: &Row, keeps_indexes: bool) {
        let key = Packed::from(definition().tables[table].key_of(row));
        self.push(
            table,
            Change {
                key: &key,
                row: Some(&Packed::from(row)),
                keeps_indexes,
            },
        );
    }

    pub(super) fn delete(&mut self, table: usize, key: &Key) {
        self.push(
            table,
            Change {
                key: &Packed::from(key),
                row: None,
                keeps_indexes: false,
            },
        );
    }
}

pub(super) fn write(store: &mut impl ReadModelStore, table: usize, puts: &[Row], deletes: &[Key]) {
    let mut changes = Changes::new(definition().tables.len());
    for row in puts {
        changes.put(table, row, false);
    }
    for key in deletes {
        changes.delete(table, key);
    }
    store.write(&changes).unwrap();
}

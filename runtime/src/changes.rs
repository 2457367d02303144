//! What a guest asked to change, ready for the store: one change per key.

use foldline_row::Field;

use crate::value::{compare, fields};

/// What becomes of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change<'c> {
    /// The primary key, packed.
    pub key: &'c [u8],
    /// The row that stands there from now on, packed; none: nothing does.
    pub row: Option<&'c [u8]>,
    /// Whether the store is known to hold a row there that has the same values in all secondary indexes. Then these
    /// need no change.
    pub keeps_indexes: bool,
}

/// Changes of all tables of a projection, at most one per key.
#[derive(Debug, Default)]
pub struct Changes {
    /// Keys and rows, one after the other: copied, so that the thread of a commit shares no memory and no count of
    /// references with that of the guest.
    bytes: Vec<u8>,
    tables: Vec<Vec<Place>>,
}

/// Where a change stands.
#[derive(Debug, Clone, Copy)]
struct Place {
    key: usize,
    row: usize,
    end: usize,
    has_row: bool,
    keeps_indexes: bool,
}

impl Changes {
    /// None yet, for a projection with `tables` tables.
    pub fn new(tables: usize) -> Self {
        Self::with_room(tables, 0)
    }

    /// The same with room for `bytes` of keys and rows, so that they need not be moved while more are added.
    pub fn with_room(tables: usize, bytes: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(bytes),
            tables: vec![Vec::new(); tables],
        }
    }

    /// Adds the only change of its key.
    pub fn push(&mut self, table: usize, change: Change<'_>) {
        let key = self.bytes.len();
        self.bytes.extend_from_slice(change.key);
        let row = self.bytes.len();
        self.bytes.extend_from_slice(change.row.unwrap_or_default());
        self.tables[table].push(Place {
            key,
            row,
            end: self.bytes.len(),
            has_row: change.row.is_some(),
            keeps_indexes: change.keeps_indexes,
        });
    }

    /// Number of keys that change.
    pub fn len(&self) -> usize {
        self.tables.iter().map(Vec::len).sum()
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.tables.iter().all(Vec::is_empty)
    }

    /// The changes of one table in the order of their keys: the order in which a B-tree likes to be written.
    pub fn sorted(&self, table: usize) -> Vec<Change<'_>> {
        let places = &self.tables[table];
        let same = self.same_beginning(places);
        let rank = |place: &Place| rank(self.key(place), same);
        let mut order: Vec<_> = places.iter().map(|place| (rank(place), place)).collect();
        order.sort_unstable_by(|(a_rank, a), (b_rank, b)| {
            let by_key = || compare(self.key(a), self.key(b));
            a_rank.cmp(b_rank).then_with(by_key)
        });
        let changes = order.into_iter().map(|(_, place)| self.change(place));
        changes.collect()
    }

    fn key(&self, place: &Place) -> &[u8] {
        &self.bytes[place.key..place.row]
    }

    fn change(&self, place: &Place) -> Change<'_> {
        let row = &self.bytes[place.row..place.end];
        Change {
            key: self.key(place),
            row: place.has_row.then_some(row),
            keeps_indexes: place.keeps_indexes,
        }
    }

    /// How many bytes are the same at the beginning of all keys whose first column is text or a blob.
    fn same_beginning(&self, places: &[Place]) -> usize {
        let keys = places.iter().map(|place| self.key(place));
        let mut texts = keys.filter_map(first_text);
        let Some(first) = texts.next() else { return 0 };
        texts.fold(first.len(), |same, text| {
            let pairs = first[..same].iter().zip(text);
            pairs.take_while(|(a, b)| a == b).count()
        })
    }
}

/// A number that orders keys as far as it goes, taken from their first column: where that differs from key to key, no two
/// keys have to be read and compared.
fn rank(key: &[u8], same_beginning: usize) -> u64 {
    match fields(key).next() {
        Some(Field::Integer(integer)) => integer.cast_unsigned() ^ (1 << 63),
        Some(Field::Boolean(boolean)) => u64::from(boolean),
        Some(Field::Text(text) | Field::Blob(text)) => {
            let rest = text.get(same_beginning..).unwrap_or_default();
            let mut first = [0; size_of::<u64>()];
            let length = rest.len().min(first.len());
            first[..length].copy_from_slice(&rest[..length]);
            u64::from_be_bytes(first)
        }
        _ => 0,
    }
}

fn first_text(key: &[u8]) -> Option<&[u8]> {
    match fields(key).next() {
        Some(Field::Text(text) | Field::Blob(text)) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::{Packed, Value};

    /// The keys in the order in which their changes are given.
    fn sorted(keys: &[Vec<Value>]) -> Vec<Vec<Value>> {
        let mut changes = Changes::new(2);
        for key in keys {
            changes.push(
                1,
                Change {
                    key: &Packed::from(key),
                    row: None,
                    keeps_indexes: false,
                },
            );
        }
        assert_eq!(changes.len(), keys.len());
        assert!(changes.sorted(0).is_empty());
        let values = |change: &Change<'_>| fields(change.key).map(Value::from).collect();
        changes.sorted(1).iter().map(values).collect()
    }

    #[test]
    fn changes_are_given_in_the_order_of_their_keys() {
        let text = |text: &str| Value::Text(text.into());
        let texts = [
            "order-1",
            "order-10",
            "order-",
            "order-10\0",
            "order-9",
            "order-123456789",
            "order-123456788",
        ];
        let alike = ["a", "ä", "", "\0", "aaaaaaaaaaaaaaaaaaa"];
        let numbers = [0, -1, 1, i64::MIN, i64::MAX, 256];
        let of_two = |first: &str| numbers.map(|second| vec![text(first), Value::Integer(second)]);
        for mut keys in [
            texts.map(|key| vec![text(key)]).to_vec(),
            alike.map(|key| vec![text(key)]).to_vec(),
            numbers.map(|key| vec![Value::Integer(key)]).to_vec(),
            [true, false].map(|key| vec![Value::Boolean(key)]).to_vec(),
            alike.map(|key| vec![Value::Blob(key.into())]).to_vec(),
            [of_two("b"), of_two("a")].concat(),
        ] {
            let given = sorted(&keys);
            keys.sort();
            assert_eq!(given, keys);
        }
    }
}

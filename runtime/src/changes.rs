//! What a guest asked to change since the last commit: one entry per key, the last one wins.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::value::{Key, Row, Value};

/// What becomes of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The row that stands there from now on.
    Put(Row),
    /// Nothing stands there any more.
    Delete,
}

impl Change {
    /// The row that stands there afterwards, if one does.
    pub fn row(&self) -> Option<&Row> {
        match self {
            Self::Put(row) => Some(row),
            Self::Delete => None,
        }
    }

    /// The row that stands there afterwards, if one does.
    pub fn into_row(self) -> Option<Row> {
        match self {
            Self::Put(row) => Some(row),
            Self::Delete => None,
        }
    }
}

/// Pending changes of all tables of a projection, coalesced per key.
#[derive(Debug, Default)]
pub struct Changes {
    tables: Vec<HashMap<Key, Change, foldhash::fast::RandomState>>,
    bytes: usize,
}

impl Changes {
    /// None yet, for a projection with `tables` tables.
    pub fn new(tables: usize) -> Self {
        Self {
            tables: vec![HashMap::default(); tables],
            bytes: 0,
        }
    }

    /// What was asked for `key`, if anything.
    pub fn get(&self, table: usize, key: &[Value]) -> Option<&Change> {
        self.tables[table].get(key)
    }

    /// Asks for a change. A real `-0.0` becomes `0.0`, because SQLite keeps no sign of zero: what a guest
    /// reads back must not depend on whether a commit lay in between.
    pub fn insert(&mut self, table: usize, key: Key, mut change: Change) {
        drop_signs_of_zero(&mut change);
        self.bytes += size(&change);
        match self.tables[table].entry(key) {
            Entry::Occupied(mut entry) => self.bytes -= size(&entry.insert(change)),
            Entry::Vacant(entry) => {
                self.bytes += key_size(entry.key());
                entry.insert(change);
            }
        }
    }

    /// Number of keys that change.
    pub fn len(&self) -> usize {
        self.tables.iter().map(HashMap::len).sum()
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.tables.iter().all(HashMap::is_empty)
    }

    /// Bytes of memory the keys and rows occupy, roughly.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The changes of one table in the order of their keys: the order in which a B-tree likes to be written.
    pub fn sorted(&self, table: usize) -> Vec<(&Key, &Change)> {
        let mut entries: Vec<_> = self.tables[table].iter().collect();
        entries.sort_unstable_by_key(|(key, _)| *key);
        entries
    }

    /// Takes over later changes of the same projection; `later` is empty afterwards.
    pub fn append(&mut self, later: &mut Self) {
        if self.is_empty() {
            // The usual case. Swapping also gives the memory of the last commit back to be filled again.
            std::mem::swap(self, later);
            return;
        }
        for (table, key, change) in later.drain() {
            self.insert(table, key, change);
        }
    }

    /// Takes all changes, each with the position of its table, in no particular order.
    pub fn drain(&mut self) -> impl Iterator<Item = (usize, Key, Change)> + '_ {
        self.bytes = 0;
        let tables = self.tables.iter_mut().enumerate();
        tables.flat_map(|(table, changes)| {
            changes
                .drain()
                .map(move |(key, change)| (table, key, change))
        })
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.tables.iter_mut().for_each(HashMap::clear);
        self.bytes = 0;
    }
}

fn drop_signs_of_zero(change: &mut Change) {
    let Change::Put(row) = change else { return };
    for value in row {
        if let Value::Real(real) = value
            && *real == 0.0
        {
            *real = 0.0;
        }
    }
}

fn size(change: &Change) -> usize {
    change.row().into_iter().flatten().map(Value::size).sum()
}

fn key_size(key: &[Value]) -> usize {
    key.iter().map(Value::size).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Key {
        vec![Value::Text(text.into())]
    }

    #[test]
    fn the_last_change_of_a_key_wins_and_its_bytes_are_counted_once() {
        let mut changes = Changes::new(1);
        changes.insert(0, key("a"), Change::Put(key("first")));
        changes.insert(0, key("a"), Change::Delete);
        assert_eq!(changes.get(0, &key("a")), Some(&Change::Delete));
        assert_eq!(changes.len(), 1);
        assert_eq!(changes.bytes(), key("a")[0].size());
    }

    #[test]
    fn changes_are_given_in_the_order_of_their_keys() {
        let mut changes = Changes::new(2);
        for name in ["c", "a", "b"] {
            changes.insert(1, key(name), Change::Delete);
        }
        let keys: Vec<_> = changes.sorted(1).into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, [&key("a"), &key("b"), &key("c")]);
        assert!(changes.sorted(0).is_empty());
    }

    #[test]
    fn appended_changes_replace_earlier_ones_of_their_keys() {
        let (mut earlier, mut later) = (Changes::new(1), Changes::new(1));
        for (changes, text) in [(&mut earlier, "old"), (&mut later, "new")] {
            changes.insert(0, key("both"), Change::Put(key(text)));
            changes.insert(0, key(text), Change::Delete);
        }
        earlier.append(&mut later);
        assert!(later.is_empty());
        assert_eq!((earlier.len(), later.bytes()), (3, 0));
        assert_eq!(earlier.get(0, &key("both")), Some(&Change::Put(key("new"))));
    }

    #[test]
    fn drained_changes_are_gone() {
        let mut changes = Changes::new(2);
        changes.insert(1, key("a"), Change::Delete);
        let drained: Vec<_> = changes.drain().collect();
        assert_eq!(drained, [(1, key("a"), Change::Delete)]);
        assert!(changes.is_empty());
        assert_eq!(changes.bytes(), 0);
    }

    #[test]
    fn zero_has_no_sign() {
        let mut changes = Changes::new(1);
        changes.insert(0, key("a"), Change::Put(vec![Value::Real(-0.0)]));
        let zero = Change::Put(vec![Value::Real(0.0)]);
        assert_eq!(changes.get(0, &key("a")), Some(&zero));
    }
}

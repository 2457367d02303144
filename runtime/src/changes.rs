//! What a guest asked to change since the last commit: one entry per key, the last one wins.

use std::collections::HashMap;

use crate::value::{Key, Row, Value};

/// What becomes of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The row that stands there from now on.
    Put(Row),
    /// Nothing stands there any more.
    Delete,
}

/// Pending changes of all tables of a projection, coalesced per key.
#[derive(Debug, Default)]
pub struct Changes {
    tables: Vec<HashMap<Key, Change>>,
    bytes: usize,
}

impl Changes {
    /// None yet, for a projection with `tables` tables.
    pub fn new(tables: usize) -> Self {
        Self {
            tables: vec![HashMap::new(); tables],
            bytes: 0,
        }
    }

    /// What was asked for `key`, if anything.
    pub fn get(&self, table: usize, key: &[Value]) -> Option<&Change> {
        self.tables[table].get(key)
    }

    /// Asks for a change.
    pub fn insert(&mut self, table: usize, key: Key, change: Change) {
        self.bytes += size(&key, &change);
        if let Some((old_key, old)) = self.tables[table].remove_entry(key.as_slice()) {
            self.bytes -= size(&old_key, &old);
        }
        self.tables[table].insert(key, change);
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

    /// Takes all changes of one table, sorted by key: the order in which a B-tree likes to be written.
    pub fn take_sorted(&mut self, table: usize) -> Vec<(Key, Change)> {
        let mut entries: Vec<_> = std::mem::take(&mut self.tables[table])
            .into_iter()
            .collect();
        entries.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        self.bytes -= entries
            .iter()
            .map(|(key, change)| size(key, change))
            .sum::<usize>();
        entries
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.tables.iter_mut().for_each(HashMap::clear);
        self.bytes = 0;
    }
}

fn size(key: &[Value], change: &Change) -> usize {
    let row = match change {
        Change::Put(row) => row.iter().map(Value::size).sum(),
        Change::Delete => 0,
    };
    row + key.iter().map(Value::size).sum::<usize>()
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
    fn taken_changes_are_sorted_by_key_and_gone() {
        let mut changes = Changes::new(2);
        for name in ["c", "a", "b"] {
            changes.insert(1, key(name), Change::Delete);
        }
        let keys: Vec<_> = changes
            .take_sorted(1)
            .into_iter()
            .map(|(key, _)| key)
            .collect();
        assert_eq!(keys, [key("a"), key("b"), key("c")]);
        assert!(changes.is_empty());
        assert_eq!(changes.bytes(), 0);
    }
}

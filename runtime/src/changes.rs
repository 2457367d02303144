//! What a guest asked to change, ready for the store: one change per key.

use crate::value::{Packed, PackedKey};

/// What becomes of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The primary key.
    pub key: PackedKey,
    /// The row that stands there from now on; none: nothing does.
    pub row: Option<Packed>,
    /// Whether the store is known to hold a row there that has the same values in all secondary indexes. Then these
    /// need no change.
    pub keeps_indexes: bool,
}

/// Changes of all tables of a projection, at most one per key.
#[derive(Debug, Default)]
pub struct Changes {
    tables: Vec<Vec<Change>>,
}

impl Changes {
    /// None yet, for a projection with `tables` tables.
    pub fn new(tables: usize) -> Self {
        Self {
            tables: vec![Vec::new(); tables],
        }
    }

    /// Adds the only change of its key.
    pub fn push(&mut self, table: usize, change: Change) {
        self.tables[table].push(change);
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
    pub fn sorted(&mut self, table: usize) -> &[Change] {
        let changes = &mut self.tables[table];
        changes.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value;

    fn change(key: &str) -> Change {
        Change {
            key: PackedKey::from([Value::Text(key.into())]),
            row: None,
            keeps_indexes: false,
        }
    }

    #[test]
    fn changes_are_given_in_the_order_of_their_keys() {
        let mut changes = Changes::new(2);
        for name in ["c", "a", "b"] {
            changes.push(1, change(name));
        }
        assert_eq!(changes.len(), 3);
        assert_eq!(changes.sorted(1), [change("a"), change("b"), change("c")]);
        assert!(changes.sorted(0).is_empty());
    }
}

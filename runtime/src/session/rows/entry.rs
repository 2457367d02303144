//! One key with what is known of it. There are hundreds of thousands of them, so this is small, and key and row stand in
//! one piece: whoever looks one up wants the other next.

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};

/// Memory of an entry beside key and row, roughly: its slots in the table, of which some are always free.
const OVERHEAD_BYTES: usize = 96;

/// What a change takes beside key and row, roughly.
const CHANGE_OVERHEAD_BYTES: usize = 32;

/// Compared and hashed as its key.
#[derive(Debug)]
pub(super) struct Entry {
    /// The key, and behind it the row where one is known.
    bytes: Vec<u8>,
    key_bytes: u32,
    pub(super) known: Known,
    /// Whether it is to be taken to the store.
    pub(super) changed: bool,
    /// Whether the row that the store holds has the same values in all secondary indexes. Found out when the row is
    /// replaced: later, at the commit, the old one would be gone.
    pub(super) keeps_indexes: bool,
    /// Sweeps since it was last used.
    pub(super) age: u8,
}

/// What is known of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::session) enum Known {
    /// A row stands there.
    Row,
    /// Nothing stands there.
    Nothing,
    /// The store has to be asked.
    Unknown,
}

impl Entry {
    /// It is known that `row` stands under `key`, or nothing.
    pub(super) fn new(key: &[u8], row: Option<&[u8]>) -> Self {
        let mut bytes = Vec::with_capacity(room(key.len() + row.map_or(0, <[u8]>::len)));
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(row.unwrap_or_default());
        Self {
            bytes,
            key_bytes: key.len() as u32, // A guest has 32-bit memory.
            known: Known::of(row),
            changed: false,
            keeps_indexes: false,
            age: 0,
        }
    }

    pub(super) fn key(&self) -> &[u8] {
        &self.bytes[..self.key_bytes as usize]
    }

    /// The row that is known to stand there, if any.
    pub(super) fn row(&self) -> Option<&[u8]> {
        let row = &self.bytes[self.key_bytes as usize..];
        (self.known == Known::Row).then_some(row)
    }

    /// From now on it is known that `row` stands there, or nothing. Written over the row before where there is room.
    pub(super) fn replace(&mut self, row: Option<&[u8]>) {
        self.known = Known::of(row);
        self.bytes.truncate(self.key_bytes as usize);
        let row = row.unwrap_or_default();
        let room = room(self.bytes.len() + row.len());
        if self.bytes.capacity() < room {
            self.bytes.reserve_exact(room - self.bytes.len());
        }
        self.bytes.extend_from_slice(row);
        if self.bytes.capacity() > 2 * room {
            self.bytes.shrink_to(room);
        }
    }

    /// What its change is for the store, in bytes, roughly.
    pub(super) fn change_bytes(&self) -> usize {
        CHANGE_OVERHEAD_BYTES + self.bytes.len()
    }

    /// Bytes of memory, roughly.
    pub(super) fn size(&self) -> usize {
        OVERHEAD_BYTES + self.bytes.capacity()
    }
}

/// What jemalloc gives for so many bytes anyway: it knows four sizes between one power of two and the next.
fn room(bytes: usize) -> usize {
    let step = bytes.next_power_of_two() / 8;
    bytes.next_multiple_of(step.max(16))
}

impl Known {
    fn of(row: Option<&[u8]>) -> Self {
        match row {
            Some(_) => Self::Row,
            None => Self::Nothing,
        }
    }
}

impl Borrow<[u8]> for Entry {
    fn borrow(&self) -> &[u8] {
        self.key()
    }
}

impl Hash for Entry {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Entry {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_and_row_stay_apart_whatever_the_lengths_and_memory_is_given_back() {
        let mut entry = Entry::new(b"key", Some(b"row"));
        for bytes in [0, 5, 4_000, 4_001, 30, 0] {
            let row = vec![7; bytes];
            entry.replace(Some(&row));
            assert_eq!((entry.key(), entry.row()), (&b"key"[..], Some(&*row)));
            let most = OVERHEAD_BYTES + 2 * (3 + bytes).next_power_of_two().max(16);
            assert!(entry.size() <= most, "{bytes} bytes take {}", entry.size());
        }
        entry.replace(None);
        assert_eq!((entry.key(), entry.row()), (&b"key"[..], None));
    }

    #[test]
    fn a_row_that_grows_a_little_stays_where_it_is() {
        let mut entry = Entry::new(b"key", Some(&[7; 140]));
        let before = entry.bytes.as_ptr();
        entry.replace(Some(&[7; 157]));
        assert_eq!(entry.bytes.as_ptr(), before);
    }
}

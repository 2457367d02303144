//! Committed rows kept in memory, within a limit of bytes.

use std::collections::HashMap;

use crate::value::{Key, Row, Value};

/// Ages that are told apart when room must be made: 0 is "used since the last sweep".
const AGES: usize = 8;

/// Memory of an entry beside its values, roughly: its slot in the table and the heads of its allocations.
const ENTRY_OVERHEAD_BYTES: usize = 128;

/// What the cache knows of a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Cached<'a> {
    /// This row stands there.
    Row(&'a Row),
    /// Nothing stands there.
    Absent,
    /// Ask the database.
    Unknown,
}

/// Committed rows of all tables, the least recently used dropped first.
///
/// A table is complete while all its rows are here: from the moment when it was empty until the first of
/// its rows is dropped. In a complete table, what is not here does not exist. That is why this is no
/// general cache from a library: they do not say reliably whether they have dropped something.
#[derive(Debug)]
pub(super) struct RowCache {
    tables: Vec<TableRows>,
    bytes: usize,
    limit_bytes: usize,
}

#[derive(Debug)]
struct TableRows {
    complete: bool,
    entries: HashMap<Key, Entry, foldhash::fast::RandomState>,
}

#[derive(Debug)]
struct Entry {
    /// None: nothing stands there. Only remembered where the table is not complete.
    row: Option<Row>,
    /// Sweeps since it was last used.
    age: u8,
}

impl RowCache {
    /// Nothing yet; `empty` says of each table whether it has no rows.
    pub(super) fn new(empty: impl IntoIterator<Item = bool>, limit_bytes: usize) -> Self {
        let table = |complete| TableRows {
            complete,
            entries: HashMap::default(),
        };
        Self {
            tables: empty.into_iter().map(table).collect(),
            bytes: 0,
            limit_bytes,
        }
    }

    /// What is known of `key`.
    pub(super) fn get(&mut self, table: usize, key: &[Value]) -> Cached<'_> {
        let table = &mut self.tables[table];
        let Some(entry) = table.entries.get_mut(key) else {
            return if table.complete {
                Cached::Absent
            } else {
                Cached::Unknown
            };
        };
        entry.age = 0;
        match &entry.row {
            Some(row) => Cached::Row(row),
            None => Cached::Absent,
        }
    }

    /// Remembers what is committed under `key`: a row, or that there is none.
    pub(super) fn insert(&mut self, table: usize, key: Key, row: Option<Row>) {
        let table = &mut self.tables[table];
        if row.is_none() && table.complete {
            if let Some((key, old)) = table.entries.remove_entry(key.as_slice()) {
                self.bytes -= size(&key, &old);
            }
            return;
        }
        let entry = Entry { row, age: 0 };
        self.bytes += size(&key, &entry);
        // The key that is already there stays, and is as large as the one that came.
        let key_bytes = key.iter().map(Value::size).sum::<usize>();
        if let Some(old) = table.entries.insert(key, entry) {
            self.bytes -= key_bytes + size(&[], &old);
        }
        if self.bytes > self.limit_bytes {
            self.sweep();
        }
    }

    /// Makes room: the longest unused entries go until a quarter of the limit is free. Sweeping rarely and
    /// far costs less than keeping a list in the order of use with every look-up.
    fn sweep(&mut self) {
        let (cut, mut room) = self.cut(self.limit_bytes / 4 * 3);
        let bytes = &mut self.bytes;
        for table in &mut self.tables {
            let complete = &mut table.complete;
            table.entries.retain(|key, entry| {
                let (age, size) = (usize::from(entry.age), size(key, entry));
                let fits = age < cut || (age == cut && size <= room);
                if !fits {
                    *bytes -= size;
                    *complete = false;
                } else if age == cut {
                    room -= size;
                }
                entry.age = (entry.age + 1).min(AGES as u8 - 1);
                fits
            });
        }
    }

    /// The age of which only a part fits into `room` bytes together with all that is younger, and the room
    /// left for that part.
    fn cut(&self, mut room: usize) -> (usize, usize) {
        let mut by_age = [0; AGES];
        for (key, entry) in self.tables.iter().flat_map(|table| &table.entries) {
            by_age[usize::from(entry.age)] += size(key, entry);
        }
        for (age, bytes) in by_age.into_iter().enumerate() {
            match room.checked_sub(bytes) {
                Some(left) => room = left,
                None => return (age, room),
            }
        }
        (AGES, room)
    }
}

fn size(key: &[Value], entry: &Entry) -> usize {
    let values = key.iter().chain(entry.row.iter().flatten());
    ENTRY_OVERHEAD_BYTES + values.map(Value::size).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(i: i64) -> Key {
        vec![Value::Integer(i)]
    }

    fn entry_bytes() -> usize {
        let row = Some(key(0));
        size(&key(0), &Entry { row, age: 0 })
    }

    /// One table, empty at first, with room for `entries` rows of one integer.
    fn cache(entries: usize) -> RowCache {
        RowCache::new([true], entries * entry_bytes())
    }

    fn fill(cache: &mut RowCache, keys: std::ops::Range<i64>) {
        keys.for_each(|i| cache.insert(0, key(i), Some(key(i))));
    }

    fn known(cache: &mut RowCache, keys: std::ops::Range<i64>) -> usize {
        keys.filter(|&i| cache.get(0, &key(i)) == Cached::Row(&key(i)))
            .count()
    }

    #[test]
    fn what_is_not_there_is_absent_until_something_was_dropped() {
        let mut cache = cache(100);
        fill(&mut cache, 0..100);
        cache.insert(0, key(7), None);
        assert_eq!(cache.get(0, &key(7)), Cached::Absent);
        assert_eq!(cache.get(0, &key(500)), Cached::Absent);
        fill(&mut cache, 100..102);
        assert_eq!(cache.get(0, &key(500)), Cached::Unknown);
    }

    #[test]
    fn a_table_that_had_rows_is_not_complete_and_remembers_what_is_absent() {
        let mut cache = RowCache::new([false], 1_000_000);
        assert_eq!(cache.get(0, &key(1)), Cached::Unknown);
        cache.insert(0, key(1), None);
        assert_eq!(cache.get(0, &key(1)), Cached::Absent);
    }

    #[test]
    fn the_limit_holds_and_the_bytes_are_counted_right() {
        let mut cache = cache(100);
        for round in 0..20 {
            fill(&mut cache, round * 50..round * 50 + 90);
            cache.insert(0, key(round), None);
            let counted: usize = cache.tables[0]
                .entries
                .iter()
                .map(|(k, e)| size(k, e))
                .sum();
            assert_eq!(cache.bytes, counted);
            assert!(cache.bytes <= cache.limit_bytes);
        }
    }

    #[test]
    fn what_was_used_since_the_last_sweep_stays() {
        let mut cache = cache(100);
        fill(&mut cache, 0..101);
        let survivors: Vec<_> = (0..101)
            .filter(|&i| known(&mut cache, i..i + 1) == 1)
            .collect();
        assert_eq!(survivors.len(), 75);
        // Age everything by a sweep, then use twenty of the survivors and force another one.
        fill(&mut cache, 1_000..1_026);
        let used = &survivors[..20];
        let before: Vec<_> = used
            .iter()
            .filter(|&&i| known(&mut cache, i..i + 1) == 1)
            .collect();
        fill(&mut cache, 2_000..2_026);
        assert!(before.iter().all(|&&i| known(&mut cache, i..i + 1) == 1));
        assert!(known(&mut cache, 2_000..2_026) == 26);
    }

    #[test]
    fn a_row_larger_than_the_limit_is_not_kept() {
        let mut cache = cache(0);
        fill(&mut cache, 0..3);
        assert_eq!((known(&mut cache, 0..3), cache.bytes), (0, 0));
        assert_eq!(cache.get(0, &key(1)), Cached::Unknown);
    }
}

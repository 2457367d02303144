//! The rows of a read model in memory: what is committed, with what was asked for since on top.
//!
//! One entry per key holds the newest row. What is not committed is also listed, so that it can be taken to
//! the store, and each step of the current guest call is noted, so that a failed call can be undone.

use std::collections::HashSet;

use foldhash::fast::RandomState;
use foldline_row::Fields;
use indexmap::IndexMap;

use crate::changes::{Change, Changes, Known};
use crate::definition::Table;
use crate::value::{Packed, PackedKey};

/// Ages that are told apart when room must be made: 0 is "used since the last sweep".
const AGES: usize = 8;

/// Memory of an entry with a short key, roughly: its slots in the table, of which some are always free.
const ENTRY_OVERHEAD_BYTES: usize = 144;

/// What a row's allocation adds to its bytes, roughly.
const ROW_OVERHEAD_BYTES: usize = 32;

/// Rows of all tables, the least recently used dropped first.
///
/// A table is complete while all its rows are here: from the moment when it was empty until the first of
/// its rows is dropped. In a complete table, what is not here does not exist. That is why this is no
/// general cache from a library: they do not say reliably whether they have dropped something.
#[derive(Debug)]
pub(super) struct Rows {
    tables: Vec<TableRows>,
    /// What was looked up last: mostly it is changed next.
    found: Option<Place>,
    bytes: usize,
    limit_bytes: usize,
    /// Counts the takings: an entry with this number is in `dirty`.
    round: u64,
    /// What is to be taken to the store next.
    dirty: Vec<Dirty>,
    /// What was taken into the store's open transaction.
    written: Vec<Place>,
    /// Those of them under which nothing stands any more.
    deleted: Vec<Place>,
    /// Bytes of the rows in `dirty`, roughly.
    dirty_bytes: usize,
    /// The steps of the current call.
    steps: Vec<(Place, Known)>,
}

#[derive(Debug)]
struct TableRows {
    complete: bool,
    entries: IndexMap<PackedKey, Entry, RandomState>,
}

#[derive(Debug)]
struct Entry {
    known: Known,
    /// The last round in which it changed.
    changed: u64,
    /// Sweeps since it was last used.
    age: u8,
}

/// Where an entry is. Holds until something is dropped, which happens only between two transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Place {
    table: usize,
    entry: usize,
}

/// A changed entry with what the store holds under its key.
#[derive(Debug)]
struct Dirty {
    place: Place,
    before: Known,
}

impl Rows {
    /// Nothing yet; `empty` says of each table whether it has no rows.
    pub(super) fn new(empty: impl IntoIterator<Item = bool>, limit_bytes: usize) -> Self {
        let table = |complete| TableRows {
            complete,
            entries: IndexMap::default(),
        };
        Self {
            tables: empty.into_iter().map(table).collect(),
            found: None,
            bytes: 0,
            limit_bytes,
            round: 1,
            dirty: Vec::new(),
            written: Vec::new(),
            deleted: Vec::new(),
            dirty_bytes: 0,
            steps: Vec::new(),
        }
    }

    /// What is known of `key`.
    pub(super) fn get(&mut self, table: usize, key: &[u8]) -> Known {
        let rows = &mut self.tables[table];
        match rows.entries.get_full_mut(key) {
            Some((entry, _, found)) => {
                self.found = Some(Place { table, entry });
                found.age = 0;
                found.known.clone()
            }
            None => rows.unheard_of(),
        }
    }

    /// Remembers what the store holds under a key that was [`Known::Unknown`].
    pub(super) fn learn(&mut self, table: usize, key: &[u8], row: Option<Packed>) {
        let known = row.map_or(Known::Nothing, Known::Row);
        self.bytes += known_size(&known);
        let entries = &mut self.tables[table].entries;
        if let Some(entry) = entries.get_mut(key) {
            entry.known = known;
            return;
        }
        self.bytes += key_size(key);
        entries.insert(PackedKey::checked(key), Entry::new(known));
    }

    /// Puts `row` under `key`, or deletes what stands there.
    pub(super) fn set(&mut self, table: usize, key: &[u8], row: Option<Packed>) {
        let known = row.map_or(Known::Nothing, Known::Row);
        let bytes = known_size(&known);
        let (entry, before) = self.replace(table, key, known);
        self.bytes = self.bytes + bytes - known_size(&before);
        self.dirty_bytes += bytes;
        let place = Place { table, entry };
        let entry = &mut self.tables[table].entries[entry];
        if entry.changed != self.round {
            entry.changed = self.round;
            let before = before.clone();
            self.dirty.push(Dirty { place, before });
        }
        self.steps.push((place, before));
    }

    /// Where `key` is, and what was known of it until now.
    fn replace(&mut self, table: usize, key: &[u8], known: Known) -> (usize, Known) {
        let found = self.found.take().filter(|found| found.table == table);
        let rows = &mut self.tables[table];
        if let Some(place) = rows.place(key, found) {
            let entry = &mut rows.entries[place];
            entry.age = 0;
            return (place, std::mem::replace(&mut entry.known, known));
        }
        self.bytes += key_size(key);
        let (place, _) = rows
            .entries
            .insert_full(PackedKey::checked(key), Entry::new(known));
        (place, rows.unheard_of())
    }

    /// A new call begins: what was asked for before cannot be undone any more.
    pub(super) fn begin_call(&mut self) {
        self.steps.clear();
    }

    /// Takes back what the current call asked for.
    pub(super) fn undo_call(&mut self) {
        while let Some((place, before)) = self.steps.pop() {
            let entry = &mut self.tables[place.table].entries[place.entry];
            let undone = std::mem::replace(&mut entry.known, before);
            self.bytes = self.bytes + known_size(&entry.known) - known_size(&undone);
        }
    }

    /// Whether nothing is to be taken to the store.
    pub(super) fn is_clean(&self) -> bool {
        self.dirty.is_empty()
    }

    /// Bytes of changed rows that the store has not got yet, roughly.
    pub(super) fn dirty_bytes(&self) -> usize {
        self.dirty_bytes
    }

    /// Whether the rows kept exceed their limit: they are dropped with the next commit.
    pub(super) fn are_over_limit(&self) -> bool {
        self.bytes > self.limit_bytes
    }

    /// What changed since it was taken last, for the store's open transaction.
    pub(super) fn take(&mut self) -> Changes {
        let mut changes = Changes::new(self.tables.len());
        for Dirty { place, before } in self.dirty.drain(..) {
            self.written.push(place);
            let table = &self.tables[place.table];
            // Both are there: nothing is dropped while changes are pending.
            let Some((key, entry)) = table.entries.get_index(place.entry) else {
                continue;
            };
            let row = match &entry.known {
                Known::Row(row) => Some(row.clone()),
                Known::Nothing => {
                    self.deleted.push(place);
                    None
                }
                // A failed call was the first to change it.
                Known::Unknown => continue,
            };
            if entry.known != before {
                let key = key.clone();
                changes.push(place.table, Change { key, row, before });
            }
        }
        self.dirty_bytes = 0;
        self.round += 1;
        changes
    }

    /// The store has rolled its transaction back: what it was given must be given again.
    pub(super) fn rolled_back(&mut self) {
        let again = self.written.drain(..);
        let places: HashSet<_> = again
            .chain(self.dirty.drain(..).map(|dirty| dirty.place))
            .collect();
        self.round += 1;
        for place in places {
            let entry = &mut self.tables[place.table].entries[place.entry];
            entry.changed = self.round;
            self.dirty_bytes += known_size(&entry.known);
            let before = Known::Unknown;
            self.dirty.push(Dirty { place, before });
        }
    }

    /// Everything that was taken is being committed: makes room where the limit was exceeded.
    pub(super) fn committed(&mut self) {
        debug_assert!(self.dirty.is_empty());
        self.steps.clear();
        self.written.clear();
        self.forget_deleted();
        if self.are_over_limit() {
            self.sweep();
        }
    }

    /// In a complete table a deleted key needs no entry.
    fn forget_deleted(&mut self) {
        let mut places = std::mem::take(&mut self.deleted);
        // From the last to the first, since a removal moves the last entry into the gap.
        places.sort_unstable_by_key(|place| std::cmp::Reverse(place.entry));
        places.dedup();
        for place in places.drain(..) {
            let table = &mut self.tables[place.table];
            let entry = table.entries.get_index(place.entry);
            // It may stand there again since.
            if table.complete && entry.is_some_and(|(_, entry)| entry.known == Known::Nothing) {
                let removed = table.entries.swap_remove_index(place.entry);
                self.bytes -= removed.map_or(0, |(key, _)| key_size(&key));
            }
        }
        self.deleted = places;
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

impl TableRows {
    /// Where the entry of `key` is; `found` is looked at first, which saves the search.
    fn place(&self, key: &[u8], found: Option<Place>) -> Option<usize> {
        let found = found.map(|found| found.entry).filter(|&found| {
            let entry = self.entries.get_index(found);
            entry.is_some_and(|(there, _)| **there == *key)
        });
        found.or_else(|| self.entries.get_index_of(key))
    }

    /// What is known of a key that has no entry.
    fn unheard_of(&self) -> Known {
        match self.complete {
            true => Known::Nothing,
            false => Known::Unknown,
        }
    }
}

impl Entry {
    fn new(known: Known) -> Self {
        Self {
            known,
            changed: 0,
            age: 0,
        }
    }
}

/// The columns of `row` that are its key, without copying where they are the first ones.
pub(super) fn with_key<T>(table: &Table, row: &[u8], then: impl FnOnce(&[u8]) -> T) -> T {
    let end = |columns: usize| {
        let mut fields = Fields::new(row);
        fields.by_ref().take(columns).for_each(drop);
        fields.position()
    };
    if table.key.iter().enumerate().all(|(i, &column)| i == column) {
        return then(&row[..end(table.key.len())]);
    }
    let columns = table
        .key
        .iter()
        .map(|&column| &row[end(column)..end(column + 1)]);
    then(&columns.collect::<Vec<_>>().concat())
}

fn size(key: &[u8], entry: &Entry) -> usize {
    key_size(key) + known_size(&entry.known)
}

fn key_size(key: &[u8]) -> usize {
    ENTRY_OVERHEAD_BYTES + PackedKey::heap_bytes(key)
}

fn known_size(known: &Known) -> usize {
    known.row().map_or(0, |row| ROW_OVERHEAD_BYTES + row.len())
}

#[cfg(test)]
mod tests;

//! The rows of a read model in memory: what is committed, with what was asked for since on top.
//!
//! One entry per key holds the newest row. What is not committed is also listed, so that it can be taken to
//! the store, and each step of the current guest call is noted, so that a failed call can be undone.

use std::collections::HashSet;

use foldhash::fast::RandomState;
use foldline_row::Fields;
use indexmap::IndexMap;

use crate::changes::{Change, Changes};
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
    /// What is to be taken to the store next: entries that changed.
    dirty: Vec<Place>,
    /// What was taken into the store's open transaction.
    written: Vec<Place>,
    /// Those of them under which nothing stands any more.
    deleted: Vec<Place>,
    /// Bytes of the rows in `dirty`, roughly.
    dirty_bytes: usize,
    /// The steps of the current call.
    steps: Vec<(Place, Known)>,
}

/// What is known of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Known {
    /// This row stands there.
    Row(Packed),
    /// Nothing stands there.
    Nothing,
    /// The store has to be asked.
    Unknown,
}

#[derive(Debug)]
pub(super) struct TableRows {
    complete: bool,
    /// Whether a column is part of a secondary index, up to the last one that is.
    indexed: Vec<bool>,
    entries: IndexMap<PackedKey, Entry, RandomState>,
}

#[derive(Debug)]
struct Entry {
    known: Known,
    /// The last round in which it changed.
    changed: u64,
    /// Whether the row that the store holds has the same values in all secondary indexes. Found out when the row is
    /// replaced: later, at the commit, the old one would have to come from memory once more.
    keeps_indexes: bool,
    /// Sweeps since it was last used.
    age: u8,
}

/// Where an entry is. Holds until something is dropped, which happens only between two transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Place {
    table: usize,
    entry: usize,
}

impl Known {
    /// The row, where one is known.
    pub(super) fn row(&self) -> Option<&Packed> {
        match self {
            Self::Row(row) => Some(row),
            Self::Nothing | Self::Unknown => None,
        }
    }
}

impl Rows {
    /// Keeps rows of these tables, within the limit.
    pub(super) fn new(tables: Vec<TableRows>, limit_bytes: usize) -> Self {
        Self {
            tables,
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
        let found = self.found.take().filter(|found| found.table == table);
        let Some(entry) = self.tables[table].place(key, found) else {
            return self.add(table, key, known);
        };
        let rows = &mut self.tables[table];
        let there = &mut rows.entries[entry];
        there.age = 0;
        if there.known == known {
            return;
        }
        let keeps_indexes = same_in_indexes(&rows.indexed, &there.known, &known);
        self.bytes = self.bytes + known_size(&known) - known_size(&there.known);
        self.dirty_bytes += known_size(&known);
        let before = std::mem::replace(&mut there.known, known);
        let place = Place { table, entry };
        if there.changed == self.round {
            there.keeps_indexes &= keeps_indexes;
        } else {
            (there.changed, there.keeps_indexes) = (self.round, keeps_indexes);
            self.dirty.push(place);
        }
        self.steps.push((place, before));
    }

    /// The same where there is no entry yet.
    fn add(&mut self, table: usize, key: &[u8], known: Known) {
        let rows = &mut self.tables[table];
        let before = rows.unheard_of();
        if known == before {
            return;
        }
        let bytes = known_size(&known);
        self.bytes += key_size(key) + bytes;
        self.dirty_bytes += bytes;
        let entry = Entry {
            changed: self.round,
            ..Entry::new(known)
        };
        let (entry, _) = rows.entries.insert_full(PackedKey::checked(key), entry);
        let place = Place { table, entry };
        self.dirty.push(place);
        self.steps.push((place, before));
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
        for place in self.dirty.drain(..) {
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
            let change = Change {
                key: key.clone(),
                row,
                keeps_indexes: entry.keeps_indexes,
            };
            changes.push(place.table, change);
        }
        self.dirty_bytes = 0;
        self.round += 1;
        changes
    }

    /// The store has rolled its transaction back: what it was given must be given again.
    pub(super) fn rolled_back(&mut self) {
        let places: HashSet<_> = self.written.drain(..).chain(self.dirty.drain(..)).collect();
        self.round += 1;
        for place in places {
            let entry = &mut self.tables[place.table].entries[place.entry];
            (entry.changed, entry.keeps_indexes) = (self.round, false);
            self.dirty_bytes += known_size(&entry.known);
            self.dirty.push(place);
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
    /// No entries yet; in a `complete` table there is nothing else.
    pub(super) fn new(complete: bool, table: &Table) -> Self {
        let columns = 0..table.columns.len();
        let mut indexed: Vec<_> = columns.map(|column| table.is_indexed(column)).collect();
        let end = indexed.iter().rposition(|&indexed| indexed);
        indexed.truncate(end.map_or(0, |last| last + 1));
        Self {
            complete,
            indexed,
            entries: IndexMap::default(),
        }
    }

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
            keeps_indexes: false,
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

/// Whether two rows stand at the same place in every secondary index; what is no row stands nowhere.
fn same_in_indexes(indexed: &[bool], a: &Known, b: &Known) -> bool {
    let (Known::Row(a), Known::Row(b)) = (a, b) else {
        return false;
    };
    let mut columns = indexed.iter().zip(a.fields().zip(b.fields()));
    columns.all(|(indexed, (a, b))| !indexed || a == b)
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

//! The rows of a read model in memory: what is committed, with what was asked for since on top.
//!
//! One entry per key holds the newest row. What is not committed is also listed, so that it can be taken to
//! the store, and each step of the current guest call is noted, so that a failed call can be undone.

use std::collections::HashSet;

use foldhash::fast::RandomState;
use foldline_row::Fields;
use indexmap::IndexSet;
use indexmap::set::MutableValues;

use crate::changes::{Change, Changes};
use crate::definition::Table;
use crate::value::fields;

mod entry;
mod room;
mod steps;

use entry::Entry;
pub(super) use entry::Known;
use steps::Steps;

/// Most memory that is asked for at once for the changes of a commit, in bytes: what they are thought to take may be far
/// more than they do, where one key changes again and again.
const ROOM_FOR_CHANGES: usize = 16 << 20;

/// Bytes by which rows that are only looked up may exceed the limit until the next commit makes room. What lies above is
/// asked of the store each time.
const LEARNED_OVER_LIMIT: usize = 16 << 20;

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
    /// What is to be taken to the store next: entries that changed.
    dirty: Vec<Place>,
    /// What was taken into the store's open transaction.
    written: Vec<Place>,
    /// Those of them under which nothing stands any more.
    deleted: Vec<Place>,
    /// Bytes of the changes in `dirty` with their keys, roughly; a key that changes again counts again.
    dirty_bytes: usize,
    /// What the current call has changed.
    steps: Steps,
}

#[derive(Debug)]
pub(super) struct TableRows {
    complete: bool,
    /// Whether a column is part of a secondary index, up to the last one that is.
    indexed: Vec<bool>,
    entries: IndexSet<Entry, RandomState>,
}

/// Where an entry is. Holds until something is dropped, which happens only between two transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Place {
    table: usize,
    entry: usize,
}

impl Rows {
    /// Keeps rows of these tables, within the limit.
    pub(super) fn new(tables: Vec<TableRows>, limit_bytes: usize) -> Self {
        Self {
            tables,
            found: None,
            bytes: 0,
            limit_bytes,
            dirty: Vec::new(),
            written: Vec::new(),
            deleted: Vec::new(),
            dirty_bytes: 0,
            steps: Steps::default(),
        }
    }

    /// What is known of `key`, and where its row is.
    pub(super) fn look_up(&mut self, table: usize, key: &[u8]) -> (Known, Option<Place>) {
        let rows = &mut self.tables[table];
        match rows.entries.get_full_mut2(key) {
            Some((entry, found)) => {
                found.age = 0;
                self.found = Some(Place { table, entry });
                (found.known, self.found)
            }
            None => (rows.unheard_of(), None),
        }
    }

    /// The row at `place`, where there is one.
    pub(super) fn row(&self, place: Place) -> Option<&[u8]> {
        self.tables[place.table]
            .entries
            .get_index(place.entry)?
            .row()
    }

    /// Remembers what the store holds under a key that was [`Known::Unknown`]; none where there is no room for it.
    pub(super) fn learn(&mut self, table: usize, key: &[u8], row: Option<&[u8]>) -> Option<Place> {
        let entries = &mut self.tables[table].entries;
        let entry = match entries.get_full_mut2(key) {
            Some((entry, there)) => {
                self.bytes -= there.size();
                there.replace(row);
                self.bytes += there.size();
                entry
            }
            None => {
                let new = Entry::new(key, row);
                // Room is made at the next commit; until then one call may look up as much as it likes.
                if self.bytes + new.size() > self.limit_bytes.saturating_add(LEARNED_OVER_LIMIT) {
                    return None;
                }
                self.bytes += new.size();
                entries.insert_full(new).0
            }
        };
        Some(Place { table, entry })
    }

    /// Puts `row` under `key`, or deletes what stands there.
    pub(super) fn set(&mut self, table: usize, key: &[u8], row: Option<&[u8]>) {
        let found = self.found.take().filter(|found| found.table == table);
        let rows = &mut self.tables[table];
        let place = rows.place(key, found);
        let there = place.and_then(|entry| Some((entry, rows.entries.get_index_mut2(entry)?)));
        let Some((entry, there)) = there else {
            return self.add(table, key, row);
        };
        there.age = 0;
        let before = there.row();
        if there.known != Known::Unknown && before == row {
            return;
        }
        let place = Place { table, entry };
        self.steps.note(place, there.known, before);
        let keeps_indexes = same_in_indexes(&rows.indexed, before, row);
        if there.changed {
            there.keeps_indexes &= keeps_indexes;
        } else {
            (there.changed, there.keeps_indexes) = (true, keeps_indexes);
            self.dirty.push(place);
        }
        self.bytes -= there.size();
        there.replace(row);
        self.bytes += there.size();
        self.dirty_bytes += there.change_bytes();
    }

    /// The same where there is no entry yet.
    fn add(&mut self, table: usize, key: &[u8], row: Option<&[u8]>) {
        let rows = &mut self.tables[table];
        let before = rows.unheard_of();
        if before == Known::Nothing && row.is_none() {
            return;
        }
        let mut new = Entry::new(key, row);
        new.changed = true;
        self.bytes += new.size();
        self.dirty_bytes += new.change_bytes();
        let (entry, _) = rows.entries.insert_full(new);
        let place = Place { table, entry };
        self.dirty.push(place);
        self.steps.note(place, before, None);
    }

    /// A new call begins: what was asked for before cannot be undone any more.
    pub(super) fn begin_call(&mut self) {
        self.steps.forget();
    }

    /// Takes back what the current call asked for.
    pub(super) fn undo_call(&mut self) {
        let (tables, bytes) = (&mut self.tables, &mut self.bytes);
        self.steps.take_back(|place, known, row| {
            // It is there: nothing is dropped while changes are pending.
            if let Some(entry) = tables[place.table].entries.get_index_mut2(place.entry) {
                *bytes -= entry.size();
                entry.replace((known == Known::Row).then_some(row));
                entry.known = known;
                *bytes += entry.size();
            }
        });
    }

    /// Whether nothing is to be taken to the store.
    pub(super) fn is_clean(&self) -> bool {
        self.dirty.is_empty()
    }

    /// Bytes of changes that the store has not got yet, with their keys, roughly.
    pub(super) fn dirty_bytes(&self) -> usize {
        self.dirty_bytes
    }

    /// Whether the rows kept exceed their limit: they are dropped with the next commit.
    pub(super) fn are_over_limit(&self) -> bool {
        self.bytes > self.limit_bytes
    }

    /// What changed since it was taken last, for the store's open transaction.
    pub(super) fn take(&mut self) -> Changes {
        let room = self.dirty_bytes.min(ROOM_FOR_CHANGES);
        let mut changes = Changes::with_room(self.tables.len(), room);
        for place in self.dirty.drain(..) {
            self.written.push(place);
            let entries = &mut self.tables[place.table].entries;
            // It is there: nothing is dropped while changes are pending.
            let Some(entry) = entries.get_index_mut2(place.entry) else {
                continue;
            };
            entry.changed = false;
            match entry.known {
                Known::Row => {}
                Known::Nothing => self.deleted.push(place),
                // A failed call was the first to change it.
                Known::Unknown => continue,
            }
            let change = Change {
                key: entry.key(),
                row: entry.row(),
                keeps_indexes: entry.keeps_indexes,
            };
            changes.push(place.table, change);
        }
        self.dirty_bytes = 0;
        changes
    }

    /// The store has rolled its transaction back: what it was given must be given again.
    pub(super) fn rolled_back(&mut self) {
        let places: HashSet<_> = self.written.drain(..).chain(self.dirty.drain(..)).collect();
        for place in places {
            let entries = &mut self.tables[place.table].entries;
            if let Some(entry) = entries.get_index_mut2(place.entry) {
                (entry.changed, entry.keeps_indexes) = (true, false);
                self.dirty_bytes += entry.change_bytes();
                self.dirty.push(place);
            }
        }
    }

    /// Everything that was taken is being committed: makes room where the limit was exceeded.
    pub(super) fn committed(&mut self) {
        debug_assert!(self.dirty.is_empty());
        self.steps.forget();
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
            if table.complete && entry.is_some_and(|entry| entry.known == Known::Nothing) {
                let removed = table.entries.swap_remove_index(place.entry);
                self.bytes -= removed.map_or(0, |entry| entry.size());
            }
        }
        self.deleted = places;
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
            entries: IndexSet::default(),
        }
    }

    /// Where the entry of `key` is; `found` is looked at first, which saves the search.
    fn place(&self, key: &[u8], found: Option<Place>) -> Option<usize> {
        let found = found.map(|found| found.entry).filter(|&found| {
            let entry = self.entries.get_index(found);
            entry.is_some_and(|entry| entry.key() == key)
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
fn same_in_indexes(indexed: &[bool], a: Option<&[u8]>, b: Option<&[u8]>) -> bool {
    let (Some(a), Some(b)) = (a, b) else {
        return false;
    };
    let mut columns = indexed.iter().zip(fields(a).zip(fields(b)));
    columns.all(|(indexed, (a, b))| !indexed || a == b)
}

#[cfg(test)]
mod tests;

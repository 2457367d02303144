//! The read model as a guest sees it: what is committed, under what it has asked for since.
//!
//! Between the guest and the store. Rows are kept in memory, changes are collected over several calls of the
//! guest, and a commit may go on in the background while the guest already folds the next batches.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::definition::{Definition, Table};
use crate::event::{Event, Sequence};
use crate::store::dead_letters::{DeadLetter, DeadLetterChange, SetAside};
use crate::store::{Checkpoint, FindLimit, ReadModelStore, StoreError};
use crate::value::{Packed, Row, Value, fields};

mod aside;
mod rows;

use aside::Pending;
use rows::{Known, Rows, TableRows};

/// How much a guest asked for in one call. Changes and bytes only rise, also where one change replaces another.
#[derive(Debug, Clone, Copy, Default)]
pub struct Asked {
    /// Changes.
    pub changes: usize,
    /// Bytes of their keys and rows.
    pub bytes: usize,
    /// Time in which the secondary indexes were made because it searched, and which it has not been given back: that is
    /// no part of its own work.
    pub indexing: Duration,
}

/// One generation's read model while a guest works on it.
pub struct Session {
    definition: Arc<Definition>,
    rows: Rows,
    aside: Pending,
    /// None while a commit is on its way.
    store: Option<Box<dyn ReadModelStore>>,
    commit: Option<JoinHandle<Ended>>,
    indexes_are_due: bool,
    /// The row looked up last, where it is not kept.
    passing: Option<Packed>,
    /// What the current call has asked for.
    pub asked: Asked,
}

/// A commit in the background gives the store back.
type Ended = (Box<dyn ReadModelStore>, Result<(), StoreError>);

impl Session {
    /// Nothing is pending; rows are kept within `cache_bytes`, by and large: what a commit changes may come
    /// on top until it is done.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn new(
        mut store: Box<dyn ReadModelStore>,
        definition: Arc<Definition>,
        cache_bytes: usize,
    ) -> Result<Self, StoreError> {
        let tables = definition.tables.iter().enumerate();
        let tables = tables.map(|(number, table)| {
            let complete = store.is_empty(number)?;
            Ok(TableRows::new(complete, table))
        });
        let rows = Rows::new(tables.collect::<Result<_, _>>()?, cache_bytes);
        Ok(Self {
            definition,
            rows,
            aside: Pending::default(),
            store: Some(store),
            commit: None,
            indexes_are_due: false,
            passing: None,
            asked: Asked::default(),
        })
    }

    /// The row under `key`.
    ///
    /// # Errors
    /// If the store cannot be read, or the commit in the background has failed.
    pub fn get(&mut self, table: usize, key: &[u8]) -> Result<Option<&[u8]>, StoreError> {
        let (known, place) = self.rows.look_up(table, key);
        let place = match known {
            Known::Row | Known::Nothing => place,
            Known::Unknown => {
                let values: Vec<_> = fields(key).map(Value::from).collect();
                let row = self.store()?.get(table, &values)?.map(Packed::from);
                let learned = self.rows.learn(table, key, row.as_deref());
                if learned.is_none() {
                    self.passing = row;
                    return Ok(self.passing.as_deref());
                }
                learned
            }
        };
        Ok(place.and_then(|place| self.rows.row(place)))
    }

    /// Rows whose columns of the table's secondary index number `index` equal `key` (null equals null), in
    /// the order of the primary key, up to `limit`.
    ///
    /// # Errors
    /// If the store cannot be read or written, or the commit in the background has failed.
    pub fn find(
        &mut self,
        table: usize,
        index: usize,
        key: &[Value],
        limit: FindLimit,
    ) -> Result<Vec<Row>, StoreError> {
        // The store answers from its open transaction, so what is pending goes there first.
        self.write()?;
        // The store would make them itself, but then nobody would know how long that took.
        let began = Instant::now();
        self.store()?.build_indexes()?;
        self.asked.indexing += began.elapsed();
        self.store()?.find(table, index, key, limit)
    }

    /// Puts a row in the place of the one with its key.
    pub fn put(&mut self, table: usize, row: &[u8]) {
        let (rows, definition) = (&mut self.rows, &self.definition.tables[table]);
        rows::with_key(definition, row, |key| rows.set(table, key, Some(row)));
    }

    /// Deletes the row under `key`, if there is one.
    pub fn delete(&mut self, table: usize, key: &[u8]) {
        self.rows.set(table, key, None);
    }

    /// Has this committed together with the rows. It is no part of the current call: a call that fails does not undo it.
    pub fn set_aside(&mut self, change: DeadLetterChange) {
        self.aside.push(change);
    }

    /// Everything that is set aside, committed or not.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub fn what_is_set_aside(&mut self) -> Result<SetAside, StoreError> {
        self.write()?;
        self.store()?.set_aside()
    }

    /// The first held events of `key`, at most `limit` and about `bytes`, but one at least where there is one.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub fn held_events(
        &mut self,
        key: Option<&[u8]>,
        limit: usize,
        bytes: u64,
    ) -> Result<Vec<Event>, StoreError> {
        self.write()?;
        self.store()?.held_events(key, limit, bytes)
    }

    /// The dead letter of this sequence.
    ///
    /// # Errors
    /// As [`Self::find`].
    pub fn dead_letter(&mut self, sequence: Sequence) -> Result<Option<DeadLetter>, StoreError> {
        self.write()?;
        self.store()?.dead_letter(sequence)
    }

    /// A table by its number.
    pub fn table(&self, table: usize) -> Option<&Table> {
        self.definition.tables.get(table)
    }

    /// A new call of the guest begins.
    pub fn begin_call(&mut self) {
        self.asked = Asked::default();
        self.rows.begin_call();
    }

    /// Forgets what the current call asked for; what earlier calls asked for stays.
    ///
    /// # Errors
    /// If the store cannot be restored to its last commit.
    pub fn undo_call(&mut self) -> Result<(), StoreError> {
        self.rows.undo_call();
        // The transaction may hold a part of it.
        self.store()?.rollback()?;
        self.rows.rolled_back();
        self.aside.rolled_back();
        Ok(())
    }

    /// Whether so much is pending or kept that it is time to commit; `most` is in bytes of changed rows.
    pub fn is_full(&self, most: usize) -> bool {
        self.rows.dirty_bytes() + self.aside.bytes() >= most || self.rows.are_over_limit()
    }

    /// From the next commit on the read model has its secondary indexes.
    pub fn build_indexes(&mut self) {
        self.indexes_are_due = true;
    }

    /// Commits everything that was asked for, and waits for it.
    ///
    /// # Errors
    /// If this commit or the one before it failed. The session must not be used again then.
    pub fn commit(&mut self, next: &Checkpoint) -> Result<(), StoreError> {
        self.write()?;
        self.rows.committed();
        self.aside.committed();
        let indexes_are_due = self.indexes_are_due;
        commit(self.store()?, next, indexes_are_due)
    }

    /// Commits everything that was asked for in the background, and calls `done` when that has succeeded.
    /// Waits for the commit before it, so that there is never more than one.
    ///
    /// # Errors
    /// If the commit before it failed, or no thread can be started. The session must not be used again then.
    /// An error of this commit is returned by whatever needs the store next.
    pub fn commit_in_background(
        &mut self,
        next: Checkpoint,
        done: impl FnOnce() + Send + 'static,
    ) -> Result<(), StoreError> {
        let mut store = self.take_store()?;
        let changes = self.rows.take();
        let aside = self.aside.take_for_good();
        self.rows.committed();
        let indexes_are_due = self.indexes_are_due;
        let commit = move || {
            let written = store.write(&changes);
            let written = written.and_then(|()| store.write_dead_letters(&aside));
            let ended = written.and_then(|()| commit(&mut *store, &next, indexes_are_due));
            if ended.is_ok() {
                done();
            }
            (store, ended)
        };
        let thread = std::thread::Builder::new().name("commit".into());
        let started = thread.spawn(commit).map_err(StoreError::Thread)?;
        self.commit = Some(started);
        Ok(())
    }

    /// Waits for the commit in the background; what else is due is committed at `at`, which is the checkpoint already.
    ///
    /// # Errors
    /// If a commit failed. The session must not be used again then.
    pub fn settle(&mut self, at: &Checkpoint) -> Result<(), StoreError> {
        let indexes_are_due = self.indexes_are_due;
        let store = self.store()?;
        // An empty read model has its indexes with its first commit.
        if store.checkpoint().is_some() {
            commit(store, at, indexes_are_due)?;
        }
        Ok(())
    }

    /// Gives what is pending to the store's open transaction.
    fn write(&mut self) -> Result<(), StoreError> {
        if !self.rows.is_clean() {
            let changes = self.rows.take();
            self.store()?.write(&changes)?;
        }
        if !self.aside.is_clean() {
            let aside = self.aside.take().to_vec();
            self.store()?.write_dead_letters(&aside)?;
        }
        Ok(())
    }

    fn store(&mut self) -> Result<&mut dyn ReadModelStore, StoreError> {
        if self.store.is_none() {
            self.store = Some(self.take_store()?);
        }
        match &mut self.store {
            Some(store) => Ok(&mut **store),
            None => Err(StoreError::Gone),
        }
    }

    /// The store, as soon as no commit is on its way.
    fn take_store(&mut self) -> Result<Box<dyn ReadModelStore>, StoreError> {
        let Some(commit) = self.commit.take() else {
            return self.store.take().ok_or(StoreError::Gone);
        };
        match commit.join() {
            Ok((store, ended)) => ended.map(|()| store),
            // A bug of the host, reported where the loop's own panics are.
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

fn commit(
    store: &mut dyn ReadModelStore,
    next: &Checkpoint,
    indexes_are_due: bool,
) -> Result<(), StoreError> {
    if indexes_are_due {
        store.build_indexes()?;
    }
    store.commit(next)
}

impl Drop for Session {
    /// Nobody may open the read model again while a commit is on its way.
    fn drop(&mut self) {
        if let Some(commit) = self.commit.take() {
            // How it ended does not matter any more: who opens the read model next sees what is committed.
            let _ended = commit.join();
        }
    }
}

#[cfg(test)]
mod tests;

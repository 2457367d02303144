//! A read model in memory, for tests. It keeps the seam honest: both stores pass one conformance suite.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use super::dead_letters::{DeadLetter, DeadLetterChange, SetAside};
use super::{Checkpoint, FindLimit, ReadModelStore, StoreError};
use crate::changes::Changes;
use crate::definition::{Definition, Table};
use crate::event::{Event, Sequence};
use crate::value::{Key, Row, Value, fields};

mod aside;

use aside::Aside;

/// What was committed, as a file would hold it: it outlives its writers. Cheap to clone and share.
#[derive(Debug, Clone)]
pub struct MemoryReadModel {
    tables: Arc<[Table]>,
    committed: Arc<Mutex<Committed>>,
}

#[derive(Debug, Default)]
struct Committed {
    rows: Vec<BTreeMap<Key, Row>>,
    checkpoint: Option<Checkpoint>,
    aside: Aside,
}

impl MemoryReadModel {
    /// An empty one.
    pub fn new(definition: &Definition) -> Self {
        let committed = Committed {
            rows: vec![BTreeMap::new(); definition.tables.len()],
            checkpoint: None,
            aside: Aside::default(),
        };
        Self {
            tables: definition.tables.clone().into(),
            committed: Arc::new(Mutex::new(committed)),
        }
    }

    /// The committed checkpoint.
    pub fn checkpoint(&self) -> Option<Checkpoint> {
        self.lock().checkpoint.clone()
    }

    /// The committed rows of a table, in the order of their keys.
    pub fn rows(&self, table: usize) -> Vec<Row> {
        self.lock().rows[table].values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Committed> {
        // A commit is a few moves of checked values: nothing in it panics half-way.
        self.committed
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// The writer of a [`MemoryReadModel`].
#[derive(Debug)]
pub struct MemoryStore {
    read_model: MemoryReadModel,
    checkpoint: Option<Checkpoint>,
    /// Per table, what was written since the last commit: a row, or that there is none.
    pending: Vec<BTreeMap<Key, Option<Row>>>,
    /// What is set aside, as this writer sees it.
    aside: Aside,
    failed: bool,
    indexing: Duration,
}

impl MemoryStore {
    /// Takes the read model over: from now on the commits of earlier writers are refused.
    pub fn open(read_model: &MemoryReadModel) -> Self {
        let mut committed = read_model.lock();
        if let Some(checkpoint) = &mut committed.checkpoint {
            checkpoint.epoch += 1;
        }
        Self {
            checkpoint: committed.checkpoint.clone(),
            pending: vec![BTreeMap::new(); committed.rows.len()],
            aside: committed.aside.clone(),
            failed: false,
            indexing: Duration::ZERO,
            read_model: read_model.clone(),
        }
    }

    /// The same, but its indexes take this long to be made, as those of many rows on a disk do.
    pub fn with_indexes_made_in(self, indexing: Duration) -> Self {
        Self { indexing, ..self }
    }

    fn forget(&mut self) {
        self.pending.iter_mut().for_each(BTreeMap::clear);
        self.aside = self.read_model.lock().aside.clone();
        self.failed = false;
    }
}

impl ReadModelStore for MemoryStore {
    fn checkpoint(&self) -> Option<&Checkpoint> {
        self.checkpoint.as_ref()
    }

    fn is_empty(&mut self, table: usize) -> Result<bool, StoreError> {
        Ok(self.read_model.lock().rows[table].is_empty())
    }

    fn get(&mut self, table: usize, key: &[Value]) -> Result<Option<Row>, StoreError> {
        Ok(match self.pending[table].get(key) {
            Some(row) => row.clone(),
            None => self.read_model.lock().rows[table].get(key).cloned(),
        })
    }

    fn find(
        &mut self,
        table: usize,
        index: usize,
        key: &[Value],
        limit: FindLimit,
    ) -> Result<Vec<Row>, StoreError> {
        let columns = &self.read_model.tables[table].indexes[index];
        let matches = |row: &&Row| {
            columns
                .iter()
                .zip(key)
                .all(|(&column, value)| row[column] == *value)
        };
        let committed = self.read_model.lock();
        let mut found: BTreeMap<&Key, &Row> = committed.rows[table]
            .iter()
            .filter(|(key, row)| !self.pending[table].contains_key(*key) && matches(row))
            .collect();
        let pending = self.pending[table].iter();
        let rows = pending.filter_map(|(key, row)| Some((key, row.as_ref()?)));
        found.extend(rows.filter(|(_, row)| matches(row)));
        limit.cut(found.into_values().cloned().map(Ok))
    }

    fn write(&mut self, changes: &Changes) -> Result<(), StoreError> {
        let Self {
            read_model,
            pending,
            failed,
            ..
        } = self;
        for (i, table) in read_model.tables.iter().enumerate() {
            let sorted = changes.sorted(i);
            super::error::refuse_nan(table, &sorted).inspect_err(|_| *failed = true)?;
            let rows = sorted.iter().map(|change| {
                let key = fields(change.key).map(Value::from).collect();
                let row = |row| fields(row).map(Value::from).collect();
                (key, change.row.map(row))
            });
            pending[i].extend(rows);
        }
        Ok(())
    }

    fn write_dead_letters(&mut self, changes: &[DeadLetterChange]) -> Result<(), StoreError> {
        changes.iter().for_each(|change| self.aside.change(change));
        Ok(())
    }

    fn set_aside(&mut self) -> Result<SetAside, StoreError> {
        Ok(self.aside.outline())
    }

    fn held_events(
        &mut self,
        key: Option<&[u8]>,
        limit: usize,
        bytes: u64,
    ) -> Result<Vec<Event>, StoreError> {
        Ok(self.aside.held_events(key, limit, bytes))
    }

    fn dead_letter(&mut self, sequence: Sequence) -> Result<Option<DeadLetter>, StoreError> {
        Ok(self.aside.dead_letter(sequence))
    }

    fn build_indexes(&mut self) -> Result<(), StoreError> {
        std::thread::sleep(std::mem::take(&mut self.indexing));
        Ok(())
    }

    fn commit(&mut self, next: &Checkpoint) -> Result<(), StoreError> {
        if self.failed {
            return Err(StoreError::RollBackFirst);
        }
        let mut committed = self.read_model.lock();
        if committed.checkpoint != self.checkpoint {
            let found = Box::new(committed.checkpoint.clone());
            drop(committed);
            self.forget();
            return Err(StoreError::CheckpointMoved {
                expected: Box::new(self.checkpoint.clone()),
                found,
            });
        }
        for (rows, pending) in committed.rows.iter_mut().zip(&mut self.pending) {
            for (key, row) in std::mem::take(pending) {
                match row {
                    Some(row) => rows.insert(key, row),
                    None => rows.remove(&key),
                };
            }
        }
        committed.aside = self.aside.clone();
        committed.checkpoint = Some(next.clone());
        self.checkpoint = Some(next.clone());
        Ok(())
    }

    fn rollback(&mut self) -> Result<(), StoreError> {
        self.forget();
        Ok(())
    }
}

#[cfg(test)]
mod tests;

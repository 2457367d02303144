//! Who is here: the one place where the supervisor says what runs and the query side looks it up.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, RwLock};

use tokio::sync::watch;

use super::losses::Losses;
use super::{RefusedModule, Status};
use crate::definition::Definition;

/// One projection as the query side sees it.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its status, always current. The read model has reached `checkpoint` when it says so.
    pub status: watch::Receiver<Status>,
    /// What is served; none until the read model was opened for the first time.
    pub read_model: Option<Arc<ReadModelFile>>,
}

/// Where a committed read model lies and what is in it.
#[derive(Debug, PartialEq, Eq)]
pub struct ReadModelFile {
    /// SQLite database file.
    pub path: PathBuf,
    /// Its tables.
    pub definition: Definition,
}

/// All projections by name, and the module files that were refused. Cheap to clone and share.
#[derive(Debug, Clone, Default)]
pub struct Directory {
    inner: Arc<RwLock<Inner>>,
    losses: Losses,
}

#[derive(Debug, Default)]
struct Inner {
    projections: BTreeMap<String, Entry>,
    refused: BTreeMap<String, RefusedModule>,
    filled: bool,
}

impl Directory {
    /// The projection of this name.
    pub fn get(&self, name: &str) -> Option<Entry> {
        self.read().projections.get(name).cloned()
    }

    /// All projections' statuses, by name.
    pub fn statuses(&self) -> Vec<Status> {
        let inner = self.read();
        let entries = inner.projections.values();
        entries.map(|entry| entry.status.borrow().clone()).collect()
    }

    /// The module files that are not running, by file name.
    pub fn refused(&self) -> Vec<RefusedModule> {
        self.read().refused.values().cloned().collect()
    }

    /// Whether it is known what there should be: nobody may take an empty directory for a host with nothing to do
    /// before that.
    pub fn is_filled(&self) -> bool {
        self.read().filled
    }

    /// Says that the modules folder was looked at.
    pub fn fill(&self) {
        self.write().filled = true;
    }

    /// Lost events that projections wait for somebody to accept.
    pub fn losses(&self) -> &Losses {
        &self.losses
    }

    /// Adds or replaces a projection.
    pub fn insert(&self, name: &str, entry: Entry) {
        self.write().projections.insert(name.to_owned(), entry);
    }

    /// Says which file is served for a projection from now on.
    pub fn serve(&self, name: &str, read_model: ReadModelFile) {
        if let Some(entry) = self.write().projections.get_mut(name) {
            entry.read_model = Some(Arc::new(read_model));
        }
    }

    /// Adds or replaces the reason why a module file is not running.
    pub fn refuse(&self, refused: RefusedModule) {
        self.write().refused.insert(refused.file.clone(), refused);
    }

    /// Forgets a refused file: it is running now, or gone.
    pub fn forget_refused(&self, file: &str) {
        self.write().refused.remove(file);
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Inner> {
        // A panic while the lock is held leaves whole entries behind: each write is one insert or remove.
        self.inner
            .read()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Inner> {
        self.inner
            .write()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

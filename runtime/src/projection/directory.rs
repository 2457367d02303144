//! Who is here: the one place where the supervisor says what runs and the query side looks it up.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};
use std::time::{Instant, SystemTime};

use tokio::sync::watch;

use super::losses::Losses;
use super::{Comparison, Generation, RefusedModule, State, Status, StreamPlace};
use crate::catalog::{GenerationRecord, GenerationState, Purpose};
use crate::config::Promote;
use crate::definition::Definition;

/// One projection as the query side sees it: the generation that is served, and the others.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What is served.
    pub live: GenerationEntry,
    /// What is not.
    pub others: Vec<GenerationEntry>,
    /// Whether what reads the stream as it is now takes the place of a live one of another stream without an operator.
    pub decided: bool,
    /// That the module in its file was taken back, in words.
    pub declined: Option<String>,
    /// What the last `verify` found.
    pub verified: Option<Arc<Comparison>>,
}

/// One generation as the query side sees it.
#[derive(Debug, Clone)]
pub struct GenerationEntry {
    /// What the catalog says of it.
    pub record: Arc<GenerationRecord>,
    /// Its status, always current. The read model has reached `checkpoint` when it says so.
    pub status: watch::Receiver<Status>,
    /// Its rows; empty until the read model was opened for the first time.
    pub read_model: Arc<OnceLock<Arc<ReadModelFile>>>,
}

/// Where a committed read model lies and what is in it.
#[derive(Debug)]
pub struct ReadModelFile {
    /// SQLite database file.
    pub path: PathBuf,
    /// Its tables.
    pub definition: Definition,
    /// When the file was made, where the system knows that: a later one may have its name.
    pub made: Option<SystemTime>,
    /// Damage that a reader has come upon.
    damage: Mutex<Option<String>>,
}

impl ReadModelFile {
    /// The file at `path`, which holds the tables of this definition.
    pub fn new(path: PathBuf, definition: Definition) -> Self {
        let metadata = std::fs::metadata(&path);
        Self {
            made: metadata.and_then(|metadata| metadata.created()).ok(),
            path,
            definition,
            damage: Mutex::default(),
        }
    }

    /// A reader has come upon damage: whoever writes the file is to stop.
    pub fn found_damage(&self, what: &str) {
        let mut damage = self.damage.lock().unwrap_or_else(PoisonError::into_inner);
        damage.get_or_insert_with(|| what.to_owned());
    }

    /// The damage that readers have come upon since the last call.
    pub fn take_damage(&self) -> Option<String> {
        let mut damage = self.damage.lock().unwrap_or_else(PoisonError::into_inner);
        damage.take()
    }
}

impl Entry {
    /// The status of the whole projection.
    pub fn status(&self) -> Status {
        let mut status = self.live.status();
        let others = self.others.iter().map(|other| {
            let mut generation = other.generation();
            generation.awaits_promotion =
                generation.status == State::Live && self.waits(other, &status);
            generation
        });
        let all = others.chain([self.live.generation()]);
        status.generations = all.collect();
        status
            .generations
            .sort_by_key(|generation| generation.number);
        status.warnings.extend(self.declined.clone());
        status.verified = self.verified.as_deref().cloned();
        let builds = |generation: &Generation| {
            generation.state == GenerationState::Building && generation.status == State::CatchingUp
        };
        if status.status == State::Live && status.generations.iter().any(builds) {
            status.status = State::Building;
        }
        status
    }

    /// Whether this one takes the place of the live one, of this status, only by an operator.
    fn waits(&self, other: &GenerationEntry, live: &Status) -> bool {
        let record = &other.record;
        let is_next =
            record.state == GenerationState::Building && record.purpose == Purpose::Promote;
        let follows = self.decided || record.is_begun_for(self.live.record.number);
        let manual = live.promote == Promote::Manual;
        is_next && (manual || (live.place == StreamPlace::Elsewhere && !follows))
    }

    /// What is served; none until the read model was opened for the first time.
    pub fn read_model(&self) -> Option<&Arc<ReadModelFile>> {
        self.live.read_model.get()
    }
}

impl GenerationEntry {
    fn generation(&self) -> Generation {
        Generation::of(&self.record, &self.status())
    }

    /// Its own status, as it is now.
    fn status(&self) -> Status {
        let status = self.status.borrow().clone();
        status.seen(Instant::now())
    }
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
        inner.projections.values().map(Entry::status).collect()
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

    /// Adds or replaces a projection: from one request to the next another generation may be served.
    pub fn insert(&self, name: &str, entry: Entry) {
        self.write().projections.insert(name.to_owned(), entry);
    }

    /// Forgets a projection.
    pub fn remove(&self, name: &str) {
        self.write().projections.remove(name);
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

//! Projections and their generations: started, restarted, reloaded, built, promoted, drained.
//!
//! The supervisor is one loop that acts on one message after the other: what the modules folder holds, what
//! operators ask for, what its runs report. What must be waited for is done elsewhere and comes back as a message.
//! The [catalog](crate::catalog) is written first; then what runs is made to follow it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::catalog::{CatalogError, GenerationState, ProjectionRecord};
use crate::guest::GuestModule;
use crate::projection::directory::Directory;
use crate::projection::{Problem, RefusedModule, State};
use crate::store::DAMAGED;
use crate::telemetry;

mod backoff;
mod command_error;
mod commands;
mod compare;
mod data_watch;
mod dead_letters;
mod declined;
mod files;
mod meeting;
mod message;
mod onlooker;
mod plan;
mod projection;
mod runner;
mod stopped;
mod succession;
mod switch;
mod verdict;

pub use command_error::CommandError;
pub use data_watch::DataWatch;
use files::ModuleFile;
use message::Message;
pub use message::{BuildFrom, Command, Outcome, Supervision};
pub use plan::{Plan, PlannedModule, PlannedReplay};
use projection::{Ground, Hosted, Projection};
pub use runner::Shared;
pub use stopped::Stopping;

/// Most bytes of what is said of a module file that is refused.
const REFUSAL_BYTES_MAX: usize = 2 << 10;

/// Keeps the generations running that the catalog and the modules folder ask for.
pub struct Supervisor {
    ground: Ground,
    directory: Directory,
    /// Every loaded module by file name: also those that may not run.
    files: BTreeMap<String, ModuleFile>,
    /// Files whose content of now failed its check, or may not be whole yet. What they held before, if anything, is still in `files`
    /// and goes on running, but decides nothing any more.
    broken: BTreeSet<String>,
    projections: BTreeMap<String, Projection>,
    /// Whether settings of projections that are not there were named, which happens once: as soon as every file of the folder is
    /// known.
    settings_checked: bool,
    inbox: mpsc::Receiver<Message>,
}

/// A supervisor that was started.
pub struct Supervised {
    /// Tells it what to do.
    pub supervision: Supervision,
    tracker: TaskTracker,
    task: JoinHandle<()>,
}

impl Supervised {
    /// Waits until every run has stopped, after the stop signal.
    ///
    /// # Errors
    /// If the supervisor panicked.
    pub async fn drained(self) -> Result<(), tokio::task::JoinError> {
        self.supervision.stop().await;
        self.task.await?;
        self.tracker.close();
        self.tracker.wait().await;
        Ok(())
    }
}

impl Supervisor {
    /// Starts with what the catalog knows, all of it served and nothing running yet. `stop` ends all runs at their next
    /// commit boundary.
    ///
    /// # Errors
    /// If the catalog cannot be read.
    pub fn start(
        shared: Arc<Shared>,
        directory: Directory,
        stop: CancellationToken,
    ) -> Result<Supervised, CatalogError> {
        let (supervision, inbox) = Supervision::new();
        let tracker = TaskTracker::new();
        let records = shared.catalog.projections()?;
        let ground = Ground {
            shared,
            tracker: tracker.clone(),
            stop,
            reports: supervision.sender(),
            losses: directory.losses().clone(),
            comparisons: Arc::new(Semaphore::new(compare::COMPARISONS_MAX)),
        };
        let mut supervisor = Self {
            ground,
            directory,
            files: BTreeMap::new(),
            broken: BTreeSet::new(),
            projections: BTreeMap::new(),
            settings_checked: false,
            inbox,
        };
        for record in records {
            supervisor.enter(record);
        }
        // It compiles and writes the catalog, which must not run on an async worker.
        let task = tokio::task::spawn_blocking(move || supervisor.run());
        Ok(Supervised {
            supervision,
            tracker,
            task,
        })
    }

    fn run(mut self) {
        self.delete_retired(None);
        while let Some(message) = self.inbox.blocking_recv() {
            match message {
                Message::Findings(findings) => self.take(findings),
                Message::Command {
                    projection,
                    command,
                    reply,
                } => self.command(&projection, &command, reply),
                Message::Halted { projection, number } => self.halted(&projection, number),
                Message::CaughtUp { projection, number } => self.caught_up(&projection, number),
                Message::Stuck {
                    projection,
                    number,
                    by_build_rules,
                    failure,
                } => {
                    self.stuck(&projection, number, &failure);
                    if by_build_rules {
                        self.try_as_live(&projection, number);
                    }
                }
                Message::Met {
                    projection,
                    number,
                    aim,
                    met,
                    reply,
                } => self.met(&projection, number, aim, met, reply),
                Message::Verified {
                    projection,
                    number,
                    compared,
                } => self.verified(&projection, number, compared),
                Message::Plan { bytes, reply } => self.plan(bytes, reply),
                Message::Planned { module, reply } => self.planned(module, reply),
                Message::Discards {
                    projection,
                    after,
                    limit,
                    reply,
                } => {
                    // Nobody may wait any more.
                    let _not_heard = reply.send(self.discards(&projection, after, limit));
                }
                Message::Stopping {
                    projection,
                    sequence,
                    generation,
                    reply,
                } => self.stopping(&projection, sequence, generation, reply),
                Message::Stop => return,
            }
        }
    }

    /// A projection as the catalog has it, not running.
    fn enter(&mut self, record: ProjectionRecord) {
        let shared = &self.ground.shared;
        let hosted = |generation| Hosted::new(shared, generation, record.file.as_deref());
        let projection = Projection {
            name: record.name.clone(),
            file: record.file.clone(),
            paused: Arc::new(record.paused.into()),
            declined: record.declined,
            generations: record.generations.into_iter().map(hosted).collect(),
            meeting: false,
            verifying: None,
            verified: None,
        };
        if record.paused {
            for hosted in &projection.generations {
                hosted.progress.state(State::Paused, None);
            }
        }
        self.publish(&projection);
        self.projections.insert(record.name, projection);
    }

    fn publish(&self, projection: &Projection) {
        let declined = self.declined_in_words(projection);
        let decided = self.is_decided(&projection.name);
        if let Some(entry) = projection.entry(declined, decided) {
            self.directory.insert(&projection.name, entry);
        }
    }

    /// Makes what runs and what is served follow the catalog.
    fn follow(&mut self, name: &str) -> Result<(), CatalogError> {
        let Some(record) = self.ground.shared.catalog.projection(name)? else {
            return Ok(());
        };
        if !self.projections.contains_key(name) {
            self.enter(record.clone());
        }
        let Some(mut projection) = self.projections.remove(name) else {
            return Ok(());
        };
        let live = |projection: &Projection| projection.live().map(|live| live.record.number);
        let before = live(&projection);
        let gone = self.adopt(&mut projection, record);
        if live(&projection) != before {
            // What is being built has another one to reach.
            projection
                .generations
                .iter_mut()
                .for_each(Hosted::begins_anew_to_meet);
        }
        // Readers are shown the other generation before the one they had goes away.
        self.publish(&projection);
        self.run_or_stop(&mut projection);
        self.projections.insert(name.to_owned(), projection);
        for hosted in gone {
            let ending = hosted.into_ending();
            self.delete_retired(ending);
        }
        Ok(())
    }

    /// Takes over the generations of the catalog; gives those that are retired.
    fn adopt(&self, projection: &mut Projection, record: ProjectionRecord) -> Vec<Hosted> {
        projection.declined = record.declined;
        let file = projection.file.clone();
        let mut before = std::mem::take(&mut projection.generations);
        for generation in record.generations {
            let known = before
                .iter()
                .position(|hosted| hosted.record.number == generation.number);
            projection.generations.push(match known {
                Some(index) => {
                    let mut hosted = before.swap_remove(index);
                    hosted.recorded(generation);
                    hosted
                }
                None => {
                    let hosted = Hosted::new(&self.ground.shared, generation, file.as_deref());
                    if projection.is_paused() {
                        hosted.progress.state(State::Paused, None);
                    }
                    hosted
                }
            });
        }
        before
    }

    /// Starts or stops the generations, as the projection's file and an operator's pause demand.
    fn run_or_stop(&self, projection: &mut Projection) {
        let wanted = projection.is_wanted();
        let paused = Arc::clone(&projection.paused);
        for hosted in &mut projection.generations {
            let runs = wanted && hosted.record.state.is_current();
            if !runs {
                hosted.stop();
            } else if !hosted.is_running() {
                match self.module(&hosted.record.digest) {
                    Ok(module) => {
                        hosted.start(&self.ground, &paused, module);
                    }
                    Err((error, hint)) => hosted.failed(error, hint),
                }
            }
        }
        if wanted {
            self.watch_building(projection);
        }
    }

    /// The module with this digest: from the modules folder, else from the catalog.
    fn module(&self, digest: &str) -> Result<GuestModule, (String, &'static str)> {
        let mut modules = self.files.values().map(|file| &file.module);
        if let Some(module) = modules.find(|module| *module.digest == *digest) {
            return Ok(module.clone());
        }
        let shared = &self.ground.shared;
        let bytes = shared.catalog.module(digest);
        let bytes = bytes.map_err(|error| (error.to_string(), error.hint()))?;
        let module = GuestModule::from_bytes(&shared.engine, &bytes, shared.guest_limits);
        module.map_err(|error| {
            let error = format!("the stored module {} is refused: {error}", &digest[..8]);
            (
                error,
                "put the projection's module file into the modules folder again",
            )
        })
    }

    /// A run has ended for good, until somebody does something.
    fn stuck(&mut self, name: &str, number: u32, failure: &Problem) {
        let catalog = &self.ground.shared.catalog;
        // Only what is being built has failed for good; the others are tried again with the next start.
        let failed = catalog.fail(name, number, failure);
        let failed = failed.and_then(|()| match failure.code.as_str() {
            DAMAGED => catalog.file_damaged(name, number, failure),
            _ => Ok(()),
        });
        if let Err(error) = failed.and_then(|()| self.follow(name)) {
            tracing::error!(projection = name, hint = error.hint(), "{error}");
        }
    }

    /// A generation that was promoted in the moment in which the rules for a build stopped it begins its run again: other
    /// rules hold now.
    fn try_as_live(&mut self, name: &str, number: u32) {
        let projection = self.projections.get_mut(name);
        let hosted = projection.and_then(|projection| projection.numbered(number));
        let is_live = |hosted: &&mut Hosted| hosted.record.state == GenerationState::Live;
        if let Some(hosted) = hosted.filter(is_live) {
            hosted.stop();
            self.settle(name);
        }
    }

    /// Deletes the files of retired generations, once `ending` has let go of its own.
    fn delete_retired(&self, ending: Option<JoinHandle<()>>) {
        let shared = Arc::clone(&self.ground.shared);
        let work = async move {
            if let Some(ending) = ending {
                // However it ended, it does not use its file any more.
                let _ended = ending.await;
            }
            let deleted = tokio::task::spawn_blocking(move || delete_retired(&shared));
            if let Ok(Err(error)) = deleted.await {
                tracing::warn!("{error}; it is tried again when the host starts");
            }
        };
        self.ground.tracker.spawn(work);
    }

    fn refuse(&self, file: &str, mut error: String, hint: &str) {
        // It may quote what the module says of itself.
        error.truncate(error.floor_char_boundary(REFUSAL_BYTES_MAX));
        let known = self.directory.refused();
        if known
            .iter()
            .any(|refused| refused.file == file && refused.problem.error == error)
        {
            return;
        }
        tracing::error!(file, hint, "module refused: {error}");
        self.directory.refuse(RefusedModule {
            file: file.to_owned(),
            verdict: "refused".into(),
            problem: Problem {
                code: "module_refused".into(),
                error,
                hint: Some(hint.to_owned()),
                lost: None,
                event: None,
                at: telemetry::now(),
            },
        });
    }
}

fn delete_retired(shared: &Shared) -> anyhow::Result<()> {
    for (projection, number, file) in shared.catalog.files_to_delete()? {
        shared.folder.delete(&file)?;
        shared.catalog.file_deleted(&projection, number)?;
        tracing::info!(projection, generation = number, file, "retired and deleted");
    }
    Ok(())
}

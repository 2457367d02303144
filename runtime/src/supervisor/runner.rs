//! One generation from its start to its end: attempts, each until something fails, with back-off between.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::backoff::Backoff;
use super::message::Message;
use super::stopped::read_again;
use crate::batch::BatchLimits;
use crate::catalog::{Catalog, GenerationRecord};
use crate::config::Config;
use crate::event::EventRef;
use crate::guest::{Engine, GuestLimits, GuestModule};
use crate::projection::brake::Brake;
use crate::projection::directory::ReadModelFile;
use crate::projection::losses::LossGate;
use crate::projection::poison::PoisonPolicy;
use crate::projection::progress::Progress;
use crate::projection::recovery::{Failure, Retry};
use crate::projection::requests::Requests;
use crate::projection::task::Task;
use crate::projection::turn::{Turn, Turns};
use crate::projection::{Problem, State, named};
use crate::source::EventSource;
use crate::source::shared::SharedReaders;
use crate::store::folder::DataFolder;
use crate::store::{OpenFiles, StoreError};

mod look;
mod loss;
mod prepare;

/// Causes that somebody has to mend outside the host are looked at again after this time: soon enough for a
/// person who waits for it, seldom enough to cost nothing.
pub(super) const LATER: Duration = Duration::from_secs(10);

/// After an attempt that ran this long the next failure starts again at the shortest back-off.
const STEADY: Duration = Duration::from_secs(10);

/// A loop that is about to end does so within this time after it closed its files.
const ENDING: Duration = Duration::from_millis(500);

/// What all projections of a host have in common.
pub struct Shared {
    /// The checked configuration.
    pub config: Config,
    /// Limits on every guest.
    pub guest_limits: GuestLimits,
    /// How far batches are joined.
    pub batch_limits: BatchLimits,
    /// Where read models lie.
    pub folder: DataFolder,
    /// What lies there.
    pub catalog: Arc<Catalog>,
    /// Compiles modules.
    pub engine: Engine,
    /// Where events come from.
    pub source: Arc<dyn EventSource>,
    /// Readers of the streams.
    pub readers: SharedReaders,
    /// Lets live work go first.
    pub turns: Turns,
}

/// What a run is given.
pub(super) struct Run {
    /// What is common to all.
    pub(super) shared: Arc<Shared>,
    /// The generation that is run.
    pub(super) record: Arc<GenerationRecord>,
    /// Says how far it is.
    pub(super) progress: Progress,
    /// Lets it stand for a moment.
    pub(super) brake: Brake,
    /// Lets others go first while it is built.
    pub(super) turn: Turn,
    /// What becomes of events that fail.
    pub(super) poison: PoisonPolicy,
    /// What operators ask for dead letters.
    pub(super) requests: Requests,
    /// Where it waits when events are lost.
    pub(super) losses: Arc<LossGate>,
    /// The module, and the ones that replace it.
    pub(super) module: watch::Receiver<GuestModule>,
    /// Filled with the read model's file when that was opened.
    pub(super) read_model: Arc<OnceLock<Arc<ReadModelFile>>>,
    /// Ends it at its next commit boundary.
    pub(super) stop: CancellationToken,
    /// Whether it was an operator who stopped it.
    pub(super) paused: Arc<AtomicBool>,
    /// Where it says that it cannot go on.
    pub(super) reports: mpsc::Sender<Message>,
}

/// Runs one generation.
pub(super) struct Runner {
    run: Run,
    name: String,
    /// What was logged last.
    said: String,
}

impl std::ops::Deref for Runner {
    type Target = Run;

    fn deref(&self) -> &Run {
        &self.run
    }
}

impl Runner {
    /// A runner that has not started.
    pub(super) fn new(run: Run) -> Self {
        let name = run.record.definition.name.clone();
        Self {
            run,
            name,
            said: String::new(),
        }
    }

    /// Runs until stopped; begins when `previous`, the last run of the same generation, has ended.
    pub(super) async fn run(mut self, previous: Option<JoinHandle<()>>) {
        if let Some(previous) = previous {
            // How it ended was said by itself; here it only matters that it has let go of the read model.
            let _ended = previous.await;
        }
        let mut backoff = Backoff::new(&self.shared.config);
        while !self.stop.is_cancelled() {
            let (started, asked) = (Instant::now(), self.requests.asked_so_far());
            let Err(failure) = self.attempt().await else {
                break;
            };
            self.requests.give_up(asked);
            if started.elapsed() > STEADY {
                backoff.reset();
            }
            let unaccepted = self.unaccepted(&failure).await;
            self.losses.stopped(unaccepted);
            if let Some(lost) = unaccepted {
                self.keep_loss(lost).await;
            }
            let is_accepted = failure.lost().is_some() && unaccepted.is_none();
            let wait = backoff.after(self.retry(&failure, is_accepted));
            match is_accepted {
                true => self.goes_on_without(&failure),
                false => self.failed(&failure, wait.is_some_and(|wait| wait < LATER)),
            }
            if let Some(report) = self.report(&failure, wait) {
                // A host that is stopping does not listen any more, and a new start finds the same.
                let _not_heard = self.reports.send(report).await;
            }
            let failed = failure.poison().map(|failed| failed.event.clone());
            if !self.wait(wait.unwrap_or(Duration::MAX), failed).await {
                backoff.reset();
            }
        }
        let paused = self.paused.load(Ordering::Relaxed);
        self.progress.state(
            if paused {
                State::Paused
            } else {
                State::Stopped
            },
            None,
        );
        tracing::info!(
            projection = self.name,
            generation = self.record.number,
            checkpoint = self.progress.checkpoint(),
            "stopped"
        );
    }

    /// What the supervisor is to know of a failure: that it is not tried again by itself, or what the stream is.
    fn report(&self, failure: &Failure, wait: Option<Duration>) -> Option<Message> {
        let (projection, number) = (self.name.clone(), self.record.number);
        match (wait, failure) {
            (None, _) => Some(Message::Stuck {
                projection,
                number,
                by_build_rules: failure.is_by_build_rules(),
                failure: self.problem(failure),
            }),
            (_, Failure::Source(error)) if !error.may_pass() => {
                Some(Message::Halted { projection, number })
            }
            _ => None,
        }
    }

    /// Until the time is over, a new module arrives, an operator asks for something, the event at which it has stopped is
    /// deleted, or the projection is stopped; whether time was over.
    async fn wait(&mut self, time: Duration, failed: Option<EventRef>) -> bool {
        // The loop may have taken up a module before it failed: only another one than that is news.
        let tried = self.progress.digest();
        tokio::select! {
            () = self.run.stop.cancelled() => false,
            () = self.run.losses.accepted() => false,
            // It is answered by the loop, which may go on then.
            () = self.run.requests.asked() => false,
            () = until_deleted(&*self.run.shared.source, self.run.progress.stream(), failed) => false,
            Ok(_) = self.run.module.wait_for(|module| *module.digest != tried) => false,
            () = tokio::time::sleep(time) => true,
        }
    }

    /// When to try again: a loss that is accepted anyway does not wait for a person.
    fn retry(&self, failure: &Failure, is_accepted: bool) -> Retry {
        // The record is that of the run's start; a promotion in between starts nothing anew.
        let builds = self.poison.is_being_built();
        match failure {
            _ if is_accepted => Retry::Soon,
            // Nobody has a copy of what was only being built.
            Failure::Store(StoreError::Missing { .. }) if builds => Retry::Never,
            _ => failure.retry(),
        }
    }

    fn problem(&self, failure: &Failure) -> Problem {
        let mut problem = Problem::of(&self.name, failure);
        let for_build = failure.hint_for_build(self.record.purpose);
        if let Some(hint) = for_build.filter(|_| self.poison.is_being_built()) {
            problem.hint = Some(named(hint, &self.name));
        }
        if let (Some(hint), Some(failed)) = (&mut problem.hint, failure.poison()) {
            hint.push_str(&self.or_discard(&failed.event));
        }
        problem
    }

    /// What stops at an event goes on when that is given up. A build has failed for good, and is begun again.
    fn or_discard(&self, event: &EventRef) -> String {
        let (name, number, sequence) = (&self.name, self.record.number, event.sequence);
        // Named also where it is live: another one may be by the time this is read.
        let event = format!("{name} {sequence} --generation {number}`");
        let then = match self.poison.is_being_built() {
            false => "",
            true => ", which says how it is begun again",
        };
        format!(
            ". See the event: `foldline dead-letters show {event}. Or give it up: `foldline dead-letters discard {event}{then}"
        )
    }

    fn failed(&mut self, failure: &Failure, soon_again: bool) {
        let problem = self.problem(failure);
        // What the status knows may be of an earlier run, or of a first look at the file: neither was logged here.
        let known = self.progress.problem();
        let known = known.is_some_and(|known| known.error == problem.error);
        if known && self.said == problem.error {
            tracing::debug!(projection = self.name, "still: {failure}");
        } else {
            let (code, hint) = (failure.code(), problem.hint.as_deref());
            tracing::error!(projection = self.name, code, hint, "{failure}");
            self.said.clone_from(&problem.error);
        }
        let state = if soon_again && !failure.needs_somebody() {
            State::Starting
        } else {
            State::Failed
        };
        self.progress.state(state, Some(problem));
    }

    /// Opens, reads, projects, commits, until something fails or it is stopped.
    async fn attempt(&mut self) -> Result<(), Failure> {
        let module = self.run.module.borrow_and_update().clone();
        // It may have come at any moment at which no loop ran: while it waited, while it was paused.
        if *module.digest != self.progress.digest() {
            self.progress.reloaded(&module);
        }
        // Never given up half way: a run that ended must not still be opening the file.
        let store = self.open(module.clone()).await?;
        let files = OpenFiles::of(&self.shared.folder.path_of(&self.record.file));
        let stop = self.stop.child_token();
        let task = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            task = self.prepare(store, module, stop.clone()) => task?,
        };
        self.supervise(task, &files, stop).await
    }

    /// Runs the loop on its thread and looks at it now and then; ends it where its files are not what they should be.
    async fn supervise(
        &self,
        task: Task,
        files: &OpenFiles,
        stop: CancellationToken,
    ) -> Result<(), Failure> {
        let runtime = tokio::runtime::Handle::current();
        let mut running = tokio::task::spawn_blocking(move || task.run(&runtime));
        let unfit = tokio::select! {
            ended = &mut running => {
                return ended.unwrap_or_else(|panic| Err(Failure::Panic(panic.to_string())));
            }
            unfit = self.look(files) => unfit,
        };
        // A loop that ends closes its files, and SQLite deletes the log then: what it says itself counts.
        if let Ok(ended) = tokio::time::timeout(ENDING, &mut running).await {
            return ended.unwrap_or_else(|panic| Err(Failure::Panic(panic.to_string())));
        }
        stop.cancel();
        // How it ends does not matter: nothing that it commits will be found again.
        let _ended = running.await;
        match self.stop.is_cancelled() {
            // Whoever stopped it may have deleted the file.
            true => Ok(()),
            false => Err(unfit.into()),
        }
    }
}

/// Returns when the event is not in its stream any more; never, where there is none.
async fn until_deleted(source: &dyn EventSource, stream: Option<String>, event: Option<EventRef>) {
    let (Some(stream), Some(event)) = (stream, event) else {
        return std::future::pending().await;
    };
    loop {
        tokio::time::sleep(LATER).await;
        // What is in the way of the answer now may pass.
        if let Ok(None) = read_again(source, &stream, &event).await {
            return;
        }
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    let joined = tokio::task::spawn_blocking(work).await;
    joined.map_err(|panic| Failure::Panic(panic.to_string()))
}

//! One generation from its start to its end: attempts, each until something fails, with back-off between.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::backoff::Backoff;
use super::message::Message;
use crate::batch::BatchLimits;
use crate::catalog::{Catalog, GenerationRecord};
use crate::config::Config;
use crate::event::Position;
use crate::guest::{Engine, GuestLimits, GuestModule};
use crate::projection::brake::Brake;
use crate::projection::directory::ReadModelFile;
use crate::projection::losses::LossGate;
use crate::projection::poison::PoisonPolicy;
use crate::projection::progress::{Progress, Rate};
use crate::projection::recovery::{Failure, Retry, Rules};
use crate::projection::requests::Requests;
use crate::projection::task::{Inputs, Task};
use crate::projection::turn::{Turn, Turns};
use crate::projection::{Problem, State};
use crate::session::Session;
use crate::source::position::{self, OnLostEvents, Resume, Start};
use crate::source::shared::SharedReaders;
use crate::source::{EventSource, LostEvents};
use crate::store::folder::DataFolder;
use crate::store::sqlite::SqliteStore;
use crate::store::{Checkpoint, ReadModelStore};

/// How often the rate is measured: often enough to say after the first tenth of a few seconds how long the rest takes.
const LOOK: Duration = Duration::from_millis(250);

/// The stream's end is asked for with each so-many-th look.
const LOOKS_PER_QUESTION: u32 = 4;

/// Causes that somebody has to mend outside the host are looked at again after this time: soon enough for a
/// person who waits for it, seldom enough to cost nothing.
pub(super) const LATER: Duration = Duration::from_secs(10);

/// An attempt that ran this long was a success: the next failure starts again at the shortest back-off.
const STEADY: Duration = Duration::from_secs(10);

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
    pub catalog: Catalog,
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
        Self { run, name }
    }

    /// Runs until stopped; begins when `previous`, the last run of the same generation, has ended.
    pub(super) async fn run(mut self, previous: Option<JoinHandle<()>>) {
        if let Some(previous) = previous {
            // How it ended was said by itself; here it only matters that it has let go of the read model.
            let _ended = previous.await;
        }
        let mut backoff = Backoff::new(&self.shared.config);
        while !self.stop.is_cancelled() {
            let started = Instant::now();
            let Err(failure) = self.attempt().await else {
                break;
            };
            if started.elapsed() > STEADY {
                backoff.reset();
            }
            self.losses.stopped(failure.lost());
            let wait = backoff.after(self.retry(&failure));
            self.failed(&failure, wait.is_some_and(|wait| wait < LATER));
            if wait.is_none() {
                self.report(&failure).await;
            }
            if !self.wait(wait.unwrap_or(Duration::MAX)).await {
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

    /// Says that it is not tried again by itself.
    async fn report(&self, failure: &Failure) {
        let report = Message::Stuck {
            projection: self.name.clone(),
            number: self.record.number,
            failure: failure.into(),
        };
        // A host that is stopping does not listen any more, and a new start finds the same.
        let _not_heard = self.reports.send(report).await;
    }

    /// Until the time is over, a new module arrives, an operator asks for something, or the projection is stopped; whether time was over.
    async fn wait(&mut self, time: Duration) -> bool {
        // The loop may have taken up a module before it failed: only another one than that is news.
        let tried = self.progress.digest();
        tokio::select! {
            () = self.run.stop.cancelled() => false,
            () = self.run.losses.accepted() => false,
            // It is answered by the loop, which may go on then.
            () = self.run.requests.asked() => false,
            Ok(module) = self.run.module.wait_for(|module| *module.digest != tried) => {
                self.run.progress.reloaded(&module);
                false
            }
            () = tokio::time::sleep(time) => true,
        }
    }

    /// When to try again: a loss that is accepted anyway does not wait for a person.
    fn retry(&self, failure: &Failure) -> Retry {
        match (failure.lost(), self.on_lost_events()) {
            (Some(_), OnLostEvents::Accept) => Retry::Soon,
            _ => failure.retry(),
        }
    }

    fn on_lost_events(&self) -> OnLostEvents {
        self.shared.config.projection(&self.name).on_lost_events
    }

    fn failed(&self, failure: &Failure, soon_again: bool) {
        let problem = Problem::from(failure);
        let known = self.progress.problem();
        if known.is_some_and(|known| known.error == problem.error) {
            tracing::debug!(projection = self.name, "still: {failure}");
        } else {
            let (code, hint) = (failure.code(), failure.hint());
            tracing::error!(projection = self.name, code, hint, "{failure}");
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
        // Never given up half way: a run that ended must not still be opening the file.
        let store = self.open(module.clone()).await?;
        let stop = self.stop.clone();
        let task = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            task = self.prepare(store, module) => task?,
        };
        self.supervise(task).await
    }

    /// Everything else the loop needs: its place in the stream, and the events from there.
    async fn prepare(&self, store: SqliteStore, module: GuestModule) -> Result<Task, Failure> {
        let (checkpoint, resume) = self.place(store.checkpoint(), &module).await?;
        let store = self.pass_over_lost(store, &checkpoint, &resume).await?;
        let readers = &self.shared.readers;
        let subscription = readers
            .subscribe(&checkpoint.stream, checkpoint.position())
            .await?;
        Ok(Task {
            session: self.session(store, &module)?,
            checkpoint,
            rules: Rules {
                guest: self.shared.guest_limits,
                commits: self.shared.config.store.commits(),
                poison: self.poison.clone(),
            },
            resume,
            progress: self.progress.clone(),
            brake: self.brake.clone(),
            turn: self.turn.clone(),
            inputs: Inputs {
                subscription,
                ahead: None,
                filters: filters(&module),
                limits: self.shared.batch_limits,
                module: self.module.clone(),
                requests: self.requests.clone(),
                stop: self.stop.clone(),
            },
            guest: module,
        })
    }

    fn session(&self, store: SqliteStore, module: &GuestModule) -> Result<Session, Failure> {
        let cache = self.shared.config.store.cache_bytes();
        let definition = Arc::clone(&module.definition);
        Ok(Session::new(Box::new(store), definition, cache)?)
    }

    /// Opens the read model, making it where there is none, and serves it.
    async fn open(&self, module: GuestModule) -> Result<SqliteStore, Failure> {
        let (shared, record) = (Arc::clone(&self.shared), Arc::clone(&self.record));
        let store = blocking(move || {
            let definition = &module.definition;
            shared
                .folder
                .open_or_create(&record.file, definition, &module.digest)
        })
        .await??;
        self.read_model.get_or_init(|| {
            Arc::new(ReadModelFile {
                path: self.shared.folder.path_of(&self.record.file),
                definition: self.record.definition.clone(),
            })
        });
        self.progress.opened(store.checkpoint());
        Ok(store)
    }

    /// Finds the stream and checks that the read model's checkpoint belongs to it.
    async fn place(
        &self,
        stored: Option<&Checkpoint>,
        module: &GuestModule,
    ) -> Result<(Checkpoint, Resume), Failure> {
        let source = &*self.shared.source;
        let settings = self.shared.config.projection(&self.name);
        let stream = match (&settings.stream, stored) {
            (Some(stream), Some(checkpoint)) if checkpoint.stream != *stream => {
                return Err(Failure::OtherStream {
                    configured: stream.clone(),
                    stored: checkpoint.stream.clone(),
                });
            }
            (Some(stream), _) => stream.clone(),
            (None, Some(checkpoint)) => checkpoint.stream.clone(),
            (None, None) => source.find_stream(&filters(module)).await?,
        };
        self.progress.found(&stream);
        let start = self.record.started_from.map(Start::Sequence);
        let start = start.unwrap_or(settings.start);
        let on_lost = match self.losses.pass() {
            true => OnLostEvents::Accept,
            false => settings.on_lost_events,
        };
        let resume = position::check(source, &stream, stored, start, on_lost).await?;
        let first = || Checkpoint {
            stream,
            sequence: resume.after,
            anchor: 0,
            epoch: 1,
        };
        let checkpoint = match (stored, resume.lost) {
            (Some(stored), None) => stored.clone(),
            (Some(stored), Some(lost)) => stored.at(Position {
                sequence: lost.last,
                // Nobody knows when that event was stored, so it is no anchor.
                time: 0,
            }),
            (None, _) => first(),
        };
        Ok((checkpoint, resume))
    }

    /// Commits that lost events are passed over, so that it stays accepted, and says so.
    async fn pass_over_lost(
        &self,
        mut store: SqliteStore,
        checkpoint: &Checkpoint,
        resume: &Resume,
    ) -> Result<SqliteStore, Failure> {
        let Some(LostEvents { first, last }) = resume.lost else {
            return Ok(store);
        };
        tracing::warn!(
            projection = self.name,
            stream = checkpoint.stream,
            "the loss of events {first} to {last} is accepted: their changes are missing from the read model"
        );
        if store.checkpoint().is_none() {
            return Ok(store);
        }
        let next = checkpoint.clone();
        blocking(move || {
            store.commit(&next)?;
            Ok(store)
        })
        .await?
    }

    /// Runs the loop on its thread and looks at it now and then.
    async fn supervise(&self, task: Task) -> Result<(), Failure> {
        let stream = task.checkpoint.stream.clone();
        let runtime = tokio::runtime::Handle::current();
        let running = tokio::task::spawn_blocking(move || task.run(&runtime));
        tokio::select! {
            ended = running => {
                ended.unwrap_or_else(|panic| Err(Failure::Panic(panic.to_string())))
            }
            never = self.look(&stream) => match never {},
        }
    }

    /// Measures the rate and looks at the stream's end, for as long as it is polled.
    async fn look(&self, stream: &str) -> Infallible {
        let (mut read, mut arriving) = (Rate::default(), Rate::default());
        let mut replay_rate = self.progress.replay_rate();
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        for number in 0_u32.. {
            look.tick().await;
            if let Some((checkpoint, last)) = self.progress.place() {
                let now = Instant::now();
                let rates = (read.look(now, checkpoint), arriving.look(now, last));
                self.progress.rates(rates.0, rates.1);
            }
            if !number.is_multiple_of(LOOKS_PER_QUESTION) {
                continue;
            }
            // The reader reports the same trouble with more detail; here it only means "not now".
            if let Ok(state) = self.shared.source.stream_state(stream).await {
                self.progress.stream_seen(state.last_sequence);
            }
            let measured = self.progress.replay_rate();
            if measured != replay_rate {
                replay_rate = measured;
                self.keep_replay_rate(measured).await;
            }
        }
        std::future::pending().await
    }

    /// For the next who asks how long a rebuild takes.
    async fn keep_replay_rate(&self, rate: Option<f64>) {
        let Some(rate) = rate else { return };
        let (shared, name) = (Arc::clone(&self.shared), self.name.clone());
        let number = self.record.number;
        let kept = blocking(move || shared.catalog.replayed(&name, number, rate)).await;
        if let Ok(Err(error)) = kept {
            tracing::warn!(projection = self.name, "{error}");
        }
    }
}

/// The module's subject filters; the definition was checked when it was loaded.
fn filters(module: &GuestModule) -> Vec<crate::subject::SubjectFilter> {
    module.definition.filters().unwrap_or_default()
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Failure> {
    let joined = tokio::task::spawn_blocking(work).await;
    joined.map_err(|panic| Failure::Panic(panic.to_string()))
}

//! One projection from its start to its end: attempts, each until something fails, with back-off between.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::batch::BatchLimits;
use crate::config::Config;
use crate::event::Position;
use crate::guest::{GuestLimits, GuestModule};
use crate::projection::directory::{Directory, ReadModelFile};
use crate::projection::losses::LossGate;
use crate::projection::progress::{Progress, Rate};
use crate::projection::recovery::{Failure, Retry};
use crate::projection::task::{Inputs, Task};
use crate::projection::{Generation, Problem, State, Status};
use crate::session::Session;
use crate::source::position::{self, OnLostEvents, Resume};
use crate::source::shared::SharedReaders;
use crate::source::{EventSource, LostEvents};
use crate::store::folder::DataFolder;
use crate::store::sqlite::SqliteStore;
use crate::store::{Checkpoint, ReadModelStore};

/// How often the rate is measured and the stream's end looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Causes that somebody has to mend outside the host are looked at again after this time: soon enough for a
/// person who waits for it, seldom enough to cost nothing.
const LATER: Duration = Duration::from_secs(10);

/// Attempts at an event that reaches the time limit: a machine that stood still is over by then.
const FEW: u32 = 3;

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
    /// Where events come from.
    pub source: Arc<dyn EventSource>,
    /// Readers of the streams.
    pub readers: SharedReaders,
}

/// Runs one projection.
pub(super) struct Runner {
    shared: Arc<Shared>,
    directory: Directory,
    name: String,
    module: watch::Receiver<GuestModule>,
    progress: Progress,
    /// Where it waits when events are lost.
    losses: Arc<LossGate>,
    stop: CancellationToken,
}

impl Runner {
    /// A runner that has not started, and the status it will speak through.
    pub(super) fn new(
        shared: Arc<Shared>,
        directory: Directory,
        file: &str,
        module: watch::Receiver<GuestModule>,
        stop: CancellationToken,
    ) -> (Self, watch::Receiver<Status>) {
        let status = first_status(file, &module.borrow());
        let (sender, receiver) = watch::channel(status);
        let name = receiver.borrow().name.clone();
        let runner = Self {
            losses: directory.losses().gate(&name),
            shared,
            directory,
            name,
            module,
            progress: Progress::new(sender),
            stop,
        };
        (runner, receiver)
    }

    /// Runs until stopped; begins when `previous`, the last run of the same projection, has ended.
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
            if !self.wait(wait.unwrap_or(Duration::MAX)).await {
                backoff.reset();
            }
        }
        self.progress.state(State::Stopped, None);
        tracing::info!(
            projection = self.name,
            checkpoint = self.progress.checkpoint(),
            "stopped"
        );
    }

    /// Until the time is over, a new module arrives, or the projection is stopped; whether time was over.
    async fn wait(&mut self, time: Duration) -> bool {
        // The loop may have taken up a module before it failed: only another one than that is news.
        let tried = self.progress.digest();
        tokio::select! {
            () = self.stop.cancelled() => false,
            () = self.losses.accepted() => false,
            Ok(module) = self.module.wait_for(|module| *module.digest != tried) => {
                self.progress.reloaded(&module);
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
        let module = self.module.borrow_and_update().clone();
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
            commits: self.shared.config.store.commits(),
            resume,
            limits: self.shared.guest_limits,
            progress: self.progress.clone(),
            inputs: Inputs {
                subscription,
                ahead: None,
                filters: filters(&module),
                limits: self.shared.batch_limits,
                module: self.module.clone(),
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
        let shared = Arc::clone(&self.shared);
        let (path, store) = blocking(move || {
            shared
                .folder
                .open_or_create(&module.definition, &module.digest)
        })
        .await??;
        let definition = (*self.module.borrow().definition).clone();
        self.directory
            .serve(&self.name, ReadModelFile { path, definition });
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
        let on_lost = match self.losses.pass() {
            true => OnLostEvents::Accept,
            false => settings.on_lost_events,
        };
        let resume = position::check(source, &stream, stored, settings.start, on_lost).await?;
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

    /// Runs the loop on its thread and looks at it once a second.
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
        let mut rate = Rate::default();
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            look.tick().await;
            let checkpoint = self.progress.checkpoint();
            self.progress.rate(rate.look(Instant::now(), checkpoint));
            // The reader reports the same trouble with more detail; here it only means "not now".
            if let Ok(state) = self.shared.source.stream_state(stream).await {
                self.progress.stream_seen(state.last_sequence);
            }
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

fn first_status(file: &str, module: &GuestModule) -> Status {
    let definition = &module.definition;
    Status {
        name: definition.name.clone(),
        version: definition.version,
        digest: module.digest.to_string(),
        file: file.to_owned(),
        status: State::Starting,
        stream: None,
        checkpoint: 0,
        last_sequence: 0,
        lag: 0,
        events_per_second: 0.0,
        reloads: 0,
        generations: vec![Generation {
            version: definition.version,
            digest: module.digest.to_string(),
            state: "live".into(),
            checkpoint: 0,
        }],
        tables: definition
            .tables
            .iter()
            .map(|table| table.name.clone())
            .collect(),
        dead_letters: 0,
        held_keys: 0,
        last_error: None,
        warnings: Vec::new(),
    }
}

/// Doubles from the shortest to the longest wait, with jitter so that projections do not knock together.
struct Backoff {
    min: Duration,
    max: Duration,
    next: Duration,
    /// Attempts of those that are given up after [`FEW`].
    few: u32,
}

impl Backoff {
    fn new(config: &Config) -> Self {
        let (min, max) = (config.recovery.restart_min(), config.recovery.restart_max());
        Self {
            min,
            max,
            next: min,
            few: 0,
        }
    }

    /// How long to wait after a failure; none: until somebody does something.
    fn after(&mut self, retry: Retry) -> Option<Duration> {
        match retry {
            Retry::Soon => Some(self.double()),
            Retry::AFewTimes => {
                self.few += 1;
                (self.few < FEW).then(|| self.double())
            }
            Retry::Later => Some(LATER),
            Retry::Never => None,
        }
    }

    fn double(&mut self) -> Duration {
        let wait = self.next;
        self.next = (wait * 2).min(self.max);
        wait.mul_f64(rand::random_range(0.5..=1.0))
    }

    fn reset(&mut self) {
        self.next = self.min;
        self.few = 0;
    }
}

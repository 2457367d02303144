//! One projection: its generations, started and stopped together.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use super::command_error::CommandError;
use super::meeting::Party;
use super::message::Message;
use super::onlooker::look_on;
use super::runner::{Run, Runner, Shared};
use crate::catalog::{Discards, GenerationRecord, GenerationState, Purpose};
use crate::config::Promote;
use crate::event::Sequence;
use crate::guest::GuestModule;
use crate::projection::brake::Brake;
use crate::projection::directory::{Entry, GenerationEntry, ReadModelFile};
use crate::projection::lag::{Behind, Waiting};
use crate::projection::losses::Losses;
use crate::projection::poison::PoisonPolicy;
use crate::projection::progress::Progress;
use crate::projection::recovery::Failure;
use crate::projection::requests::Requests;
use crate::projection::turn::Turn;
use crate::projection::{Comparison, Problem, State, Status, StreamPlace};
use crate::store::sqlite::reader::{ReadError, ReadLimits, Reader};
use crate::store::{Checkpoint, StoreError};
use crate::telemetry;

/// What every run of a host needs.
pub(super) struct Ground {
    pub(super) shared: Arc<Shared>,
    pub(super) tracker: TaskTracker,
    pub(super) stop: CancellationToken,
    pub(super) reports: mpsc::Sender<Message>,
    pub(super) losses: Losses,
    /// Bounds how many read models are compared at once.
    pub(super) comparisons: Arc<Semaphore>,
}

/// One projection that the catalog knows.
pub(super) struct Projection {
    pub(super) name: String,
    /// The module file that it is run by; none when that is gone.
    pub(super) file: Option<String>,
    pub(super) paused: Arc<AtomicBool>,
    /// Digest of a module that was taken back while it lies in `file`.
    pub(super) declined: Option<String>,
    /// All that are not retired, oldest first. One of them is live.
    pub(super) generations: Vec<Hosted>,
    /// Two generations are being brought together.
    pub(super) meeting: bool,
    /// The generation whose rows are being compared, to verify those of the live one.
    pub(super) verifying: Option<u32>,
    /// What the last `verify` found.
    pub(super) verified: Option<Arc<Comparison>>,
}

/// One generation of a projection, running or not.
pub(super) struct Hosted {
    pub(super) record: Arc<GenerationRecord>,
    pub(super) progress: Progress,
    pub(super) brake: Brake,
    turn: Turn,
    poison: PoisonPolicy,
    pub(super) requests: Requests,
    read_model: Arc<OnceLock<Arc<ReadModelFile>>>,
    running: Option<Running>,
    /// Its last run, once told to stop: the next one waits for it.
    ending: Option<JoinHandle<()>>,
    /// Looks at its stream's end.
    #[expect(dead_code, reason = "it looks for as long as it is held")]
    onlooker: AbortOnDropHandle<()>,
    /// Notices when it is at the heels of the live one.
    watch: Option<AbortOnDropHandle<()>>,
    /// Attempts to bring it together with the live one that failed.
    setbacks: u32,
}

struct Running {
    module: watch::Sender<GuestModule>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Projection {
    pub(super) fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Relaxed)
    }

    /// Whether its generations should run.
    pub(super) fn is_wanted(&self) -> bool {
        self.file.is_some() && !self.is_paused()
    }

    pub(super) fn of_state(&self, state: GenerationState) -> Option<&Hosted> {
        let mut generations = self.generations.iter();
        generations.find(|hosted| hosted.record.state == state)
    }

    pub(super) fn live(&self) -> Option<&Hosted> {
        self.of_state(GenerationState::Live)
    }

    /// What is being built, or was and has failed.
    pub(super) fn built(&self) -> Option<&Hosted> {
        let failed = self.of_state(GenerationState::Failed);
        self.of_state(GenerationState::Building).or(failed)
    }

    /// What is being built of the live version to take its place, or was and has failed.
    pub(super) fn rebuilt(&self) -> Option<&Hosted> {
        let live = self.live()?.record.version;
        let built = self.built().map(|built| (built, &*built.record));
        let built = built.filter(|(_, it)| it.version == live && it.purpose == Purpose::Promote);
        built.map(|(built, _)| built)
    }

    pub(super) fn numbered(&mut self, number: u32) -> Option<&mut Hosted> {
        let mut generations = self.generations.iter_mut();
        generations.find(|hosted| hosted.record.number == number)
    }

    /// As the query side sees it.
    pub(super) fn entry(&self, declined: Option<String>, decided: bool) -> Option<Entry> {
        let live = self.live()?;
        let others = self.generations.iter();
        let others = others.filter(|other| other.record.number != live.record.number);
        Some(Entry {
            live: live.entry(),
            others: others.map(Hosted::entry).collect(),
            decided,
            declined,
            verified: self.verified.clone(),
        })
    }
}

impl Hosted {
    /// A generation of the catalog, not running yet.
    pub(super) fn new(shared: &Arc<Shared>, record: GenerationRecord, file: Option<&str>) -> Self {
        let path = shared.folder.path_of(&record.file);
        let name = &record.definition.name;
        let history = shared.catalog.file_history(name, record.number);
        // Who cannot be asked does not say that it is missing.
        let was_made = history.is_ok_and(|history| history.made);
        let (checkpoint, broken) = match first_look(&path, was_made) {
            Ok(checkpoint) => (checkpoint, None),
            Err(error) => (None, Some(Problem::of(name, &Failure::Store(error)))),
        };
        let read_model = OnceLock::new();
        if path.exists() {
            let definition = record.definition.clone();
            // Just made, so it is empty.
            let _first = read_model.set(Arc::new(ReadModelFile::new(path.clone(), definition)));
        }
        let settings = shared.config.projection(&record.definition.name);
        let status = Status {
            promote: settings.promote,
            waiting: Waiting::new(shared.config.stall_limit(&record.definition.name)),
            ..first_status(&record, file.unwrap_or_default(), broken)
        };
        let progress = Progress::new(watch::Sender::new(status));
        progress.opened(checkpoint.as_ref());
        if let Some(counts) = read(&path, Reader::set_aside) {
            progress.set_aside(counts);
        }
        Self {
            turn: Turn::new(&shared.turns, is_built(&record)),
            poison: PoisonPolicy::new(
                settings.on_poison,
                settings.on_poison_building,
                is_built(&record),
                shared.config.recovery.poison(),
            )
            .remembering(Discards::new(Arc::clone(&shared.catalog), name)),
            requests: Requests::default(),
            onlooker: look_on(Arc::clone(shared), progress.clone()),
            record: Arc::new(record),
            progress,
            brake: Brake::default(),
            read_model: Arc::new(read_model),
            running: None,
            ending: None,
            watch: None,
            setbacks: 0,
        }
    }

    /// What the catalog says of it now.
    pub(super) fn recorded(&mut self, record: GenerationRecord) {
        self.turn.set(is_built(&record));
        self.poison.set_built(is_built(&record));
        self.record = Arc::new(record);
    }

    pub(super) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    pub(super) fn start(&mut self, ground: &Ground, paused: &Arc<AtomicBool>, module: GuestModule) {
        let definition = &self.record.definition;
        tracing::info!(
            projection = definition.name,
            version = definition.version,
            generation = self.record.number,
            state = self.record.state.as_str(),
            digest = module.short_digest(),
            "starting"
        );
        self.setbacks = 0;
        let stop = ground.stop.child_token();
        let (sender, receiver) = watch::channel(module);
        self.progress.state(State::Starting, None);
        let runner = Runner::new(Run {
            shared: Arc::clone(&ground.shared),
            record: Arc::clone(&self.record),
            progress: self.progress.clone(),
            brake: self.brake.clone(),
            turn: self.turn.clone(),
            poison: self.poison.clone(),
            requests: self.requests.clone(),
            losses: match self.record.purpose {
                Purpose::Promote => ground.losses.gate(&definition.name),
                // Nobody accepts a loss for it: it would be compared without the lost events.
                Purpose::Verify => Arc::default(),
            },
            module: receiver,
            read_model: Arc::clone(&self.read_model),
            stop: stop.clone(),
            paused: Arc::clone(paused),
            reports: ground.reports.clone(),
        });
        let task = ground.tracker.spawn(runner.run(self.ending.take()));
        self.running = Some(Running {
            module: sender,
            stop,
            task,
        });
    }

    pub(super) fn is_watched(&self) -> bool {
        self.watch.is_some()
    }

    pub(super) fn watched_by(&mut self, watch: AbortOnDropHandle<()>) {
        self.watch = Some(watch);
    }

    pub(super) fn not_watched(&mut self) {
        self.watch = None;
    }

    /// There is another live one that it is to reach.
    pub(super) fn begins_anew_to_meet(&mut self) {
        self.watch = None;
        self.setbacks = 0;
    }

    /// Could not be brought together with the live one; how often that was so before.
    pub(super) fn setback(&mut self) -> u32 {
        let before = self.setbacks;
        self.setbacks = before.saturating_add(1);
        before
    }

    /// Ends it at its next commit boundary.
    pub(super) fn stop(&mut self) {
        self.watch = None;
        if let Some(running) = self.running.take() {
            running.stop.cancel();
            self.ending = Some(running.task);
        }
    }

    /// Hands it another module, taken up at its next commit boundary.
    pub(super) fn reload(&self, module: &GuestModule) {
        // The task's end of the channel lives as long as the task; one that ended is not told.
        if let Some(running) = &self.running {
            running.module.send_replace(module.clone());
        }
    }

    /// Stops it for good; what is given ends when it has let go of its file.
    pub(super) fn into_ending(mut self) -> Option<JoinHandle<()>> {
        self.stop();
        self.ending
    }

    /// It does not run, and says why.
    pub(super) fn failed(&self, error: String, hint: &str) {
        let problem = Problem {
            code: "module_refused".into(),
            error,
            hint: Some(hint.to_owned()),
            lost: None,
            event: None,
            at: telemetry::now(),
        };
        self.progress.state(State::Failed, Some(problem));
    }

    /// That it cannot be promoted.
    pub(super) fn build_failed(&self) -> CommandError {
        let (record, failure) = (&self.record, self.record.failure.as_ref());
        CommandError::BuildFailed {
            name: record.definition.name.clone(),
            version: record.version,
            failure: failure.map_or_else(String::new, |failure| failure.error.clone()),
            hint: failure.and_then(|failure| failure.hint.clone()),
        }
    }

    pub(super) fn party(&self) -> Party {
        Party {
            version: self.record.version,
            progress: self.progress.clone(),
            brake: self.brake.clone(),
        }
    }

    fn entry(&self) -> GenerationEntry {
        GenerationEntry {
            record: Arc::clone(&self.record),
            status: self.progress.subscribe(),
            read_model: Arc::clone(&self.read_model),
        }
    }
}

/// Whether it is not served yet, so that others go first.
fn is_built(record: &GenerationRecord) -> bool {
    record.state == GenerationState::Building
}

/// The sequence that a read model's file stands at; 0 when it is not there or cannot be read.
pub(super) fn checkpoint(path: &std::path::Path) -> Sequence {
    let checkpoint = read(path, Reader::checkpoint).flatten();
    checkpoint.map_or(0, |found| found.sequence)
}

/// Where a read model's file stands; none when there is none yet.
///
/// # Errors
/// If it is gone or damaged. What may pass is seen when it is opened.
fn first_look(path: &std::path::Path, was_made: bool) -> Result<Option<Checkpoint>, StoreError> {
    if was_made && !path.exists() {
        return Err(StoreError::missing(path));
    }
    match Reader::new(path).checkpoint(short()) {
        Ok(checkpoint) => Ok(checkpoint),
        Err(ReadError::Damaged { reason, .. }) => Err(StoreError::damaged(path, reason)),
        Err(_) => Ok(None),
    }
}

fn short() -> ReadLimits {
    ReadLimits {
        deadline: Instant::now() + std::time::Duration::from_secs(1),
        bytes_max: 0,
    }
}

/// Something small that a read model's file says; none when it is not there or cannot be read.
fn read<T>(
    path: &std::path::Path,
    what: impl Fn(&Reader, ReadLimits) -> Result<T, ReadError>,
) -> Option<T> {
    if !path.exists() {
        return None;
    }
    what(&Reader::new(path), short()).ok()
}

fn first_status(record: &GenerationRecord, file: &str, broken: Option<Problem>) -> Status {
    let definition = &record.definition;
    let last_error = record.failure.clone().or(broken);
    let status = if last_error.is_some() {
        State::Failed
    } else {
        State::Stopped
    };
    Status {
        name: definition.name.clone(),
        version: definition.version,
        digest: record.digest.clone(),
        file: file.to_owned(),
        status,
        stream: None,
        checkpoint: 0,
        last_sequence: 0,
        lag: 0,
        events_per_second: 0.0,
        arriving_per_second: 0.0,
        behind: Behind::default(),
        waiting: Waiting::default(),
        replay_rate: record.replay_rate,
        reloads: 0,
        promote: Promote::default(),
        generations: Vec::new(),
        verified: None,
        tables: definition
            .tables
            .iter()
            .map(|table| table.name.clone())
            .collect(),
        dead_letters: 0,
        held_keys: 0,
        failed_at: last_error
            .as_ref()
            .and_then(|problem| problem.event.clone()),
        last_error,
        warnings: Vec::new(),
        place: StreamPlace::default(),
    }
}

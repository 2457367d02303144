//! The nouns people see of a projection, and the loop that moves it.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::catalog::{GenerationRecord, GenerationState, Purpose};
use crate::config::Promote;
use crate::event::{EventRef, Sequence};
use crate::source::LostEvents;
use crate::store::dead_letters::Attempt;
use crate::store::sqlite::compare::Difference;
use crate::telemetry;
use lag::{Behind, Trend, Waiting};
use recovery::Failure;

pub mod brake;
pub mod directory;
pub mod lag;
pub mod losses;
pub mod pace;
pub mod poison;
pub mod progress;
pub mod recovery;
pub mod requests;
pub mod task;
pub mod turn;

/// What a projection is doing. States do not lie: `live` means that nothing waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Opening its read model, or waiting for its stream or the server; `last_error` says for what.
    Starting,
    /// Events wait to be applied.
    CatchingUp,
    /// Every event of the stream is applied.
    Live,
    /// A newer generation is replaying the stream beside the live one.
    Building,
    /// Stopped by an operator until resumed.
    Paused,
    /// It cannot go on by itself; `last_error` says why and what to do.
    Failed,
    /// Its module file is gone, or the host is stopping. The read model stays and is served.
    Stopped,
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Starting => "starting",
            Self::CatchingUp => "catching_up",
            Self::Live => "live",
            Self::Building => "building",
            Self::Paused => "paused",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        })
    }
}

/// What went wrong last, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// What kind of problem: a word for programs, which stays the same, as `events_lost`.
    #[serde(default)]
    pub code: String,
    /// What happened, naming the projection, file, sequence or value.
    pub error: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hint: Option<String>,
    /// The events that are lost, where the code is `events_lost`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub lost: Option<LostEvents>,
    /// The event that cannot be applied, where the code is `poison_event`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub event: Option<FailedEvent>,
    /// When, RFC 3339.
    pub at: String,
}

impl Problem {
    /// A failure of this projection, as it is found now.
    pub fn of(projection: &str, failure: &Failure) -> Self {
        Self {
            code: failure.code().to_owned(),
            error: failure.to_string(),
            hint: Some(named(failure.hint(), projection)),
            lost: failure.lost(),
            event: failure.poison().cloned(),
            at: telemetry::now(),
        }
    }
}

/// An event that cannot be applied, and how that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedEvent {
    /// Which one.
    #[serde(flatten)]
    pub event: EventRef,
    /// The attempts that failed, oldest first.
    #[serde(default)]
    pub attempts: Vec<Attempt>,
}

/// Hints are written once for all projections: the `NAME` of a command in them stands for this one. That of a section,
/// `[projection.NAME]`, is as the documentation has it.
pub fn named(hint: &str, projection: &str) -> String {
    hint.replace(" NAME", &format!(" {projection}"))
}

/// One built copy of a projection's read model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Generation {
    /// Counts up from 1 for each projection.
    pub number: u32,
    /// The version it was built by.
    pub version: u32,
    /// Digest of the module that feeds it now: lower-case hexadecimal SHA-256.
    pub digest: String,
    /// Where it is in its life: `live` is the one that is served.
    pub state: GenerationState,
    /// Whether it is only built to be compared with the live one.
    pub verifies: bool,
    /// Whether it has caught up and is waiting for `foldline promote`.
    #[serde(default)]
    pub awaits_promotion: bool,
    /// What it is doing.
    pub status: State,
    /// Its checkpoint's sequence.
    pub checkpoint: Sequence,
    /// Events of the stream that it has passed, from where its reading began.
    pub events_done: u64,
    /// Events that it has still to apply.
    pub lag: u64,
    /// The same in time.
    #[serde(flatten)]
    pub behind: Behind,
    /// Events read per second, over the last seconds.
    pub events_per_second: f64,
    /// How long the rest takes at this rate, in seconds, with what comes to the stream meanwhile; none while that is
    /// not known, or nothing is left.
    pub seconds_left: Option<f64>,
    /// The sequence its reading began with, where that was not the projection's usual start: what lies before is not
    /// in its rows.
    pub started_from: Option<Sequence>,
    /// Events that it set aside after they failed.
    #[serde(default)]
    pub dead_letters: u64,
    /// Keys whose events it holds back behind a failed one.
    #[serde(default)]
    pub held_keys: u64,
    /// Its file within the data folder.
    pub file: String,
    /// When it was made, RFC 3339.
    pub created: String,
    /// When it was made live last.
    pub promoted: Option<String>,
    /// What went wrong last; none once it has passed.
    pub last_error: Option<Problem>,
    /// What was in the way of the generation in whose place it was begun, if something was.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub incident: Option<Problem>,
}

impl Generation {
    /// What the catalog and the generation's own run say of it.
    pub fn of(record: &GenerationRecord, run: &Status) -> Self {
        let rate = run.events_per_second;
        let status = match record.state {
            // Its run has ended, which is not what matters.
            GenerationState::Failed => State::Failed,
            _ => run.status,
        };
        let reads = matches!(status, State::CatchingUp | State::Live);
        let seconds_left = pace::seconds_left(run.lag, rate, run.arriving_per_second);
        Self {
            number: record.number,
            version: record.version,
            digest: record.digest.clone(),
            state: record.state,
            verifies: record.purpose == Purpose::Verify,
            awaits_promotion: false,
            status,
            checkpoint: run.checkpoint,
            events_done: (run.checkpoint + 1).saturating_sub(record.started_from.unwrap_or(1)),
            lag: run.lag,
            behind: run.behind,
            events_per_second: rate,
            seconds_left: seconds_left.filter(|_| reads),
            started_from: record.started_from,
            dead_letters: run.dead_letters,
            held_keys: run.held_keys,
            file: record.file.clone(),
            created: record.created.clone(),
            promoted: record.promoted.clone(),
            last_error: run.last_error.clone(),
            incident: record.incident.clone().map(|incident| incident.problem),
        }
    }
}

/// Two generations that were compared at one sequence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Number of the generation that was live.
    pub live: u32,
    /// Its version.
    pub live_version: u32,
    /// Number of the one that it was compared with.
    pub other: u32,
    /// Its version.
    pub other_version: u32,
    /// When, RFC 3339.
    pub at: String,
    /// What was found.
    #[serde(flatten)]
    pub difference: Difference,
    /// Events that are missing from the rows of either, because they were set aside; none if there are none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub set_aside: Option<String>,
}

/// Everything `status` and `/v1/projections/{name}` say of one projection.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The projection's name.
    pub name: String,
    /// The running module's version.
    pub version: u32,
    /// The running module's digest: lower-case hexadecimal SHA-256.
    pub digest: String,
    /// The module's file name in the modules folder.
    pub file: String,
    /// What it is doing.
    pub status: State,
    /// The stream it reads; none until one was found.
    pub stream: Option<String>,
    /// The last event whose changes are committed; 0 before the first.
    pub checkpoint: Sequence,
    /// The newest event of the stream that is known of.
    pub last_sequence: Sequence,
    /// Events that wait to be applied.
    pub lag: u64,
    /// The same in time.
    #[serde(flatten)]
    pub behind: Behind,
    /// Events read per second, over the last seconds.
    pub events_per_second: f64,
    /// Events per second that come to the stream, over the last seconds.
    #[serde(default)]
    pub arriving_per_second: f64,
    /// Since when events wait.
    #[serde(skip)]
    pub waiting: Waiting,
    /// Events per second of the last replay, from its beginning until nothing was left; none before one was measured.
    #[serde(default)]
    pub replay_rate: Option<f64>,
    /// Times the module was reloaded since the host started.
    pub reloads: u64,
    /// Who promotes a new version.
    #[serde(default)]
    pub promote: Promote,
    /// The built copies of its read model.
    pub generations: Vec<Generation>,
    /// What the last `verify` found since the host started.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub verified: Option<Comparison>,
    /// Tables that can be queried.
    pub tables: Vec<String>,
    /// Events set aside after they failed.
    pub dead_letters: u64,
    /// Keys whose events are held back behind a failed one.
    pub held_keys: u64,
    /// What went wrong last; none once it has passed.
    pub last_error: Option<Problem>,
    /// The event at which it failed last. Kept also while something else is in its way, as a server that is away.
    #[serde(skip)]
    pub failed_at: Option<FailedEvent>,
    /// Why a rebuild from its stream may not give the whole history, and that no events can be held, a sentence each;
    /// found at each start.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// What is known of its checkpoint's place.
    #[serde(skip)]
    pub place: StreamPlace,
}

/// What is known of the place that a checkpoint names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StreamPlace {
    /// Nobody has looked yet, or there is no stream to look at.
    #[default]
    Unknown,
    /// It is a place in the stream that there is now, as it was when that was looked at last.
    Here,
    /// It is a place in another stream.
    Elsewhere,
}

/// What is wrong with a stream that is not the one that was read: a place in it is no place in the other.
const OF_ANOTHER_STREAM: [&str; 3] = ["stream_replaced", "stream_went_back", "other_stream"];

impl Status {
    /// What is in its way, if it does not run.
    pub fn obstacle(&self) -> Option<&Problem> {
        let runs = matches!(self.status, State::CatchingUp | State::Live);
        self.last_error.as_ref().filter(|_| !runs)
    }

    /// The event that has stopped it, if it was not passed since: also while that is tried again.
    pub fn stands_before(&self) -> Option<&FailedEvent> {
        let failed = self.failed_at.as_ref();
        failed.filter(|failed| failed.event.sequence > self.checkpoint)
    }

    /// Takes in what went wrong, and what that says of its place. What passes, as a server that is away, says nothing of it.
    pub fn went_wrong(&mut self, problem: Problem) {
        match problem.code.as_str() {
            code if OF_ANOTHER_STREAM.contains(&code) => {
                self.place = StreamPlace::Elsewhere;
                self.failed_at = None;
            }
            "stream_missing" => self.place = StreamPlace::Unknown,
            _ => {}
        }
        if let Some(failed) = &problem.event {
            self.failed_at = Some(failed.clone());
        }
        self.last_error = Some(problem);
    }

    /// With everything that depends on the time at which it is asked for.
    fn seen(mut self, now: Instant) -> Self {
        let silent = self.waiting.stalled(now, self.lag);
        // What an operator or a missing module file stopped has no reason to move.
        let silent = silent.filter(|_| !matches!(self.status, State::Paused | State::Stopped));
        self.behind = Behind {
            lag_seconds: self.waiting.seconds(now, self.lag),
            lag_trend: Trend::of(self.lag, self.events_per_second, self.arriving_per_second),
            stalled: silent.is_some(),
        };
        if let (Some(silent), None) = (silent, &self.last_error) {
            self.last_error = Some(Problem {
                code: "stalled".into(),
                error: lag::what_stalls(silent, self.checkpoint, self.last_sequence),
                hint: Some("look for slow calls in the log and at the load of host and server; [projection.NAME] stall_ms is the limit".into()),
                lost: None,
                event: None,
                at: telemetry::now(),
            });
        }
        self
    }
}

/// A module file that is not running, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedModule {
    /// File name in the modules folder.
    pub file: String,
    /// Always "refused".
    pub verdict: String,
    /// Why, and what to do.
    #[serde(flatten)]
    pub problem: Problem,
}

//! Tells the outside how far a projection is. It never tells anything that is not committed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::watch;

use super::pace::Pace;
use super::{Problem, State, Status, StreamPlace};
use crate::event::{Position, Sequence};
use crate::guest::GuestModule;
use crate::source::position::Resume;
use crate::store::Checkpoint;

/// Shared by the loop, which commits, and the run, which looks at it.
#[derive(Debug, Clone)]
pub struct Progress {
    status: watch::Sender<Status>,
    pace: Arc<Mutex<Pace>>,
}

impl Progress {
    /// Speaks through `status`.
    pub fn new(status: watch::Sender<Status>) -> Self {
        let pace = Arc::default();
        Self { status, pace }
    }

    /// Everything up to `through` is committed; `pending` events waited behind it when it was read.
    pub fn committed(&self, through: Position, pending: u64) {
        self.status.send_modify(|status| {
            let (now, mut pace) = (Instant::now(), self.pace());
            let Position {
                sequence: through,
                time,
            } = through;
            status.checkpoint = through;
            forget_problem(status);
            if status.stands_before().is_none() {
                status.failed_at = None;
            }
            // Never lowered: this may have been read long before it was committed.
            status.last_sequence = status.last_sequence.max(through + pending);
            settle(status);
            status.waiting.at(now, time, true, status.lag);
            pace.moved(now, through, status.last_sequence);
            if status.lag == 0 {
                status.replay_rate = pace.caught_up(now, through).or(status.replay_rate);
            }
        });
    }

    fn pace(&self) -> MutexGuard<'_, Pace> {
        // Half a change makes a wrong rate for a few seconds.
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The read model is open and served; whether its stream can be read is not known yet.
    pub fn opened(&self, checkpoint: Option<&Checkpoint>) {
        let Some(checkpoint) = checkpoint else {
            return;
        };
        self.status.send_modify(|status| {
            status.stream = Some(checkpoint.stream.clone());
            status.checkpoint = checkpoint.sequence;
            status.last_sequence = status.last_sequence.max(checkpoint.sequence);
            status.lag = status.last_sequence - checkpoint.sequence;
            let (now, anchor) = (Instant::now(), checkpoint.anchor);
            status.waiting.at(now, anchor, false, status.lag);
        });
    }

    /// The guest runs and waits for events. What went wrong before is over when there is nothing to do, else
    /// with the first commit.
    pub fn started(&self, resume: &Resume, warnings: &[String]) {
        self.pace().begin(Instant::now(), resume.after);
        self.status.send_modify(|status| {
            status.checkpoint = resume.after;
            status.last_sequence = resume.last_sequence;
            warn(status, resume, warnings);
            settle(status);
            status.waiting.seen(Instant::now(), status.lag);
            if status.lag == 0 {
                forget_problem(status);
                status.failed_at = None;
            }
        });
    }

    /// The stream was looked at and ends here.
    pub fn stream_seen(&self, last_sequence: Sequence) {
        self.status.send_modify(|status| {
            let now = Instant::now();
            status.last_sequence = status.last_sequence.max(last_sequence);
            status.lag = status.last_sequence.saturating_sub(status.checkpoint);
            status.waiting.seen(now, status.lag);
            self.pace()
                .moved(now, status.checkpoint, status.last_sequence);
            if matches!(status.status, State::CatchingUp | State::Live) {
                settle(status);
            }
        });
    }

    /// The stream it reads, or is to read; none while that is not known.
    pub fn stream(&self) -> Option<String> {
        self.status.borrow().stream.clone()
    }

    /// So many dead letters there are, and so many keys are held: committed.
    pub fn set_aside(&self, (dead_letters, held_keys): (u64, u64)) {
        self.status.send_if_modified(|status| {
            let before = (status.dead_letters, status.held_keys);
            (status.dead_letters, status.held_keys) = (dead_letters, held_keys);
            before != (dead_letters, held_keys)
        });
    }

    /// Another module runs from here on.
    pub fn reloaded(&self, module: &GuestModule) {
        let digest = module.short_digest();
        self.status.send_modify(|status| {
            tracing::info!(
                projection = status.name,
                digest,
                checkpoint = status.checkpoint,
                "reloaded"
            );
            status.reloads += 1;
            set_module(status, module);
        });
    }

    /// It is in this state now, with this problem where there is one.
    pub fn state(&self, state: State, problem: Option<Problem>) {
        self.status.send_modify(|status| {
            status.status = state;
            status.events_per_second = 0.0;
            if let Some(problem) = problem {
                status.went_wrong(problem);
            }
        });
    }

    /// Looks at the rates.
    pub fn look(&self) {
        let (read, arriving) = self.pace().rates(Instant::now());
        self.status.send_if_modified(|status| {
            let changed = (status.events_per_second - read).abs() >= 0.05;
            status.events_per_second = read;
            status.arriving_per_second = arriving;
            changed
        });
    }

    /// Events per second of the last replay.
    pub fn replay_rate(&self) -> Option<f64> {
        self.status.borrow().replay_rate
    }

    /// Digest of the module that runs, or ran last.
    pub fn digest(&self) -> String {
        self.status.borrow().digest.clone()
    }

    /// What went wrong last, while it has not passed.
    pub fn problem(&self) -> Option<Problem> {
        self.status.borrow().last_error.clone()
    }

    /// The module comes from this file now.
    pub fn file(&self, file: &str) {
        self.status
            .send_modify(|status| file.clone_into(&mut status.file));
    }

    /// The status, now and from now on.
    pub fn subscribe(&self) -> watch::Receiver<Status> {
        self.status.subscribe()
    }

    /// The stream it reads was found.
    pub fn found(&self, stream: &str) {
        self.status
            .send_modify(|status| status.stream = Some(stream.to_owned()));
    }

    /// Its place is one in the stream that there is now.
    pub fn place_found(&self) {
        self.status
            .send_modify(|status| status.place = StreamPlace::Here);
    }

    /// Its committed checkpoint.
    pub fn checkpoint(&self) -> Sequence {
        self.status.borrow().checkpoint
    }
}

/// What went wrong is over. Logged, as it was that it went wrong.
fn forget_problem(status: &mut Status) {
    let Some(problem) = status.last_error.take() else {
        return;
    };
    tracing::info!(
        projection = status.name,
        checkpoint = status.checkpoint,
        code = problem.code,
        "goes on"
    );
}

/// Says once what the stream forgets and what else should be known, and again when that changes.
fn warn(status: &mut Status, resume: &Resume, others: &[String]) {
    let warnings = [&resume.forgets[..], others].concat();
    if status.warnings == warnings {
        return;
    }
    status.warnings = warnings;
    for warning in others {
        tracing::warn!(
            projection = status.name,
            stream = status.stream,
            "{warning}"
        );
    }
    if !resume.forgets.is_empty() {
        tracing::warn!(
            projection = status.name,
            stream = status.stream,
            hint = "a rebuild gives only what is left; keep history in a stream without limits, with deny_delete and deny_purge",
            "the stream does not keep everything: {}",
            resume.forgets.join("; ")
        );
    }
}

/// Lag and state follow from checkpoint and last sequence.
fn settle(status: &mut Status) {
    status.lag = status.last_sequence.saturating_sub(status.checkpoint);
    status.status = if status.lag == 0 {
        State::Live
    } else {
        State::CatchingUp
    };
}

fn set_module(status: &mut Status, module: &GuestModule) {
    status.digest = module.digest.to_string();
    status.version = module.definition.version;
}

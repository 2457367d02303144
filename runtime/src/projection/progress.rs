//! Tells the outside how far a projection is. It never tells anything that is not committed.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::{Problem, State, Status};
use crate::event::Sequence;
use crate::guest::GuestModule;
use crate::source::position::Resume;
use crate::store::Checkpoint;

/// The rate is that of the last few seconds: long enough not to flicker, short enough to follow a change.
const RATE_WINDOW: Duration = Duration::from_secs(5);

/// A replay of fewer events says nothing about how fast a longer one is.
const REPLAY_MIN: u64 = 1_000;

/// Shared by the loop, which commits, and the run, which looks at it.
#[derive(Debug, Clone)]
pub struct Progress {
    status: watch::Sender<Status>,
    replay: Arc<Mutex<Option<Replay>>>,
}

/// What was missed is being read since then, from there.
#[derive(Debug, Clone, Copy)]
struct Replay {
    since: Instant,
    from: Sequence,
}

impl Progress {
    /// Speaks through `status`.
    pub fn new(status: watch::Sender<Status>) -> Self {
        let replay = Arc::default();
        Self { status, replay }
    }

    /// Everything up to `through` is committed; `pending` events waited behind it when it was read.
    pub fn committed(&self, through: Sequence, pending: u64) {
        self.status.send_modify(|status| {
            status.checkpoint = through;
            status.last_error = None;
            // Never lowered: this may have been read long before it was committed.
            status.last_sequence = status.last_sequence.max(through + pending);
            settle(status);
            if status.lag == 0
                && let Some(replay) = self.replay().take()
            {
                status.replay_rate = replay.rate(through).or(status.replay_rate);
            }
        });
    }

    fn replay(&self) -> MutexGuard<'_, Option<Replay>> {
        // It is set or taken as a whole.
        self.replay.lock().unwrap_or_else(PoisonError::into_inner)
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
        });
    }

    /// The guest runs and waits for events. What went wrong before is over when there is nothing to do, else
    /// with the first commit.
    pub fn started(&self, resume: &Resume, warning: Option<&str>) {
        *self.replay() = Some(Replay {
            since: Instant::now(),
            from: resume.after,
        });
        self.status.send_modify(|status| {
            status.checkpoint = resume.after;
            status.last_sequence = resume.last_sequence;
            warn(status, resume, warning);
            settle(status);
            if status.lag == 0 {
                status.last_error = None;
            }
        });
    }

    /// The stream was looked at and ends here.
    pub fn stream_seen(&self, last_sequence: Sequence) {
        self.status.send_modify(|status| {
            if matches!(status.status, State::CatchingUp | State::Live) {
                status.last_sequence = status.last_sequence.max(last_sequence);
                settle(status);
            }
        });
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
            if problem.is_some() {
                status.last_error = problem;
            }
        });
    }

    /// The rates were measured: events that were read, and events that came to the stream, per second.
    pub fn rates(&self, read: f64, arriving: f64) {
        self.status.send_if_modified(|status| {
            let changed = (status.events_per_second - read).abs() >= 0.05;
            status.events_per_second = read;
            status.arriving_per_second = arriving;
            changed
        });
    }

    /// How far it is, and how far the stream goes; none before its run knows both.
    pub fn place(&self) -> Option<(Sequence, Sequence)> {
        let status = self.status.borrow();
        let runs = matches!(status.status, State::CatchingUp | State::Live);
        runs.then_some((status.checkpoint, status.last_sequence))
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

    /// Its committed checkpoint.
    pub fn checkpoint(&self) -> Sequence {
        self.status.borrow().checkpoint
    }
}

impl Replay {
    /// Events per second, if there were enough of them.
    fn rate(self, through: Sequence) -> Option<f64> {
        let events = through.saturating_sub(self.from);
        let seconds = self.since.elapsed().as_secs_f64();
        (events >= REPLAY_MIN && seconds > 0.0).then(|| events as f64 / seconds)
    }
}

/// Says once what the stream forgets and what else should be known, and again when that changes.
fn warn(status: &mut Status, resume: &Resume, warning: Option<&str>) {
    let mut warnings = resume.forgets.clone();
    warnings.extend(warning.map(str::to_owned));
    if status.warnings == warnings {
        return;
    }
    status.warnings = warnings;
    if let Some(warning) = warning {
        tracing::warn!(projection = status.name, "{warning}");
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

/// Events per second from looks at a sequence that rises, a few looks a second.
#[derive(Debug, Default)]
pub struct Rate {
    looks: VecDeque<(Instant, Sequence)>,
}

impl Rate {
    /// The rate of the last seconds, with this look. Time before it began to move does not count.
    pub fn look(&mut self, now: Instant, sequence: Sequence) -> f64 {
        if self.looks.iter().all(|&(_, at)| at == sequence) {
            self.looks.clear();
        }
        self.looks.push_back((now, sequence));
        while self.looks.len() > 2 && now - self.looks[1].0 >= RATE_WINDOW {
            self.looks.pop_front();
        }
        let (since, from) = self.looks[0];
        let seconds = (now - since).as_secs_f64();
        if seconds > 0.0 {
            sequence.saturating_sub(from) as f64 / seconds
        } else {
            0.0
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_follows_the_last_seconds_and_falls_to_zero_when_nothing_comes() {
        let start = Instant::now();
        let mut rate = Rate::default();
        assert_eq!(rate.look(start, 0), 0.0);
        assert_eq!(rate.look(start + Duration::from_secs(1), 100), 100.0);
        for second in 2..20 {
            rate.look(start + Duration::from_secs(second), 100);
        }
        assert_eq!(rate.look(start + Duration::from_secs(20), 100), 0.0);
    }

    #[test]
    fn waiting_for_the_first_events_does_not_make_the_rate_smaller() {
        let start = Instant::now();
        let mut rate = Rate::default();
        for second in 0..4 {
            rate.look(start + Duration::from_secs(second), 7);
        }
        assert_eq!(rate.look(start + Duration::from_secs(4), 107), 100.0);
        assert_eq!(rate.look(start + Duration::from_secs(5), 307), 150.0);
    }
}

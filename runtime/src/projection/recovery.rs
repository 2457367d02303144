//! When is committed, and what happens when a batch fails: the events before the failing one are committed, it is
//! named, and the strategy decides what becomes of it ([`poison`](super::poison)).

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::poison::PoisonPolicy;
use super::progress::Progress;
use crate::batch::Batch;
use crate::event::{Position, Sequence};
use crate::guest::{GuestInstance, GuestLimits, GuestModule};
use crate::session::Session;
use crate::store::Checkpoint;
use crate::store::dead_letters::{DeadLetterChange, HeldEvent};

mod drain;
mod failure;
mod held;
mod isolate;

pub use failure::{Failure, Retry};
use held::Held;
use isolate::Patience;

/// How much is folded before a commit while more events wait. With nothing waiting every batch is committed
/// at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommitLimits {
    /// Most events.
    pub events: usize,
    /// Most bytes of changed rows, roughly.
    pub bytes: usize,
    /// Longest time since the last commit; five times that while more events wait than one commit holds.
    pub time: Duration,
}

impl CommitLimits {
    /// The longest that a commit gathers events.
    pub fn longest(&self) -> Duration {
        self.time * FAR_BEHIND_TIMES
    }
}

/// What one run has to keep to.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Limits of each instance.
    pub guest: GuestLimits,
    /// How much is folded before a commit.
    pub commits: CommitLimits,
    /// What becomes of events that fail.
    pub poison: PoisonPolicy,
}

/// How many times as long a commit may collect while more events wait than one holds: so far behind nobody takes the
/// read model for current, and in a host with many builds each gets a part of the processor only, so that commits of
/// the usual time would hold few events.
const FAR_BEHIND_TIMES: u32 = 5;

/// Folded and not yet committed.
#[derive(Debug, Clone, Copy)]
struct Open {
    events: usize,
    /// The last event that was looked at.
    through: Position,
    /// Events that waited behind it when it was read.
    pending: u64,
    /// When the first of these batches was folded.
    since: Instant,
}

impl Open {
    /// When it must be committed at the latest.
    fn due(&self, limits: CommitLimits) -> Instant {
        let is_far_behind = self.pending > limits.events as u64;
        self.since
            + match is_far_behind {
                true => limits.longest(),
                false => limits.time,
            }
    }
}

/// A guest, the read model it writes to and where that stands. What fails ends it; a batch is committed as a
/// whole or in parts, alone or with others, and never counted twice.
pub struct Fold {
    instance: GuestInstance,
    checkpoint: Checkpoint,
    open: Option<Open>,
    held: Held,
    patience: Option<Patience>,
    rules: Rules,
    progress: Progress,
    stop: CancellationToken,
}

impl Fold {
    /// Starts the guest over a read model that stands at `checkpoint`.
    ///
    /// # Errors
    /// If the module cannot be started, or the read model cannot be read.
    pub fn start(
        module: GuestModule,
        mut session: Session,
        checkpoint: Checkpoint,
        rules: Rules,
        progress: Progress,
        stop: CancellationToken,
    ) -> Result<Self, Failure> {
        let held = Held::new(session.what_is_set_aside()?);
        progress.set_aside(held.counts());
        Ok(Self {
            instance: start(module, rules.guest, session)?,
            checkpoint,
            open: None,
            held,
            patience: None,
            rules,
            progress,
            stop,
        })
    }

    /// The last event that was looked at, committed or not.
    pub fn sequence(&self) -> Sequence {
        let open = self.open.map(|open| open.through.sequence);
        open.unwrap_or(self.checkpoint.sequence)
    }

    /// When what is folded must be committed at the latest; none when everything is.
    pub fn due(&self) -> Option<Instant> {
        self.open.map(|open| open.due(self.rules.commits))
    }

    /// Swaps the module; the read model and its checkpoint stay.
    ///
    /// # Errors
    /// If what is folded cannot be committed, or the new module cannot be started.
    pub fn reload(mut self, module: GuestModule) -> Result<Self, Failure> {
        self.commit()?;
        self.progress.reloaded(&module);
        self.instance = start(module, self.rules.guest, self.instance.into_session())?;
        Ok(self)
    }

    /// Projects a batch. Commits it when no more events wait, or when enough is folded: then in the background.
    /// When the batch fails as a whole it is projected and committed in parts; told to stop, that stops
    /// between two parts: [`Self::sequence`] says how far it came. Events of held keys are held, too.
    ///
    /// # Errors
    /// The event that always fails, where that is the strategy, or that could not be set aside; the ones before it are
    /// committed.
    pub fn apply(mut self, batch: &Batch, more_wait: bool) -> Result<Self, Failure> {
        match self.project(batch)? {
            Ok(()) => {
                self.commit_if_due(more_wait)?;
                match self.instance.is_worn() {
                    true => self.renewed(),
                    false => Ok(self),
                }
            }
            Err(suspect) => self.isolate(batch, suspect),
        }
    }

    fn folded(&mut self, batch: &Batch) {
        let (events, since) = match self.open {
            Some(open) => (open.events, open.since),
            None => (0, Instant::now()),
        };
        self.open = Some(Open {
            events: events + batch.len(),
            through: batch.through(),
            pending: batch.pending(),
            since,
        });
    }

    fn commit_if_due(&mut self, more_wait: bool) -> Result<(), Failure> {
        let Some(open) = self.open else { return Ok(()) };
        let (session, commits) = (self.instance.session(), self.rules.commits);
        if open.pending <= commits.events as u64 {
            // The build is over but for one commit at most. A stream that never rests may keep it there. Earlier, while
            // the guest still folds beside it, did not pay: what it saves at the end the index costs per commit.
            session.build_indexes();
        }
        if !more_wait {
            return self.commit();
        }
        if open.events >= commits.events
            || Instant::now() >= open.due(commits)
            || session.is_full(commits.bytes)
        {
            let next = self.checkpoint.at(open.through);
            let progress = self.progress.clone();
            let done = move || progress.committed(open.through, open.pending);
            session.commit_in_background(next.clone(), done)?;
            self.checkpoint = next;
            self.open = None;
        }
        Ok(())
    }

    /// Commits what is folded, and waits for it.
    ///
    /// # Errors
    /// If it cannot be committed.
    pub fn commit(&mut self) -> Result<(), Failure> {
        let Some(open) = self.open.take() else {
            return Ok(());
        };
        let next = self.checkpoint.at(open.through);
        self.instance.session().commit(&next)?;
        self.checkpoint = next;
        self.progress.committed(open.through, open.pending);
        Ok(())
    }

    /// Commits what is folded, and waits until nothing is on its way to the file any more: one that rests may be made
    /// live, so it has its secondary indexes then.
    ///
    /// # Errors
    /// If it cannot be committed.
    pub fn rest(&mut self) -> Result<(), Failure> {
        self.instance.session().build_indexes();
        self.commit()?;
        let session = self.instance.session();
        Ok(session.settle(&self.checkpoint)?)
    }

    /// A fresh instance of the same module, without what the failed call asked for.
    fn restarted(mut self) -> Result<Self, Failure> {
        self.instance.session().undo_call()?;
        self.renewed()
    }

    /// A fresh instance of the same module.
    fn renewed(mut self) -> Result<Self, Failure> {
        let module = self.instance.module().clone();
        self.instance = start(module, self.rules.guest, self.instance.into_session())?;
        Ok(self)
    }

    /// Has an event held, with the next commit.
    fn hold(&mut self, event: HeldEvent) {
        self.held.hold(&event);
        let session = self.instance.session();
        session.set_aside(DeadLetterChange::Hold(event));
    }
}

fn start(
    module: GuestModule,
    limits: GuestLimits,
    session: Session,
) -> Result<GuestInstance, Failure> {
    GuestInstance::new(module, limits, session).map_err(Failure::Start)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_takes_longer_to_fill_while_more_events_wait_than_it_holds() {
        let limits = CommitLimits {
            events: 100,
            bytes: 1,
            time: Duration::from_millis(200),
        };
        let since = Instant::now();
        let due_with = |pending| {
            let through = Position {
                sequence: 1,
                time: 1,
            };
            let open = Open {
                events: 1,
                through,
                pending,
                since,
            };
            open.due(limits) - since
        };
        assert_eq!(due_with(100), limits.time);
        assert_eq!(due_with(101), limits.longest());
    }
}

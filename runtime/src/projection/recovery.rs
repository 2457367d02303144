//! When is committed, and what happens when a batch fails: the events before the failing one are committed,
//! and it is named.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::progress::Progress;
use crate::batch::Batch;
use crate::event::{Position, Sequence};
use crate::guest::{GuestFault, GuestInstance, GuestLimits, GuestModule};
use crate::session::Session;
use crate::source::{LostEvents, SourceError};
use crate::store::{Checkpoint, StoreError};

/// The last commits of a build that a new read model has its secondary indexes for. They are made while the guest
/// folds on, which it cannot do in the last commit of all; and a stream that never rests may keep a build at its end.
const INDEXED_COMMITS: u64 = 4;

/// When a projection that stopped is tried again, if nobody does anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// After a short back-off, for as long as it takes: the cause passes by itself.
    Soon,
    /// Like [`Self::Soon`], but given up after a few attempts.
    AFewTimes,
    /// After a while: somebody has to mend the cause, and may do so outside the host.
    Later,
    /// Only with another module: the same one fails in the same way.
    Never,
}

/// Why a projection stopped. Everything before that is committed, nothing after.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Events cannot be had.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The read model cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The configuration names another stream than the one the read model was built from.
    #[error("the read model was built from stream {stored}, the configuration names {configured}")]
    OtherStream {
        /// `[projection.NAME] stream`.
        configured: String,
        /// The checkpoint's stream.
        stored: String,
    },
    /// One event always fails: same module, same event, same fault.
    #[error("event {sequence} ({subject}) failed: {fault}")]
    PoisonEvent {
        /// Its sequence.
        sequence: Sequence,
        /// Its subject.
        subject: String,
        /// What happened.
        fault: Box<GuestFault>,
    },
    /// The module cannot be started.
    #[error("the module does not start: {0}")]
    Start(Box<GuestFault>),
    /// A bug of the host: the loop's thread panicked.
    #[error("the projection's thread panicked: {0}")]
    Panic(String),
}

impl Failure {
    /// What it is called in every status, answer and log line: these words stay the same.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Source(error) => error.code(),
            Self::Store(_) => "store",
            Self::OtherStream { .. } => "other_stream",
            Self::PoisonEvent { .. } => "poison_event",
            Self::Start(_) => "module_start",
            Self::Panic(_) => "panic",
        }
    }

    /// The events that are lost, if that is why.
    pub fn lost(&self) -> Option<LostEvents> {
        match self {
            Self::Source(error) => error.lost(),
            _ => None,
        }
    }

    /// Whether somebody has to do something, although it is tried again soon.
    pub fn needs_somebody(&self) -> bool {
        matches!(self, Self::Source(error) if error.is_about_a_stream_that_is_gone())
    }

    /// When to try again.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Source(error) if error.may_pass() => Retry::Soon,
            Self::Source(_) | Self::Store(StoreError::WrongFile { .. }) => Retry::Later,
            Self::Store(_) | Self::Panic(_) => Retry::Soon,
            // A disk or a machine that stood still takes time from the guest as well.
            Self::PoisonEvent { fault, .. } if matches!(**fault, GuestFault::Time { .. }) => {
                Retry::AFewTimes
            }
            Self::OtherStream { .. } | Self::PoisonEvent { .. } | Self::Start(_) => Retry::Never,
        }
    }

    /// What a person can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Source(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::OtherStream { .. } => {
                "name the old stream again, or stop the host and move this projection's data folder away to build it anew"
            }
            Self::PoisonEvent { fault, .. } | Self::Start(fault) => fault.hint(),
            Self::Panic(_) => "this is a bug of Foldline; the log has the details",
        }
    }
}

/// How much is folded before a commit while more events wait. With nothing waiting every batch is committed
/// at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommitLimits {
    /// Most events.
    pub events: usize,
    /// Most bytes of changed rows, roughly.
    pub bytes: usize,
    /// Longest time since the last commit.
    pub time: Duration,
}

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

/// A guest, the read model it writes to and where that stands. What fails ends it; a batch is committed as a
/// whole or in parts, alone or with others, and never counted twice.
pub struct Fold {
    instance: GuestInstance,
    checkpoint: Checkpoint,
    open: Option<Open>,
    limits: GuestLimits,
    commits: CommitLimits,
    progress: Progress,
    stop: CancellationToken,
}

impl Fold {
    /// Starts the guest over a read model that stands at `checkpoint`.
    ///
    /// # Errors
    /// If the module cannot be started.
    pub fn start(
        module: GuestModule,
        session: Session,
        checkpoint: Checkpoint,
        (limits, commits): (GuestLimits, CommitLimits),
        progress: Progress,
        stop: CancellationToken,
    ) -> Result<Self, Failure> {
        Ok(Self {
            instance: start(module, limits, session)?,
            checkpoint,
            open: None,
            limits,
            commits,
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
        self.open.map(|open| open.since + self.commits.time)
    }

    /// Swaps the module; the read model and its checkpoint stay.
    ///
    /// # Errors
    /// If what is folded cannot be committed, or the new module cannot be started.
    pub fn reload(mut self, module: GuestModule) -> Result<Self, Failure> {
        self.commit()?;
        self.progress.reloaded(&module);
        self.instance = start(module, self.limits, self.instance.into_session())?;
        Ok(self)
    }

    /// Projects a batch. Commits it when no more events wait, or when enough is folded: then in the background.
    /// When the batch fails as a whole it is projected and committed in parts; told to stop, that stops
    /// between two parts: [`Self::sequence`] says how far it came.
    ///
    /// # Errors
    /// The event that always fails; the ones before it are committed.
    pub fn apply(mut self, batch: &Batch, more_wait: bool) -> Result<Self, Failure> {
        let projected = match batch.is_empty() {
            true => Ok(()),
            false => self.instance.project(batch),
        };
        match projected {
            Ok(()) => {
                self.folded(batch);
                self.commit_if_due(more_wait)?;
                Ok(self)
            }
            Err(GuestFault::Store(error)) => Err(error.into()),
            Err(fault) => self.recover(batch, fault),
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
        let session = self.instance.session();
        if open.pending <= INDEXED_COMMITS * self.commits.events as u64 {
            session.build_indexes();
        }
        if !more_wait {
            return self.commit();
        }
        if open.events >= self.commits.events
            || open.since.elapsed() >= self.commits.time
            || session.is_full(self.commits.bytes)
        {
            let next = self.checkpoint.at(open.through);
            let progress = self.progress.clone();
            let done = move || progress.committed(open.through.sequence, open.pending);
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
        self.progress.committed(open.through.sequence, open.pending);
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

    /// A rejection names its event; anything else is traced to one event by halving.
    fn recover(mut self, batch: &Batch, fault: GuestFault) -> Result<Self, Failure> {
        self = self.restarted()?;
        self.commit()?;
        if self.stop.is_cancelled() {
            return Ok(self);
        }
        if fault.is_about_events() && batch.len() > 1 {
            let middle = batch.len() / 2;
            self = self.apply(&batch.slice(0..middle), false)?;
            if self.stop.is_cancelled() {
                return Ok(self);
            }
            return self.apply(&batch.slice(middle..batch.len()), false);
        }
        let index = match fault {
            GuestFault::Rejected { index, .. } => index,
            _ => 0,
        };
        if index > 0 {
            self.apply(&batch.slice(0..index), false)?;
        }
        Err(Failure::PoisonEvent {
            sequence: batch.sequences()[index],
            subject: batch.subject(index).to_owned(),
            fault: Box::new(fault),
        })
    }

    /// A fresh instance of the same module, without what the failed call asked for.
    fn restarted(mut self) -> Result<Self, Failure> {
        let module = self.instance.module().clone();
        let mut session = self.instance.into_session();
        session.undo_call()?;
        self.instance = start(module, self.limits, session)?;
        Ok(self)
    }
}

fn start(
    module: GuestModule,
    limits: GuestLimits,
    session: Session,
) -> Result<GuestInstance, Failure> {
    GuestInstance::new(module, limits, session).map_err(Failure::Start)
}

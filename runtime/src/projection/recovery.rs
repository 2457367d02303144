//! What happens when a batch fails: the events before the failing one are committed, and it is named.

use tokio_util::sync::CancellationToken;

use super::progress::Progress;
use crate::batch::Batch;
use crate::event::Sequence;
use crate::guest::instance::{Asked, Session};
use crate::guest::{GuestFault, GuestInstance, GuestLimits, GuestModule};
use crate::source::SourceError;
use crate::store::{Checkpoint, StoreError};

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

/// A guest, the read model it writes to and where that stands. What fails ends it; a batch is committed as a
/// whole or in parts, and never counted twice.
pub struct Fold {
    instance: GuestInstance,
    checkpoint: Checkpoint,
    limits: GuestLimits,
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
        limits: GuestLimits,
        progress: Progress,
        stop: CancellationToken,
    ) -> Result<Self, Failure> {
        Ok(Self {
            instance: start(module, limits, session)?,
            checkpoint,
            limits,
            progress,
            stop,
        })
    }

    /// The last event whose changes are committed.
    pub fn sequence(&self) -> Sequence {
        self.checkpoint.sequence
    }

    /// Swaps the module; the read model and its checkpoint stay.
    ///
    /// # Errors
    /// If the new module cannot be started.
    pub fn reload(mut self, module: GuestModule) -> Result<Self, Failure> {
        self.progress.reloaded(&module);
        self.instance = start(module, self.limits, self.instance.into_session())?;
        Ok(self)
    }

    /// Projects and commits a batch, in parts when it fails as a whole. When it is to stop, it stops between
    /// two parts: [`Self::sequence`] says how far it came.
    ///
    /// # Errors
    /// The event that always fails; the ones before it are committed.
    pub fn apply(mut self, batch: &Batch) -> Result<Self, Failure> {
        if batch.is_empty() {
            return self.commit(batch);
        }
        match self.instance.project(batch) {
            Ok(()) => self.commit(batch),
            Err(GuestFault::Store(error)) => Err(error.into()),
            Err(fault) => self.recover(batch, fault),
        }
    }

    fn commit(mut self, batch: &Batch) -> Result<Self, Failure> {
        let next = self.checkpoint.at(batch.through());
        let session = self.instance.session();
        session.store.write(&mut session.changes)?;
        session.store.commit(&next)?;
        session.asked = Asked::default();
        self.checkpoint = next;
        self.progress.committed(batch);
        Ok(self)
    }

    /// A rejection names its event; anything else is traced to one event by halving.
    fn recover(mut self, batch: &Batch, fault: GuestFault) -> Result<Self, Failure> {
        self = self.restarted()?;
        if self.stop.is_cancelled() {
            return Ok(self);
        }
        if fault.is_about_events() && batch.len() > 1 {
            let middle = batch.len() / 2;
            self = self.apply(&batch.slice(0..middle))?;
            if self.stop.is_cancelled() {
                return Ok(self);
            }
            return self.apply(&batch.slice(middle..batch.len()));
        }
        let index = match fault {
            GuestFault::Rejected { index, .. } => index,
            _ => 0,
        };
        if index > 0 {
            self.apply(&batch.slice(0..index))?;
        }
        Err(Failure::PoisonEvent {
            sequence: batch.sequences()[index],
            subject: batch.subject(index).to_owned(),
            fault: Box::new(fault),
        })
    }

    /// A fresh instance of the same module, with everything uncommitted forgotten.
    fn restarted(mut self) -> Result<Self, Failure> {
        let module = self.instance.module().clone();
        let mut session = self.instance.into_session();
        session.rollback()?;
        self.instance = start(module, self.limits, session)?;
        Ok(self)
    }
}

fn start(
    module: GuestModule,
    limits: GuestLimits,
    session: Session,
) -> Result<GuestInstance, Failure> {
    GuestInstance::new(module, limits, session).map_err(|(fault, _)| Failure::Start(fault))
}

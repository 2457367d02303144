//! Why a projection stopped, and when it is tried again.

use crate::catalog::{CatalogError, Purpose};
use crate::event::Sequence;
use crate::guest::GuestFault;
use crate::projection::FailedEvent;
use crate::source::{LostEvents, SourceError};
use crate::store::StoreError;

/// When a projection that stopped is tried again, if nobody does anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// After a short back-off, for as long as it takes: the cause passes by itself.
    Soon,
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
    /// It cannot be looked up what belongs to the read model.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// The configuration names another stream than the one the read model was built from.
    #[error("the read model was built from stream {stored}, the configuration names {configured}")]
    OtherStream {
        /// `[projection.NAME] stream`.
        configured: String,
        /// The checkpoint's stream.
        stored: String,
    },
    /// One event always fails: same module, same event, same fault.
    #[error("event {} ({}) failed: {fault}", .failed.event.sequence, .failed.event.subject)]
    PoisonEvent {
        /// Which one.
        failed: Box<FailedEvent>,
        /// What happened.
        fault: Box<GuestFault>,
        /// Whether it was the strategy for a build that stopped at it.
        is_being_built: bool,
    },
    /// So much is set aside that no more may be.
    #[error("event {sequence} cannot be set aside: {limit} {what} are the limit ({key})")]
    SetAsideFull {
        /// What there are enough of.
        what: &'static str,
        /// The limit's place in the configuration.
        key: &'static str,
        /// The limit.
        limit: u64,
        /// The event.
        sequence: Sequence,
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
            Self::Store(error) => error.code(),
            Self::Catalog(_) => "catalog",
            Self::OtherStream { .. } => "other_stream",
            Self::PoisonEvent { .. } => "poison_event",
            Self::SetAsideFull { .. } => "set_aside_full",
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

    /// The poison event, if that is why.
    pub fn poison(&self) -> Option<&FailedEvent> {
        match self {
            Self::PoisonEvent { failed, .. } => Some(failed),
            _ => None,
        }
    }

    /// Whether somebody has to do something, although it is tried again soon.
    pub fn needs_somebody(&self) -> bool {
        matches!(self, Self::Source(error) if error.needs_somebody())
    }

    /// Whether the strategy for a build has stopped it, which a live generation need not have.
    pub fn is_by_build_rules(&self) -> bool {
        matches!(self, Self::PoisonEvent { is_being_built, .. } if *is_being_built)
    }

    /// When to try again.
    pub fn retry(&self) -> Retry {
        match self {
            Self::Source(error) if error.may_pass() => Retry::Soon,
            Self::Source(_)
            | Self::Store(StoreError::WrongFile { .. } | StoreError::Missing { .. }) => {
                Retry::Later
            }
            // It is whole again only when somebody says so: every reader would find the same.
            Self::Store(StoreError::Damaged { .. }) => Retry::Never,
            Self::Store(_) | Self::Catalog(_) | Self::Panic(_) => Retry::Soon,
            Self::OtherStream { .. }
            | Self::PoisonEvent { .. }
            | Self::SetAsideFull { .. }
            | Self::Start(_) => Retry::Never,
        }
    }

    /// What a person can do about it where it stops a generation that is being built, to verify another one or to take its
    /// place, if that is something else than for one that is served.
    pub fn hint_for_build(&self, purpose: Purpose) -> Option<&'static str> {
        match (self, purpose) {
            (Self::PoisonEvent { fault, .. }, _) if !fault.is_by_a_limit() => Some(
                "mend the projection and put the new module into the modules folder: it is built instead. Or let builds set such events aside: [projection.NAME] on_poison_building = \"hold\" or \"skip\"; then restart the host, and `foldline rebuild NAME` (or `verify`) again",
            ),
            (Self::Source(SourceError::EventsLost { .. }), Purpose::Promote) => Some(
                "restore the stream's history, or build it without these events: `foldline accept NAME` this time, [projection.NAME] on_lost_events = \"accept\" always",
            ),
            (Self::Source(SourceError::EventsLost { .. }), Purpose::Verify) => Some(
                "restore the stream's history and `foldline verify NAME` again: what is left says nothing about rows that were made of more. `foldline cancel NAME` takes this one away",
            ),
            _ => None,
        }
    }

    /// What a person can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Source(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Catalog(error) => error.hint(),
            Self::OtherStream { .. } => {
                "name the old stream again, or build the read model from the new one: `foldline rebuild NAME`"
            }
            Self::SetAsideFull { .. } => {
                "mend the projection and put the new module into the modules folder, or retry or discard dead letters (`foldline dead-letters list NAME`), or raise the limit and restart the host"
            }
            Self::PoisonEvent { fault, .. } | Self::Start(fault) => fault.hint(),
            Self::Panic(_) => "this is a bug of Foldline; the log has the details",
        }
    }
}

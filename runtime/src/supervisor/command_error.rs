//! Why a command was not done.

use super::compare::COMPARISONS_MAX;
use super::meeting::Apart;
use crate::catalog::{CatalogError, Purpose};
use crate::source::SourceError;
use crate::store::StoreError;
use crate::store::sqlite::compare::CompareError;

/// Why a command was not done. Nothing has changed then.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// Nobody has this name.
    #[error("there is no projection {name:?}; there are: {known}")]
    Unknown {
        /// As asked for.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// No generation is being built.
    #[error("there is nothing to promote: projection {name} has no building generation")]
    NothingToPromote {
        /// The projection.
        name: String,
    },
    /// Nothing is being built, nor has failed.
    #[error("there is nothing to cancel: nothing of projection {name} is being built")]
    NothingToCancel {
        /// The projection.
        name: String,
    },
    /// What was built last has failed.
    #[error("version {version} of {name} cannot be promoted: {failure}")]
    BuildFailed {
        /// The projection.
        name: String,
        /// Its version.
        version: u32,
        /// Why.
        failure: String,
        /// What to do about it, where that is known.
        hint: Option<String>,
    },
    /// The file of what is asked for cannot be read.
    #[error("version {version} of {name} cannot be used: {reason}")]
    Broken {
        /// The projection.
        name: String,
        /// Its version.
        version: u32,
        /// What is wrong with the file.
        reason: String,
    },
    /// It has still to catch up.
    #[error("version {version} of {name} is not there yet: {lag} events are left to read")]
    NotCaughtUp {
        /// The projection.
        name: String,
        /// Its version.
        version: u32,
        /// Events.
        lag: u64,
    },
    /// Nothing was live before.
    #[error("projection {name} has no generation on standby to roll back to")]
    NoStandby {
        /// The projection.
        name: String,
    },
    /// There is one generation only.
    #[error("projection {name} has nothing to compare the live read model with")]
    NothingToCompare {
        /// The projection.
        name: String,
    },
    /// One build at a time.
    #[error("version {version} of {name} is being built already")]
    Building {
        /// The projection.
        name: String,
        /// What is being built.
        version: u32,
        /// What for.
        purpose: Purpose,
        /// Whether the live one goes on meanwhile.
        goes_on: bool,
    },
    /// Its stream is not what it was.
    #[error("{name} cannot be compared with what its stream gives now: {problem}")]
    Halted {
        /// The projection.
        name: String,
        /// What is in the way of the live one.
        problem: String,
    },
    /// It would be given up, and begun again by its file.
    #[error("version {version} of {name} could not be built, and this would begin it again")]
    BeginsAgain {
        /// The projection.
        name: String,
        /// What could not be built.
        version: u32,
    },
    /// One switch at a time.
    #[error("two generations of {name} are being brought together already")]
    Busy {
        /// The projection.
        name: String,
    },
    /// A few comparisons at a time.
    #[error("{COMPARISONS_MAX} comparisons are under way on this host")]
    Comparing,
    /// It is paused.
    #[error("projection {name} is paused")]
    Paused {
        /// The projection.
        name: String,
    },
    /// Its module file is gone.
    #[error("projection {name} is stopped: its module file is gone")]
    Stopped {
        /// The projection.
        name: String,
    },
    /// A generation would start behind what the live one has already shown.
    #[error("{name} cannot be built from sequence {from}: the live read model is at {checkpoint}")]
    StartsLater {
        /// The projection.
        name: String,
        /// As asked for.
        from: u64,
        /// The live generation's checkpoint.
        checkpoint: u64,
    },
    /// Removed while its file would bring it back.
    #[error("projection {name} still runs from {file}")]
    StillThere {
        /// The projection.
        name: String,
        /// The module file.
        file: String,
    },
    /// Their files do not say the same sequence.
    #[error("two generations of {name} cannot be compared: one is at {at}, the live one at {to}")]
    NotTogether {
        /// The projection.
        name: String,
        /// The other one's sequence.
        at: u64,
        /// The live one's sequence.
        to: u64,
    },
    /// It has not found its stream yet.
    #[error("projection {name} has not found its stream yet, so no time can be looked up in it")]
    NoStream {
        /// The projection.
        name: String,
    },
    /// The stream cannot be asked.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// Two generations could not be brought to one sequence.
    #[error(transparent)]
    Apart(#[from] Apart),
    /// The catalog cannot be written.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// A file cannot be deleted.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A stored module cannot be run.
    #[error("the module of {name} that was stored cannot be loaded: {reason}")]
    Module {
        /// The projection.
        name: String,
        /// Why.
        reason: String,
    },
    /// It has no generation of this number.
    #[error("projection {name} has no generation {generation}")]
    NoGeneration {
        /// The projection.
        name: String,
        /// As asked for.
        generation: u32,
    },
    /// No event of this sequence is set aside.
    #[error("projection {name} has no dead letter {sequence}")]
    NoDeadLetter {
        /// The projection.
        name: String,
        /// As asked for.
        sequence: u64,
        /// Number of another generation that has stopped at this event.
        stopped: Option<u32>,
    },
    /// No event of this sequence was applied yet, nor set aside.
    #[error("projection {name} has no dead letter {sequence}: it has not come to that event yet")]
    NotReached {
        /// The projection.
        name: String,
        /// As asked for.
        sequence: u64,
    },
    /// It was passed over, and the dead letter holds only a part of it.
    #[error(
        "event {sequence} of {name} is too large to be kept as a whole, so it cannot be tried again"
    )]
    CutOff {
        /// The projection.
        name: String,
        /// The event.
        sequence: u64,
    },
    /// It was not set aside, or nobody takes it up: a generation has stopped.
    #[error(
        "generation {generation} of {name} has stopped at event {sequence}, which was not set aside"
    )]
    StoppedAt {
        /// The projection.
        name: String,
        /// The generation's number.
        generation: u32,
        /// The event that it has stopped at.
        sequence: u64,
    },
    /// It cannot be shown: nothing is kept of what was not set aside.
    #[error("event {sequence} of {name} is not in stream {stream} any more")]
    EventGone {
        /// The projection.
        name: String,
        /// The event.
        sequence: u64,
        /// Its stream.
        stream: String,
        /// What becomes of the generation that has stopped at it.
        then: String,
    },
    /// The loop could not take it up, or ended on the way.
    #[error("dead letter {sequence} of {name} cannot be settled now")]
    NotNow {
        /// The projection.
        name: String,
        /// The event.
        sequence: u64,
    },
    /// The host ends.
    #[error("the host is stopping")]
    Stopping,
}

impl From<CompareError> for CommandError {
    fn from(error: CompareError) -> Self {
        match error {
            CompareError::Store(error) => Self::Store(error),
            CompareError::Stopped => Self::Stopping,
        }
    }
}

impl CommandError {
    /// What to do next.
    pub fn hint(&self) -> String {
        let text = match self {
            Self::Unknown { .. } => {
                "see `foldline status`; module files that were refused are listed there too"
            }
            Self::NothingToPromote { .. } => {
                "put a module of a higher version into the modules folder, or `foldline rebuild` it; `foldline rollback` \
                 goes back to the generation on standby"
            }
            Self::NothingToCancel { name } => {
                return format!("`foldline status {name}` shows its generations");
            }
            Self::BuildFailed {
                hint: Some(hint), ..
            } => return hint.clone(),
            Self::BuildFailed { hint: None, .. } => {
                "put a corrected module into the modules folder: it is built in place of this one; where a limit was in the \
                 way, raise it, restart the host, and `foldline rebuild` it"
            }
            Self::Broken { .. } => {
                "`foldline rebuild` builds it again from the stream, in a file of its own"
            }
            Self::NotCaughtUp { .. } => "try again when `foldline status` shows it caught up",
            Self::NoStandby { .. } => {
                "there is one after a promotion, unless standby = false; to run older code, give it a higher version"
            }
            Self::NothingToCompare { .. } => {
                "it is compared with what is being built, else with the generation on standby; `foldline verify` builds \
                 one to compare with"
            }
            Self::Building {
                name,
                goes_on: false,
                ..
            } => {
                return format!(
                    "the live one cannot go on: `foldline promote {name}` makes this one live when it has come to the end of \
                     the stream"
                );
            }
            Self::Building {
                name,
                purpose: Purpose::Verify,
                ..
            } => {
                return format!(
                    "wait until it is compared with the live one, or give it up: `foldline cancel {name}`"
                );
            }
            Self::Building { name, .. } => {
                return format!(
                    "wait until it is live, or `foldline promote {name}` makes it live where that is left to you; `foldline \
                     cancel {name}` gives it up, and another module in the modules folder is built instead"
                );
            }
            Self::Halted { name, .. } => {
                return format!("`foldline status {name}` says what to do about that");
            }
            Self::BeginsAgain { name, .. } => {
                return format!(
                    "put the module file of the live version back into the modules folder first, which gives the other one up; \
                     `foldline rebuild {name}` builds that again"
                );
            }
            Self::Busy { .. } | Self::NotTogether { .. } => "try again in a moment",
            Self::Comparing => "try again when one has ended",
            Self::Paused { name } => return format!("`foldline resume {name}` first"),
            Self::Stopped { .. } => "put the module file back into the modules folder",
            Self::StartsLater { .. } => "name a sequence that the live read model contains",
            Self::StillThere { .. } => "take the module file out of the modules folder first",
            Self::NoStream { .. } => "see `foldline status` for what it waits for",
            Self::Source(error) => error.hint(),
            Self::Apart(error) => error.hint(),
            Self::Catalog(error) => error.hint(),
            Self::Store(error) => error.hint(),
            Self::Module { .. } => "put the module's file into the modules folder again",
            Self::NoGeneration { name, .. } => {
                return format!("`foldline status {name}` shows those there are");
            }
            Self::NoDeadLetter {
                stopped: Some(number),
                ..
            } => {
                return format!(
                    "generation {number} has stopped at it: add `--generation {number}`"
                );
            }
            Self::NoDeadLetter { name, .. } => {
                return format!(
                    "`foldline dead-letters list {name}` shows those there are, with --discarded those that were given up"
                );
            }
            Self::CutOff { .. } => {
                "`foldline rebuild` applies it in its place; [recovery] dead_letter_kib says how much is kept"
            }
            Self::StoppedAt {
                name,
                generation,
                sequence,
            } => {
                return format!(
                    "put a mended module into the modules folder, which is given that event again; or give it up: \
                     `foldline dead-letters discard {name} {sequence} --generation {generation}`"
                );
            }
            Self::EventGone { name, then, .. } => {
                return format!("{then}; `foldline status {name} --json` has what is known of it");
            }
            Self::NotReached { name, .. } => {
                return format!(
                    "`foldline status {name}` shows where it is, and at which event it stops"
                );
            }
            Self::NotNow { name, .. } => {
                return format!(
                    "see `foldline status {name}` for what is in the way, and `foldline dead-letters list {name}` for what is left"
                );
            }
            Self::Stopping => "try again when it runs",
        };
        text.to_owned()
    }

    /// Whether the name or the sequence was wrong, and nothing else.
    pub fn is_unknown(&self) -> bool {
        matches!(
            self,
            Self::Unknown { .. }
                | Self::NoDeadLetter { .. }
                | Self::NoGeneration { .. }
                | Self::EventGone { .. }
        )
    }

    /// Whether it is the host that failed, not what was asked for.
    pub fn is_internal(&self) -> bool {
        matches!(
            self,
            Self::Catalog(_) | Self::Store(_) | Self::Module { .. }
        )
    }
}

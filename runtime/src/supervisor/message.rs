//! What the supervisor is told and asked, and what it answers.

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use super::command_error::CommandError;
use super::meeting::{Apart, Meeting};
use super::plan::{Plan, PlanReply};
use super::stopped::{Stopping, StoppingReply};
use crate::catalog::Discard;
use crate::event::{Sequence, Timestamp};
use crate::guest::GuestModule;
use crate::guest::folder::Finding;
use crate::projection::requests::{Action, Settled};
use crate::projection::{Comparison, Problem};

/// Messages that wait for the supervisor. Each is handled in milliseconds, but for modules that must be compiled.
const INBOX: usize = 64;

/// What an operator asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// Build the live version's read model again, beside the live one.
    Rebuild {
        /// What to begin with; where the projection usually begins if none.
        from: Option<BuildFrom>,
    },
    /// Make the building generation live.
    Promote,
    /// Make the generation on standby live.
    Rollback,
    /// Give up what is being built, or could not be built.
    Cancel,
    /// Stop applying events until resumed.
    Pause,
    /// End a pause.
    Resume,
    /// Delete the read models, and forget the projection.
    Remove,
    /// Compare the live read model with the one that is built or on standby.
    Diff {
        /// Rows that differ to be shown for each table.
        examples: usize,
    },
    /// Try the event of a dead letter again, or give it up.
    DeadLetter {
        /// The event's sequence.
        sequence: Sequence,
        /// What is to become of it.
        action: Action,
        /// Number of the generation that set it aside; the live one if none.
        generation: Option<u32>,
    },
    /// Build the live read model again and compare the two; the outcome is in the projection's status.
    Verify,
}

/// Where a rebuild begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BuildFrom {
    /// With this event.
    Sequence(Sequence),
    /// With the first event that was stored at this time or later.
    Time(Timestamp),
}

/// What a command did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// In words.
    pub message: String,
    /// The generation that it was about.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub generation: Option<u32>,
    /// What a comparison found.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub comparison: Option<Comparison>,
    /// What came of retrying or discarding a dead letter.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub settled: Option<Settled>,
}

impl Outcome {
    /// Something was done that is said in words.
    pub(super) fn said(message: String, generation: Option<u32>) -> Self {
        Self {
            message,
            generation,
            comparison: None,
            settled: None,
        }
    }
}

/// Why two generations are brought to a stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aim {
    /// The other one takes the place of the live one.
    Switch,
    /// Their rows are compared.
    Compare {
        /// Rows that differ to be shown for each table.
        examples: usize,
    },
}

/// Where a command's outcome is waited for.
pub(super) type Reply = oneshot::Sender<Result<Outcome, CommandError>>;

/// What the supervisor acts on, one after the other.
pub(super) enum Message {
    /// The modules folder was looked at.
    Findings(Vec<Finding>),
    /// An operator asks.
    Command {
        projection: String,
        command: Command,
        reply: Reply,
    },
    /// A building generation is at the heels of the live one.
    CaughtUp { projection: String, number: u32 },
    /// A generation waits because of what became of its stream.
    Halted { projection: String, number: u32 },
    /// A generation cannot go on by itself.
    Stuck {
        projection: String,
        number: u32,
        /// Whether it might go on by the rules for a live generation.
        by_build_rules: bool,
        failure: Problem,
    },
    /// The live generation and this one stand still, or could not be brought to.
    Met {
        projection: String,
        number: u32,
        aim: Aim,
        met: Result<Meeting, Apart>,
        reply: Option<Reply>,
    },
    /// What was built to verify the live read model was compared with it.
    Verified {
        projection: String,
        number: u32,
        compared: Result<Comparison, CommandError>,
    },
    /// Somebody wants to know what a module file would mean.
    Plan { bytes: Vec<u8>, reply: PlanReply },
    /// Its module was checked.
    Planned {
        module: GuestModule,
        reply: PlanReply,
    },
    /// Somebody wants to know what was given up.
    Discards {
        projection: String,
        after: Sequence,
        limit: usize,
        reply: oneshot::Sender<Result<Vec<Discard>, CommandError>>,
    },
    /// Somebody wants to see an event that a generation has stopped at.
    Stopping {
        projection: String,
        sequence: Sequence,
        generation: Option<u32>,
        reply: StoppingReply,
    },
    /// The host stops.
    Stop,
}

/// Tells the supervisor. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Supervision {
    inbox: mpsc::Sender<Message>,
}

impl Supervision {
    pub(super) fn new() -> (Self, mpsc::Receiver<Message>) {
        let (inbox, messages) = mpsc::channel(INBOX);
        (Self { inbox }, messages)
    }

    /// One whose supervisor is gone.
    #[cfg(test)]
    pub(crate) fn without_supervisor() -> Self {
        Self::new().0
    }

    pub(super) fn sender(&self) -> mpsc::Sender<Message> {
        self.inbox.clone()
    }

    /// Hands over what the modules folder holds; false when the supervisor is gone.
    pub async fn take(&self, findings: Vec<Finding>) -> bool {
        self.inbox.send(Message::Findings(findings)).await.is_ok()
    }

    /// Ends the supervisor behind what it was told before; what runs is ended by its stop signal.
    pub async fn stop(&self) {
        // One that is gone has nothing to stop.
        let _gone = self.inbox.send(Message::Stop).await;
    }

    /// Does what an operator asks for.
    ///
    /// # Errors
    /// Why it was not done.
    pub async fn command(
        &self,
        projection: &str,
        command: Command,
    ) -> Result<Outcome, CommandError> {
        let (reply, outcome) = oneshot::channel();
        let message = Message::Command {
            projection: projection.to_owned(),
            command,
            reply,
        };
        let sent = self.inbox.send(message).await;
        sent.map_err(|_| CommandError::Stopping)?;
        outcome.await.unwrap_or(Err(CommandError::Stopping))
    }

    /// The first events behind `after` that were given up, at most `limit`.
    ///
    /// # Errors
    /// If there is no such projection, or the catalog cannot be read.
    pub async fn discards(
        &self,
        projection: &str,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<Discard>, CommandError> {
        let (reply, discards) = oneshot::channel();
        let message = Message::Discards {
            projection: projection.to_owned(),
            after,
            limit,
            reply,
        };
        let sent = self.inbox.send(message).await;
        sent.map_err(|_| CommandError::Stopping)?;
        discards.await.unwrap_or(Err(CommandError::Stopping))
    }

    /// The event of this sequence, if the generation of this number has stopped at it, or any, if none is named.
    ///
    /// # Errors
    /// If there is no such projection, or the event cannot be read from its stream again.
    pub async fn stopping(
        &self,
        projection: &str,
        sequence: Sequence,
        generation: Option<u32>,
    ) -> Result<Option<Stopping>, CommandError> {
        let (reply, stopping) = oneshot::channel();
        let message = Message::Stopping {
            projection: projection.to_owned(),
            sequence,
            generation,
            reply,
        };
        let sent = self.inbox.send(message).await;
        sent.map_err(|_| CommandError::Stopping)?;
        stopping.await.unwrap_or(Err(CommandError::Stopping))
    }

    /// What a module file with these bytes would mean; none when the host is stopping.
    pub async fn plan(&self, bytes: Vec<u8>) -> Option<Plan> {
        let (reply, plan) = oneshot::channel();
        let sent = self.inbox.send(Message::Plan { bytes, reply }).await;
        sent.ok()?;
        plan.await.ok()
    }
}

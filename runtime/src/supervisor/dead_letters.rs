//! Dead letters: what operators ask for is handed to the generation's loop, and its answer back.

use std::time::Duration;

use super::command_error::CommandError;
use super::message::{Outcome, Reply};
use super::switch::answer;
use super::{Hosted, Supervisor};
use crate::event::Sequence;
use crate::projection::requests::{Action, NotSettled, Requests, Settled};

/// How long an operator waits: for a commit, and for the held events of one key. One that cannot be taken up within
/// that time, because the stream cannot be read, is not done later either.
const ANSWER_WAIT: Duration = Duration::from_secs(30);

impl Supervisor {
    /// The generation of this number, or the live one, as one that can be asked to try an event again.
    pub(super) fn that_sets_aside(
        &self,
        name: &str,
        generation: Option<u32>,
    ) -> Result<&Hosted, CommandError> {
        let projection = self.running(name)?;
        let Some(number) = generation else {
            return projection.live().ok_or_else(|| self.unknown(name));
        };
        let mut all = projection.generations.iter();
        let found = all.find(|hosted| hosted.record.number == number);
        found.ok_or_else(|| CommandError::NoGeneration {
            name: name.to_owned(),
            generation: number,
        })
    }
}

/// Has a dead letter retried or discarded.
pub(super) fn settle_dead_letter(
    name: &str,
    requests: &Requests,
    sequence: Sequence,
    action: Action,
    mut reply: Reply,
) {
    let settled = requests.ask(sequence, action);
    let name = name.to_owned();
    tokio::spawn(async move {
        let settled = tokio::select! {
            // Nobody waits any more: what has not begun is not begun.
            () = reply.closed() => return,
            settled = tokio::time::timeout(ANSWER_WAIT, settled) => settled,
        };
        let outcome = match settled {
            Ok(Ok(Ok(settled))) => Ok(outcome(&name, sequence, action, settled)),
            Ok(Ok(Err(refused))) => Err(refusal(name, sequence, refused)),
            // The run ended in between, or none could begin.
            Ok(Err(_)) | Err(_) => Err(CommandError::NotNow { name, sequence }),
        };
        answer(Some(reply), outcome);
    });
}

fn refusal(name: String, sequence: Sequence, refused: NotSettled) -> CommandError {
    match refused {
        NotSettled::NoDeadLetter => CommandError::NoDeadLetter { name, sequence },
        NotSettled::CutOff => CommandError::CutOff { name, sequence },
        NotSettled::Busy => CommandError::NotNow { name, sequence },
    }
}

fn outcome(name: &str, sequence: Sequence, action: Action, settled: Settled) -> Outcome {
    let done = match (action, &settled) {
        (Action::Discard, _) => format!("event {sequence} of {name} is given up"),
        (Action::Retry, Settled::Applied { .. }) => {
            format!("event {sequence} of {name} is applied")
        }
        (Action::Retry, _) => format!("event {sequence} of {name} was tried again"),
    };
    let then = match &settled {
        Settled::Applied { events } => format!("{events} events were applied"),
        Settled::Failed {
            events,
            sequence,
            error,
            left,
        } => format!(
            "{events} events were applied, then event {sequence} failed ({error}); {left} events of its key are held"
        ),
        Settled::Interrupted { events } => {
            format!("{events} events were applied before the projection was stopped")
        }
    };
    Outcome {
        settled: Some(settled),
        ..Outcome::said(format!("{done}: {then}"), None)
    }
}

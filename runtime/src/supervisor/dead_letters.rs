//! Dead letters: what operators ask for is handed to the generation's loop, and its answer back.

use std::time::Duration;

use super::command_error::CommandError;
use super::message::{Outcome, Reply};
use super::switch::answer;
use super::{Hosted, Supervisor};
use crate::catalog::{Discard, GenerationState};
use crate::event::Sequence;
use crate::projection::requests::{Action, NotSettled, Requests, Settled};

/// How long an operator waits: for a commit, and for the held events of one key. One that cannot be taken up within
/// that time, because the stream cannot be read, is not done later either.
const ANSWER_WAIT: Duration = Duration::from_secs(30);

/// What is to become of which event.
type Asked = (Sequence, Action);

impl Supervisor {
    /// Has a dead letter retried or discarded, or the event discarded that a generation stands in front of.
    pub(super) fn dead_letter(
        &mut self,
        name: &str,
        asked: Asked,
        generation: Option<u32>,
        reply: Reply,
    ) {
        let hosted = match self.that_sets_aside(name, generation) {
            Ok(hosted) => hosted,
            Err(error) => return answer(Some(reply), Err(error)),
        };
        let is_over = hosted.record.state == GenerationState::Failed;
        match (hosted.stands_before(asked.0), asked.1) {
            (Some(failed), Action::Discard) => {
                let number = hosted.record.number;
                self.discard_what_stops(name, number, &failed.event, reply);
            }
            // Nobody would take it up.
            _ if is_over => answer(Some(reply), Err(hosted.takes_nothing_up(asked.0))),
            (Some(_), Action::Retry) => {
                hosted.requests.wake();
                answer(Some(reply), Err(hosted.takes_nothing_up(asked.0)));
            }
            _ => {
                let all = Others {
                    requests: self.standing_before(name, asked.0),
                    stopped: match asked.1 {
                        Action::Discard => self.stopped_at(name, asked.0),
                        Action::Retry => None,
                    },
                };
                settle(hosted, asked, all, reply);
            }
        }
    }

    /// The generation of this number, or the live one, as one that can be asked to try an event again.
    fn that_sets_aside(
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

    /// The first events behind `after` that were given up.
    pub(super) fn discards(
        &self,
        name: &str,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<Discard>, CommandError> {
        self.find(name)?;
        Ok(self.ground.shared.catalog.discards(name, after, limit)?)
    }
}

/// What must be known of a projection's generations while one of them is asked.
struct Others {
    /// Where those are asked that have stopped at the event.
    requests: Vec<Requests>,
    /// Number of one that has stopped at the event, and what becomes of it when that is given up.
    stopped: Option<(u32, String)>,
}

/// Has the loop of a generation do it; what stands before the same event in the other ones goes on then.
fn settle(hosted: &Hosted, (sequence, action): Asked, others: Others, mut reply: Reply) {
    let settled = hosted.requests.ask(sequence, action);
    let name = hosted.record.definition.name.clone();
    tokio::spawn(async move {
        let settled = tokio::select! {
            biased;
            settled = settled => settled.ok(),
            // Nobody waits any more: what has not begun is not begun.
            () = reply.closed() => None,
            () = tokio::time::sleep(ANSWER_WAIT) => None,
        };
        if action == Action::Discard {
            // Also where the answer was not waited for: the event may be given up all the same.
            others.requests.iter().for_each(Requests::wake);
        }
        let mut outcome = match settled {
            Some(Ok(settled)) => Ok(outcome(&name, sequence, action, settled)),
            Some(Err(refused)) => Err(refusal(
                name,
                sequence,
                refused,
                others.stopped.as_ref().map(|(number, _)| *number),
            )),
            // The run ended in between, or none could begin.
            None => Err(CommandError::NotNow { name, sequence }),
        };
        if let (Ok(outcome), Some((_, then))) = (&mut outcome, others.stopped) {
            outcome.message.push_str("; ");
            outcome.message.push_str(&then);
        }
        answer(Some(reply), outcome);
    });
}

fn refusal(
    name: String,
    sequence: Sequence,
    refused: NotSettled,
    stopped: Option<u32>,
) -> CommandError {
    match refused {
        NotSettled::NoDeadLetter => CommandError::NoDeadLetter {
            name,
            sequence,
            stopped,
        },
        NotSettled::NotReached => CommandError::NotReached { name, sequence },
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

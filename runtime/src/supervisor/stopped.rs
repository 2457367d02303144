//! Events that a generation has stopped at, because its strategy is not to set them aside: shown like a dead letter, and
//! given up like one.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use super::command_error::CommandError;
use super::message::{Outcome, Reply};
use super::switch::answer;
use super::{Hosted, Projection, Supervisor};
use crate::catalog::{Discards, GenerationState, Purpose};
use crate::event::{Event, EventRef, Sequence};
use crate::projection::requests::Requests;
use crate::projection::{FailedEvent, Problem, State, Status};
use crate::source::{EventSource, SourceError};
use crate::store::dead_letters::{DeadLetter, HeldEvent};

/// How long an operator waits to hear what became of a generation behind an event that was given up.
const EFFECT_WAIT: Duration = Duration::from_secs(10);

/// How long, when it has passed that event, to hear whether the next ones pass, too.
const NEXT_WAIT: Duration = Duration::from_secs(1);

/// An event that a generation has stopped at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stopping {
    /// The generation's number.
    pub generation: u32,
    /// The event, read from its stream, and the attempts at it, as a dead letter has them. There is none: it was neither
    /// held nor passed over.
    pub letter: DeadLetter,
}

/// Where it is waited for.
pub(super) type StoppingReply = oneshot::Sender<Result<Option<Stopping>, CommandError>>;

impl Supervisor {
    /// An event is given up that has no dead letter, because this generation has stopped at it.
    pub(super) fn discard_what_stops(
        &mut self,
        name: &str,
        number: u32,
        event: &EventRef,
        reply: Reply,
    ) {
        let sequence = event.sequence;
        let others = self.others_behind(name, number, sequence);
        let given_up = self.give_up(name, number, event);
        let (then, status) = match given_up {
            Ok(given_up) => given_up,
            Err(error) => return answer(Some(reply), Err(error)),
        };
        let message = format!("event {sequence} of {name} is given up: {then}");
        tokio::spawn(async move {
            let effect = match status {
                Some(status) => effect(status, sequence).await,
                None => None,
            };
            let message = message + &effect.unwrap_or_default() + &others;
            answer(Some(reply), Ok(Outcome::said(message, Some(number))));
        });
    }

    /// Enters it, wakes whoever has stopped at it, and says what becomes of this generation: where that goes on, its
    /// status will tell.
    fn give_up(
        &mut self,
        name: &str,
        number: u32,
        event: &EventRef,
    ) -> Result<(String, Option<watch::Receiver<Status>>), CommandError> {
        let catalog = Arc::clone(&self.ground.shared.catalog);
        Discards::new(Arc::clone(&catalog), name).add(event)?;
        let sequence = event.sequence;
        let standing = self.standing_before(name, sequence);
        standing.iter().for_each(Requests::wake);
        tracing::warn!(projection = name, sequence, "event {sequence} is given up");
        let generations = self.find(name)?.generations.iter();
        let hosted = generations
            .clone()
            .find(|hosted| hosted.record.number == number);
        let hosted = hosted.ok_or_else(|| CommandError::NoGeneration {
            name: name.to_owned(),
            generation: number,
        })?;
        let then = hosted.behind_it();
        let failure = hosted.record.failure.clone();
        let has_failed = hosted.record.state == GenerationState::Failed;
        let Some(failure) = failure.filter(|_| has_failed) else {
            return Ok((then, Some(hosted.progress.subscribe())));
        };
        // Its status is to say the same as the answer.
        let hint = Some(format!("event {sequence} is given up: {then}"));
        let failure = Problem { hint, ..failure };
        hosted.progress.state(State::Failed, Some(failure.clone()));
        catalog.explain(name, number, &failure)?;
        self.follow(name)?;
        Ok((then, None))
    }

    /// Which other generations go on as well when this event is given up, as the end of a sentence.
    fn others_behind(&self, name: &str, number: u32, sequence: Sequence) -> String {
        let generations = self.projections.get(name).map(|found| &found.generations);
        let others = generations.into_iter().flatten().filter(|hosted| {
            let (is_other, failed) = (hosted.record.number != number, GenerationState::Failed);
            is_other && hosted.record.state != failed && hosted.stands_before(sequence).is_some()
        });
        let others = others.map(|hosted| format!("; {}, too", hosted.behind_it()));
        others.collect()
    }

    /// Number of a generation that has stopped at this event, and what becomes of it when that is given up.
    pub(super) fn stopped_at(&self, name: &str, sequence: Sequence) -> Option<(u32, String)> {
        let stopped = self.projections.get(name)?.stopped_at(sequence, None)?.0;
        Some((stopped.record.number, stopped.behind_it()))
    }

    /// Where the generations are asked that have stopped at this event.
    pub(super) fn standing_before(&self, name: &str, sequence: Sequence) -> Vec<Requests> {
        let generations = self.projections.get(name).map(|found| &found.generations);
        let generations = generations.into_iter().flatten();
        let standing = generations.filter(|hosted| hosted.stands_before(sequence).is_some());
        standing.map(|hosted| hosted.requests.clone()).collect()
    }

    /// The event of this sequence, if this generation, or any, has stopped at it.
    pub(super) fn stopping(
        &self,
        name: &str,
        sequence: Sequence,
        generation: Option<u32>,
        reply: StoppingReply,
    ) {
        let found = self
            .find(name)
            .map(|projection| projection.stopped_at(sequence, generation));
        // Nobody may wait any more for what is sent here.
        let (hosted, failed) = match found {
            Ok(Some(found)) => found,
            Ok(None) => return drop(reply.send(Ok(None))),
            Err(error) => return drop(reply.send(Err(error))),
        };
        let name = name.to_owned();
        let Some(stream) = self.stream_of(&name, hosted) else {
            return drop(reply.send(Err(CommandError::NoStream { name })));
        };
        let (record, then) = (Arc::clone(&hosted.record), hosted.without_it());
        let shared = Arc::clone(&self.ground.shared);
        tokio::spawn(async move {
            let event = read_again(&*shared.source, &stream, &failed.event).await;
            let gone = || CommandError::EventGone {
                name,
                sequence,
                stream: stream.clone(),
                then,
            };
            let event = event.map_err(CommandError::from);
            let stopping = event.and_then(|event| event.ok_or_else(gone)).map(|event| {
                let key = &record.definition.key;
                let key = key.of(event.subject.as_bytes(), &event.headers);
                let key = key.map(<[u8]>::to_vec);
                let bytes_max = shared.config.recovery.poison().dead_letter_bytes;
                let of = HeldEvent { key, event };
                Stopping {
                    generation: record.number,
                    letter: DeadLetter::new(&of, failed.attempts, bytes_max),
                }
            });
            drop(reply.send(stopping.map(Some)));
        });
    }

    /// Its stream, or the live one's where it has not read anything: a build that failed at its first event, say.
    fn stream_of(&self, name: &str, hosted: &Hosted) -> Option<String> {
        let live = || self.projections.get(name)?.live()?.progress.stream();
        hosted.progress.stream().or_else(live)
    }
}

impl Projection {
    /// The generation of this number, or any, the live one first, that has stopped at this event.
    fn stopped_at(
        &self,
        sequence: Sequence,
        generation: Option<u32>,
    ) -> Option<(&Hosted, FailedEvent)> {
        let asked = |hosted: &&Hosted| generation.is_none_or(|it| it == hosted.record.number);
        let all = self.live().into_iter().chain(&self.generations);
        let mut all = all.filter(asked);
        all.find_map(|hosted| Some((hosted, hosted.stands_before(sequence)?)))
    }
}

impl Hosted {
    /// Why nothing becomes of a request for the event of this sequence.
    pub(super) fn takes_nothing_up(&self, sequence: Sequence) -> CommandError {
        let name = || self.record.definition.name.clone();
        let not_now = || CommandError::NotNow {
            name: name(),
            sequence,
        };
        self.stopped_at_event().unwrap_or_else(not_now)
    }

    /// That it has stopped at an event, if it has.
    pub(super) fn stopped_at_event(&self) -> Option<CommandError> {
        let status = self.progress.subscribe();
        let status = status.borrow();
        let failed = status.stands_before()?;
        Some(CommandError::StoppedAt {
            name: self.record.definition.name.clone(),
            generation: self.record.number,
            sequence: failed.event.sequence,
        })
    }

    /// What becomes of one that has stopped at an event, when that is given up.
    fn behind_it(&self) -> String {
        let (record, name) = (&self.record, &self.record.definition.name);
        match (record.state, record.purpose) {
            (GenerationState::Failed, Purpose::Promote) => {
                let from = record.started_from;
                let from = from.map_or_else(String::new, |from| format!(" --from {from}"));
                format!("`foldline rebuild {name}{from}` builds again")
            }
            (GenerationState::Failed, Purpose::Verify) => {
                format!("`foldline verify {name}` builds it again")
            }
            _ => format!("generation {} is tried again", record.number),
        }
    }

    /// What becomes of one that has stopped at an event, when that is not in the stream any more.
    fn without_it(&self) -> String {
        let number = self.record.number;
        match self.is_running() {
            true => format!("generation {number} goes on without it by itself, soon"),
            false if self.record.state == GenerationState::Failed => self.behind_it(),
            false => format!("generation {number} goes on without it when it runs again"),
        }
    }

    /// The event of this sequence, if that has stopped it and was not passed since: also while it tries again.
    pub(super) fn stands_before(&self, sequence: Sequence) -> Option<FailedEvent> {
        let status = self.progress.subscribe();
        stands_before(&status.borrow(), sequence).cloned()
    }
}

fn stands_before(status: &Status, sequence: Sequence) -> Option<&FailedEvent> {
    let failed = status.stands_before();
    failed.filter(|failed| failed.event.sequence == sequence)
}

/// What becomes of a generation that stood before this event, as the end of a sentence; none where that takes too long.
async fn effect(mut status: watch::Receiver<Status>, sequence: Sequence) -> Option<String> {
    let moved = status.wait_for(|status| stands_before(status, sequence).is_none());
    let moved = tokio::time::timeout(EFFECT_WAIT, moved).await;
    moved.ok()?.ok()?;
    let settled = |status: &Status| status.status == State::Live || status.obstacle().is_some();
    // What is far behind may stop at a later event, which nobody waits for.
    let settled = tokio::time::timeout(NEXT_WAIT, status.wait_for(settled)).await;
    drop(settled);
    Some(match status.borrow().obstacle() {
        Some(problem) => format!(", and stops again: {}", problem.error),
        None => ", and goes on".to_owned(),
    })
}

/// The event as it is in the stream; none where another one, or nothing, is in its place.
pub(super) async fn read_again(
    source: &dyn EventSource,
    stream: &str,
    of: &EventRef,
) -> Result<Option<Event>, SourceError> {
    let event = source.event(stream, of.sequence).await?;
    Ok(event.filter(|event| event.reference() == *of))
}

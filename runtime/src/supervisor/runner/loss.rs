//! Events that are lost: what becomes of them, and that a loss stays one when the server has forgotten it.

use std::sync::Arc;

use super::{Runner, blocking};
use crate::catalog::{Catalog, CatalogError, Incident, KnownLoss, Purpose};
use crate::event::Sequence;
use crate::projection::State;
use crate::projection::recovery::Failure;
use crate::source::position::{self, OnLostEvents, Resume, Start};
use crate::source::{LostEvents, SourceError};
use crate::store::Checkpoint;

/// Losses that a warning names; the others are counted.
const NAMED: usize = 3;

impl Runner {
    /// What becomes of events that are lost, if nobody has accepted that.
    pub(super) fn on_lost_events(&self) -> OnLostEvents {
        match self.record.purpose {
            // What is left of a stream says nothing about rows that were made of more.
            Purpose::Verify => OnLostEvents::Halt,
            Purpose::Promote if self.is_built_because_of_a_loss() => OnLostEvents::Accept,
            Purpose::Promote => self.shared.config.projection(&self.name).on_lost_events,
        }
    }

    /// Whether it is being built because events were lost: what is lost is left out of it, as it was meant to be.
    fn is_built_because_of_a_loss(&self) -> bool {
        let incident = self.record.incident.as_ref();
        let is_loss = |incident: &Incident| incident.problem.code == "events_lost";
        incident.is_some_and(is_loss) && self.poison.is_being_built()
    }

    /// Whether it was begun because the stream is not what it was: then it is built from what the stream has now.
    pub(super) fn takes_what_is_left(&self) -> bool {
        let incident = self.record.incident.as_ref();
        incident.is_some_and(Incident::is_about_the_stream)
    }

    /// A server that is started again says of what it had lost that it was deleted. So it is kept over starts of the host,
    /// too: who starts both again has not accepted anything.
    pub(super) async fn keep_loss(&self, lost: LostEvents) {
        let kept = self.catalog(move |catalog, name, number| catalog.add_loss(name, number, lost));
        self.is_kept(lost, kept.await);
    }

    /// Neither it nor what is built beside it asks for that again.
    pub(super) async fn keep_accepted(&self, lost: LostEvents) {
        let kept =
            self.catalog(move |catalog, name, number| catalog.accept_loss(name, number, lost));
        self.is_kept(lost, kept.await);
    }

    fn is_kept(&self, lost: LostEvents, kept: Result<(), Failure>) {
        if let Err(error) = kept {
            let hint = error.hint();
            tracing::warn!(
                projection = self.name,
                hint,
                "what is known of the loss of {lost} is not kept: {error}"
            );
        }
    }

    /// Whether it was accepted already that it, or the live one when it was begun, is built without these events.
    async fn is_accepted(&self, lost: LostEvents) -> Result<bool, Failure> {
        let known = self.catalog(Catalog::losses).await?;
        let mut accepted = known.iter().filter(|known| known.accepted);
        Ok(accepted.any(|known| known.lost.cover(lost)))
    }

    /// The lost events that have stopped it, unless it may go on without them.
    pub(super) async fn unaccepted(&self, failure: &Failure) -> Option<LostEvents> {
        let lost = failure.lost()?;
        let accepted = match self.on_lost_events() {
            OnLostEvents::Accept => true,
            // A catalog that cannot be read says nothing.
            OnLostEvents::Halt | OnLostEvents::Rebuild => {
                self.is_accepted(lost).await.unwrap_or(false)
            }
        };
        (!accepted).then_some(lost)
    }

    /// It has come upon a loss that is accepted: the next attempt begins behind that.
    pub(super) fn goes_on_without(&self, failure: &Failure) {
        let code = failure.code();
        tracing::warn!(
            projection = self.name,
            code,
            "{failure}; that is accepted, so it goes on without"
        );
        self.progress.state(State::Starting, None);
    }

    /// Finds out where to go on in the stream; not again what was lost and is accepted.
    pub(super) async fn check(
        &self,
        stream: &str,
        stored: Option<&Checkpoint>,
        start: Start,
        on_lost: OnLostEvents,
    ) -> Result<Resume, Failure> {
        let check = |on_lost| position::check(&*self.shared.source, stream, stored, start, on_lost);
        let found = check(on_lost).await;
        let Some(lost) = found.as_ref().err().and_then(SourceError::lost) else {
            return Ok(found?);
        };
        if !self.is_accepted(lost).await? {
            return Ok(found?);
        }
        let behind = check(OnLostEvents::Accept).await?;
        match behind.lost {
            // More is lost by now.
            Some(more) if !lost.cover(more) => Ok(found?),
            _ => Ok(behind),
        }
    }

    async fn catalog<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Catalog, &str, u32) -> Result<T, CatalogError> + Send + 'static,
    ) -> Result<T, Failure> {
        let (shared, name) = (Arc::clone(&self.shared), self.name.clone());
        let number = self.record.number;
        Ok(blocking(move || work(&shared.catalog, &name, number)).await??)
    }

    /// What was found to be lost before has to be there again, or is accepted.
    pub(super) async fn with_known_losses(
        &self,
        stream: &str,
        resume: Resume,
        on_lost: OnLostEvents,
    ) -> Result<Resume, Failure> {
        let still = self.still_lost(stream, &resume).await?;
        let mut unaccepted = still.iter().filter(|known| !known.accepted);
        if let Some(first) = unaccepted.next() {
            if on_lost != OnLostEvents::Accept {
                return Ok(position::found(stream, Some(first.lost)).map(|()| resume)?);
            }
            self.keep_accepted(first.lost).await;
        }
        // Only the one that was shown can have been accepted.
        position::found(stream, unaccepted.next().map(|next| next.lost))?;
        let next = still
            .iter()
            .find(|known| known.lost.first == resume.after + 1);
        Ok(match next {
            Some(&KnownLoss { lost, .. }) => Resume {
                after: lost.last,
                lost: Some(LostEvents {
                    first: resume.lost.map_or(lost.first, |before| before.first),
                    last: lost.last,
                }),
                ..resume
            },
            // What stands before them is read first.
            None => resume,
        })
    }

    /// What was found to be lost before, is still to be read, and is not there again.
    async fn still_lost(&self, stream: &str, resume: &Resume) -> Result<Vec<KnownLoss>, Failure> {
        let mut still = Vec::new();
        for known in self.catalog(Catalog::losses).await? {
            if known.lost.last <= resume.after {
                continue;
            }
            let first = known.lost.first.max(resume.after + 1);
            let next = self.shared.source.next_sequence(stream, first - 1).await?;
            // Another stream, made under the same name before anything was read, may be shorter.
            let end = next.map_or(resume.last_sequence, |next| next - 1);
            let last = known.lost.last.min(end);
            if first <= last {
                let lost = LostEvents { first, last };
                still.push(KnownLoss { lost, ..known });
                continue;
            }
            let first = known.lost.first;
            self.catalog(move |catalog, name, number| catalog.remove_loss(name, number, first))
                .await?;
        }
        Ok(still)
    }

    /// What readers of a read model that has come this far should know: which events it is built without.
    pub(super) async fn what_is_missing(
        &self,
        checkpoint: Sequence,
    ) -> Result<Option<String>, Failure> {
        let known = self.catalog(Catalog::losses).await?.into_iter();
        let is_missing = |known: &KnownLoss| known.accepted || known.lost.last <= checkpoint;
        let losses: Vec<_> = known.filter(is_missing).map(|known| known.lost).collect();
        Ok(missing(&losses))
    }
}

/// A sentence about lost events that were accepted to be.
fn missing(losses: &[LostEvents]) -> Option<String> {
    let named = losses.iter().take(NAMED).map(LostEvents::to_string);
    let mut all: Vec<_> = named.collect();
    if losses.len() > NAMED {
        all.push(format!("{} more", losses.len() - NAMED));
    }
    let last = all.pop()?;
    let all = match all.is_empty() {
        true => last,
        false => format!("{} and {last}", all.join(", ")),
    };
    Some(format!(
        "the read model is built without {all}, which the stream had lost"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_losses_are_named_and_the_others_counted() {
        let losses: Vec<_> = [(5, 9), (12, 12), (20, 21), (30, 30), (40, 50)]
            .map(|(first, last)| LostEvents { first, last })
            .into();
        let said = |count| missing(&losses[..count]).unwrap_or_default();
        assert_eq!(said(0), "");
        assert!(
            said(1).contains("without events 5 to 9, which"),
            "{}",
            said(1)
        );
        let three = "without events 5 to 9, event 12 and events 20 to 21, which";
        assert!(said(3).contains(three), "{}", said(3));
        let five = "without events 5 to 9, event 12, events 20 to 21 and 2 more, which";
        assert!(said(5).contains(five), "{}", said(5));
    }
}

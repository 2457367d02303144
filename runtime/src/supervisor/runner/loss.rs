//! Events that are lost: what becomes of them, and that a loss stays one when the server has forgotten it.

use std::sync::Arc;

use super::{Runner, blocking};
use crate::catalog::{Incident, Purpose};
use crate::projection::recovery::Failure;
use crate::source::position::{OnLostEvents, Resume};
use crate::source::{LostEvents, SourceError};

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
        let (shared, name) = (Arc::clone(&self.shared), self.name.clone());
        let number = self.record.number;
        let kept = blocking(move || shared.catalog.add_loss(&name, number, lost)).await;
        if let Ok(Err(error)) = kept {
            let hint = error.hint();
            tracing::warn!(
                projection = self.name,
                hint,
                "that {lost} are lost is not kept: {error}"
            );
        }
    }

    async fn known_loss(&self) -> Result<Option<LostEvents>, Failure> {
        let (shared, name) = (Arc::clone(&self.shared), self.name.clone());
        let number = self.record.number;
        Ok(blocking(move || shared.catalog.loss(&name, number)).await??)
    }

    /// What was found to be lost before has to be there again, or is accepted.
    pub(super) async fn with_known_loss(
        &self,
        stream: &str,
        resume: Resume,
        on_lost: OnLostEvents,
    ) -> Result<Resume, Failure> {
        let Some(lost) = self.still_lost(stream, &resume).await? else {
            return Ok(resume);
        };
        match on_lost {
            OnLostEvents::Accept if lost.first == resume.after + 1 => Ok(Resume {
                after: lost.last,
                lost: Some(lost),
                ..resume
            }),
            // What stands before it is read first.
            OnLostEvents::Accept => Ok(resume),
            OnLostEvents::Halt | OnLostEvents::Rebuild => Err(SourceError::EventsLost {
                stream: stream.to_owned(),
                first: lost.first,
                last: lost.last,
            })?,
        }
    }

    /// What was found to be lost before, is still to be read, and is not there again.
    async fn still_lost(
        &self,
        stream: &str,
        resume: &Resume,
    ) -> Result<Option<LostEvents>, Failure> {
        let Some(known) = self.known_loss().await? else {
            return Ok(None);
        };
        let first = known.first.max(resume.after + 1);
        // Another stream, made under the same name before anything was read, may be shorter.
        let last = known.last.min(resume.last_sequence);
        if first > last {
            return Ok(None);
        }
        let next = self.shared.source.next_sequence(stream, first - 1).await?;
        let last = next.map_or(last, |next| last.min(next - 1));
        Ok((first <= last).then_some(LostEvents { first, last }))
    }
}

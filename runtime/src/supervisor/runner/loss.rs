//! Events that are lost: what becomes of them, and that a loss stays one when the server has forgotten it.

use std::sync::Arc;

use super::{Runner, blocking};
use crate::catalog::{Catalog, CatalogError, Incident, Purpose};
use crate::event::Sequence;
use crate::projection::recovery::Failure;
use crate::source::position::{OnLostEvents, Resume};
use crate::source::{LostEvents, SourceError};

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
        if let Err(error) = kept.await {
            let hint = error.hint();
            tracing::warn!(
                projection = self.name,
                hint,
                "that {lost} are lost is not kept: {error}"
            );
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
        let mut known = self.catalog(Catalog::losses).await?.into_iter();
        let Some(known) = known.find(|lost| lost.last > resume.after) else {
            return Ok(None);
        };
        let first = known.first.max(resume.after + 1);
        let next = self.shared.source.next_sequence(stream, first - 1).await?;
        // Another stream, made under the same name before anything was read, may be shorter.
        let end = next.map_or(resume.last_sequence, |next| next - 1);
        let last = known.last.min(end);
        if first <= last {
            return Ok(Some(LostEvents { first, last }));
        }
        let is_there =
            move |catalog: &Catalog, name: &str, number| catalog.remove_loss(name, number, known);
        self.catalog(is_there).await?;
        Ok(None)
    }

    /// What readers of a read model that has come this far should know: which events it is built without.
    pub(super) async fn what_is_missing(
        &self,
        checkpoint: Sequence,
    ) -> Result<Option<String>, Failure> {
        let mut losses = self.catalog(Catalog::losses).await?;
        losses.retain(|lost| lost.last <= checkpoint);
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

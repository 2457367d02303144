//! What one stream in memory holds.

use std::collections::BTreeMap;

use super::Opening;
use crate::batch::{Batch, BatchBuilder, BatchLimits};
use crate::event::{Event, Position, Sequence, Timestamp};
use crate::source::StreamState;
use crate::subject::SubjectFilter;

#[derive(Debug, Default)]
pub(super) struct Stream {
    pub(super) subjects: Vec<SubjectFilter>,
    pub(super) retention: Option<String>,
    pub(super) events: BTreeMap<Sequence, Event>,
    pub(super) last_sequence: Sequence,
    pub(super) openings: Vec<Opening>,
}

impl Stream {
    pub(super) fn holds(&self, filters: &[SubjectFilter]) -> bool {
        let mut subjects = self.subjects.iter();
        subjects.any(|subject| filters.iter().any(|filter| filter.overlaps(subject)))
    }

    /// Stores an event behind the last one.
    pub(super) fn store(
        &mut self,
        time: Timestamp,
        subject: &str,
        headers: &[u8],
        payload: &[u8],
    ) -> Sequence {
        self.last_sequence += 1;
        let event = Event {
            sequence: self.last_sequence,
            time,
            subject: subject.to_owned(),
            headers: headers.to_vec().into(),
            payload: payload.to_vec().into(),
        };
        self.events.insert(event.sequence, event);
        self.last_sequence
    }

    pub(super) fn state(&self) -> StreamState {
        let first = self.events.keys().next().copied();
        StreamState {
            first_sequence: first.unwrap_or(self.last_sequence + 1),
            last_sequence: self.last_sequence,
        }
    }

    /// What follows `after`, up to `limits`; none when nothing does.
    pub(super) fn pack(&self, after: Sequence, limits: BatchLimits) -> Option<Batch> {
        let mut builder = BatchBuilder::default();
        let mut through = Position::default();
        let mut rest = self.events.range(after + 1..).map(|(_, event)| event);
        let mut waiting = rest.clone().count() as u64;
        let fits = |builder: &BatchBuilder, event: &&Event| {
            let bytes = event.subject.len() + event.headers.len() + event.payload.len();
            !builder.is_full(bytes, limits)
        };
        while let Some(event) = rest.next().filter(|event| fits(&builder, event)) {
            builder.push_event(event);
            waiting -= 1;
            through = Position {
                sequence: event.sequence,
                time: event.time,
            };
        }
        (!builder.is_empty()).then(|| builder.finish(through, waiting))
    }
}

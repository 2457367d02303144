//! What one stream in memory holds.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Opening;
use crate::batch::{Batch, BatchBuilder, BatchLimits};
use crate::event::{Event, Position, Sequence, Timestamp};
use crate::source::StreamState;
use crate::subject::SubjectFilter;

#[derive(Debug, Default)]
pub(super) struct Stream {
    pub(super) subjects: Vec<SubjectFilter>,
    pub(super) retention: Option<String>,
    /// By rising sequence.
    events: VecDeque<Event>,
    last_sequence: Sequence,
    pub(super) openings: Vec<Opening>,
    /// Each reader holds a clone: counts them, and tells this stream from one that takes its place.
    pub(super) life: Arc<()>,
}

impl Stream {
    pub(super) fn new(subjects: Vec<SubjectFilter>) -> Self {
        Self {
            subjects,
            ..Self::default()
        }
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
        self.events.push_back(Event {
            sequence: self.last_sequence,
            time,
            subject: subject.to_owned(),
            headers: headers.to_vec().into(),
            payload: payload.to_vec().into(),
        });
        self.last_sequence
    }

    pub(super) fn state(&self) -> StreamState {
        let first = self.events.front().map(|event| event.sequence);
        StreamState {
            first_sequence: first.unwrap_or(self.last_sequence + 1),
            last_sequence: self.last_sequence,
            first_time: self.events.front().map(|event| event.time),
            forgets: Vec::new(),
            takes: None,
        }
    }

    pub(super) fn event(&self, sequence: Sequence) -> Option<&Event> {
        let event = self
            .events
            .get(self.index_after(sequence.checked_sub(1)?))?;
        (event.sequence == sequence).then_some(event)
    }

    /// Sequence of the first event stored at `time` or later; the one behind the last event when none was.
    pub(super) fn sequence_at(&self, time: Timestamp) -> Sequence {
        let later = self.events.partition_point(|event| event.time < time);
        let found = self.events.get(later).map(|event| event.sequence);
        found.unwrap_or(self.last_sequence + 1)
    }

    /// Number of events behind `sequence`.
    pub(super) fn pending(&self, sequence: Sequence) -> u64 {
        (self.events.len() - self.index_after(sequence)) as u64
    }

    pub(super) fn purge_before(&mut self, sequence: Sequence) {
        self.events.retain(|event| event.sequence >= sequence);
    }

    pub(super) fn delete(&mut self, sequence: Sequence) {
        self.events.retain(|event| event.sequence != sequence);
    }

    /// What follows `after`, up to `limits`; none when nothing does.
    pub(super) fn pack(&self, after: Sequence, limits: BatchLimits) -> Option<Batch> {
        let mut builder = BatchBuilder::default();
        let mut through = Position::default();
        for event in self.events.range(self.index_after(after)..) {
            let bytes = event.subject.len() + event.headers.len() + event.payload.len();
            if builder.is_full(bytes, limits) {
                break;
            }
            builder.push_event(event);
            through = Position {
                sequence: event.sequence,
                time: event.time,
            };
        }
        let pending = self.pending(through.sequence);
        (!builder.is_empty()).then(|| builder.finish(through, pending))
    }

    fn index_after(&self, sequence: Sequence) -> usize {
        self.events
            .partition_point(|event| event.sequence <= sequence)
    }
}

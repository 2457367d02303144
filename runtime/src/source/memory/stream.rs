//! What one stream in memory holds.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use super::Opening;
use crate::batch::{Batch, BatchBuilder, BatchLimits};
use crate::event::{Event, Position, Sequence, Timestamp};
use crate::source::{Deletion, LostEvents, StreamState};
use crate::subject::SubjectFilter;

#[derive(Debug, Default)]
pub(super) struct Stream {
    pub(super) subjects: Vec<SubjectFilter>,
    pub(super) retention: Option<String>,
    /// By rising sequence.
    events: VecDeque<Event>,
    last_sequence: Sequence,
    /// Events that it has lost.
    lost: BTreeSet<Sequence>,
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
        let first = first.unwrap_or(self.last_sequence + 1);
        StreamState {
            first_sequence: first,
            last_sequence: self.last_sequence,
            missing: self.last_sequence + 1 - first - self.events.len() as u64,
            deletion: Deletion::ByHand,
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

    /// The first event behind `after`.
    pub(super) fn next_sequence(&self, after: Sequence) -> Option<Sequence> {
        let next = self.events.get(self.index_after(after));
        next.map(|event| event.sequence)
    }

    pub(super) fn purge_before(&mut self, sequence: Sequence) {
        self.events.retain(|event| event.sequence >= sequence);
    }

    pub(super) fn delete(&mut self, sequence: Sequence) {
        self.events.retain(|event| event.sequence != sequence);
    }

    pub(super) fn lose(&mut self, sequence: Sequence) {
        self.delete(sequence);
        self.lost.insert(sequence);
    }

    /// The first events that it has lost between `after` and the next one that it holds.
    pub(super) fn lost(&self, after: Sequence) -> Option<LostEvents> {
        let next = self.next_sequence(after).unwrap_or(self.last_sequence + 1);
        let mut lost = self.lost.range(after + 1..next.max(after + 1)).copied();
        let first = lost.next()?;
        let last = lost.next_back().unwrap_or(first);
        Some(LostEvents { first, last })
    }

    /// What follows `after`, up to `limits` and what was lost; none when nothing does.
    pub(super) fn pack(&self, after: Sequence, limits: BatchLimits) -> Option<Batch> {
        let mut builder = BatchBuilder::default();
        let mut through = Position::default();
        for event in self.events.range(self.index_after(after)..) {
            let bytes = event.subject.len() + event.headers.len() + event.payload.len();
            let is_lost = through.sequence > 0 && self.lost(through.sequence).is_some();
            if builder.is_full(bytes, limits) || is_lost {
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

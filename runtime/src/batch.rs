//! Consecutive events packed in columns, in stream order.

use crate::event::{Event, Position, Sequence, Timestamp};
use crate::subject::SubjectFilter;

/// Many byte strings in two allocations: item `i` is `bytes[ends[i - 1]..ends[i]]`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Column {
    ends: Vec<u32>,
    bytes: Vec<u8>,
}

impl Column {
    fn push(&mut self, item: &[u8]) {
        self.bytes.extend_from_slice(item);
        self.ends.push(self.bytes.len() as u32); // BatchBuilder keeps columns under 4 GiB.
    }

    fn append(&mut self, next: &Self) {
        let end = self.bytes.len() as u32; // As in `push`.
        self.bytes.extend_from_slice(&next.bytes);
        self.ends.extend(next.ends.iter().map(|next| end + next));
    }

    /// Empty, with room for as much as `other` holds.
    fn with_room_of(other: &Self) -> Self {
        Self {
            ends: Vec::with_capacity(other.ends.len()),
            bytes: Vec::with_capacity(other.bytes.len()),
        }
    }

    /// Item `i`.
    pub fn get(&self, i: usize) -> &[u8] {
        let start = if i == 0 { 0 } else { self.ends[i - 1] as usize };
        &self.bytes[start..self.ends[i] as usize]
    }

    /// Where each item ends in [`Self::bytes`].
    pub fn ends(&self) -> &[u32] {
        &self.ends
    }

    /// All items, one after the other.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Most bytes of a batch, whatever its limits: positions in a column are 32-bit numbers.
const MOST_BYTES: usize = 1 << 30;

/// How large a batch may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchLimits {
    /// Most events.
    pub events: usize,
    /// Most bytes over all columns; a single larger event still makes a batch of its own.
    pub bytes: usize,
}

/// A stretch of a stream that has been read: the events in it that are wanted, and how far it reaches.
///
/// Sequences rise strictly and none is above `through`. It may hold no event at all when a subject filter
/// left none; its reach still counts, because the checkpoint moves past events that nobody wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Batch {
    sequences: Vec<Sequence>,
    timestamps: Vec<Timestamp>,
    subjects: Column,
    headers: Column,
    payloads: Column,
    through: Position,
    pending: u64,
}

impl Batch {
    /// Number of events.
    pub fn len(&self) -> usize {
        self.sequences.len()
    }

    /// Whether it holds no event.
    pub fn is_empty(&self) -> bool {
        self.sequences.is_empty()
    }

    /// Bytes over all columns.
    pub fn bytes(&self) -> usize {
        self.subjects.bytes.len()
            + self.headers.bytes.len()
            + self.payloads.bytes.len()
            + self.len() * (size_of::<Sequence>() + size_of::<Timestamp>() + 3 * size_of::<u32>())
    }

    /// The last event that was looked at, wanted or not.
    pub fn through(&self) -> Position {
        self.through
    }

    /// Events that waited in the stream behind this batch when it was read.
    pub fn pending(&self) -> u64 {
        self.pending
    }

    /// Stream sequences, strictly rising.
    pub fn sequences(&self) -> &[Sequence] {
        &self.sequences
    }

    /// When JetStream stored each event.
    pub fn timestamps(&self) -> &[Timestamp] {
        &self.timestamps
    }

    /// Full subjects, UTF-8.
    pub fn subjects(&self) -> &Column {
        &self.subjects
    }

    /// Header lines, `Name: value` CR LF.
    pub fn headers(&self) -> &Column {
        &self.headers
    }

    /// Payloads as published.
    pub fn payloads(&self) -> &Column {
        &self.payloads
    }

    /// The place of event `i`.
    pub fn position(&self, i: usize) -> Position {
        Position {
            sequence: self.sequences[i],
            time: self.timestamps[i],
        }
    }

    /// The subject of event `i`.
    pub fn subject(&self, i: usize) -> &str {
        // Only the builder fills the column, and it takes `&str`.
        std::str::from_utf8(self.subjects.get(i)).unwrap_or_default()
    }

    /// The events after `sequence` that one of `filters` matches; the same reach.
    pub fn select(&self, after: Sequence, filters: &[SubjectFilter]) -> Self {
        let mut builder = BatchBuilder::default();
        for i in 0..self.len() {
            let wanted = filters.iter().any(|filter| filter.matches(self.subject(i)));
            if wanted && self.sequences[i] > after {
                builder.copy(self, i);
            }
        }
        builder.finish(self.through, self.pending)
    }

    /// Whether [`Self::select`] would keep every event: then the batch can be used as it is.
    pub fn all_wanted(&self, after: Sequence, filters: &[SubjectFilter]) -> bool {
        self.sequences.first().is_none_or(|&first| first > after)
            && (0..self.len()).all(|i| filters.iter().any(|filter| filter.matches(self.subject(i))))
    }

    /// Events `range` as a batch of their own that reaches to the last of them, or as far as this one when
    /// they are its end.
    pub fn slice(&self, range: std::ops::Range<usize>) -> Self {
        let through = match range.end {
            end if end == self.len() => self.through,
            0 => Position::default(),
            end => self.position(end - 1),
        };
        let behind = (self.len() - range.end) as u64;
        let mut builder = BatchBuilder::default();
        for i in range {
            builder.copy(self, i);
        }
        builder.finish(through, self.pending + behind)
    }

    /// The events behind `sequence`; the same reach.
    pub fn after(&self, sequence: Sequence) -> Self {
        let start = self.sequences.partition_point(|&s| s <= sequence);
        self.slice(start..self.len())
    }

    /// The events for which `keep` holds, by their index; the same reach.
    pub fn keep(&self, keep: impl Fn(usize) -> bool) -> Self {
        let mut builder = BatchBuilder::default();
        (0..self.len())
            .filter(|&i| keep(i))
            .for_each(|i| builder.copy(self, i));
        builder.finish(self.through, self.pending)
    }

    /// Event `i`, copied.
    pub fn event(&self, i: usize) -> Event {
        Event {
            sequence: self.sequences[i],
            time: self.timestamps[i],
            subject: self.subject(i).to_owned(),
            headers: self.headers.get(i).to_vec().into(),
            payload: self.payloads.get(i).to_vec().into(),
        }
    }

    /// Appends the batch that follows this one in the stream.
    pub fn append(&mut self, next: &Self) {
        debug_assert!(
            next.sequences
                .first()
                .is_none_or(|&s| s > self.through.sequence)
        );
        self.sequences.extend_from_slice(&next.sequences);
        self.timestamps.extend_from_slice(&next.timestamps);
        self.subjects.append(&next.subjects);
        self.headers.append(&next.headers);
        self.payloads.append(&next.payloads);
        (self.through, self.pending) = (next.through, next.pending);
    }
}

/// Packs events as they arrive.
#[derive(Debug, Default)]
pub struct BatchBuilder {
    batch: Batch,
}

impl FromIterator<Event> for Batch {
    /// Events in the order of the stream. It reaches to the last of them, and nothing waits behind it.
    fn from_iter<I: IntoIterator<Item = Event>>(events: I) -> Self {
        let (mut builder, mut through) = (BatchBuilder::default(), Position::default());
        for event in events {
            builder.push_event(&event);
            (through.sequence, through.time) = (event.sequence, event.time);
        }
        builder.finish(through, 0)
    }
}

impl BatchBuilder {
    /// For a batch about as large as `last`, so that it need not be moved while it grows.
    pub fn after(last: &Batch) -> Self {
        let batch = Batch {
            sequences: Vec::with_capacity(last.sequences.len()),
            timestamps: Vec::with_capacity(last.timestamps.len()),
            subjects: Column::with_room_of(&last.subjects),
            headers: Column::with_room_of(&last.headers),
            payloads: Column::with_room_of(&last.payloads),
            ..Batch::default()
        };
        Self { batch }
    }

    /// Adds one event; `headers` are its lines `Name: value` CR LF.
    ///
    /// The caller keeps sequences rising and asks [`Self::is_full`] before each event.
    pub fn push(&mut self, at: Position, subject: &str, headers: &[u8], payload: &[u8]) {
        debug_assert!(
            self.batch
                .sequences
                .last()
                .is_none_or(|&last| last < at.sequence)
        );
        self.batch.sequences.push(at.sequence);
        self.batch.timestamps.push(at.time);
        self.batch.subjects.push(subject.as_bytes());
        self.batch.headers.push(headers);
        self.batch.payloads.push(payload);
    }

    /// Adds one event.
    pub fn push_event(&mut self, event: &Event) {
        let at = Position {
            sequence: event.sequence,
            time: event.time,
        };
        self.push(at, &event.subject, &event.headers, &event.payload);
    }

    fn copy(&mut self, from: &Batch, i: usize) {
        let (headers, payload) = (from.headers.get(i), from.payloads.get(i));
        self.push(from.position(i), from.subject(i), headers, payload);
    }

    /// Number of events so far.
    pub fn len(&self) -> usize {
        self.batch.len()
    }

    /// Whether no event was added yet.
    pub fn is_empty(&self) -> bool {
        self.batch.is_empty()
    }

    /// Whether another event of `bytes` payload would break the limits.
    pub fn is_full(&self, bytes: usize, limits: BatchLimits) -> bool {
        let events = self.batch.len();
        let most = limits.bytes.min(MOST_BYTES);
        events >= limits.events || (events > 0 && self.batch.bytes() + bytes > most)
    }

    /// The batch, reaching to `through`, with `pending` events waiting behind it.
    pub fn finish(mut self, through: Position, pending: u64) -> Batch {
        debug_assert!(
            self.batch
                .sequences
                .last()
                .is_none_or(|&last| last <= through.sequence)
        );
        self.batch.through = through;
        self.batch.pending = pending;
        self.batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(sequence: Sequence) -> Position {
        let time = sequence as Timestamp * 10;
        Position { sequence, time }
    }

    /// A batch with an event per subject, sequences from 1.
    fn batch(subjects: &[&str]) -> Batch {
        let mut builder = BatchBuilder::default();
        for (i, subject) in subjects.iter().enumerate() {
            builder.push(at(i as u64 + 1), subject, b"", subject.as_bytes());
        }
        builder.finish(at(subjects.len() as u64), 7)
    }

    fn filters(texts: &[&str]) -> Vec<SubjectFilter> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn items_come_back_as_they_were_packed() {
        let batch = batch(&["a.1", "", "b.22"]);
        let payloads: Vec<_> = (0..3).map(|i| batch.payloads().get(i)).collect();
        assert_eq!(payloads, [&b"a.1"[..], b"", b"b.22"]);
        assert_eq!(batch.position(2), at(3));
    }

    #[test]
    fn selection_keeps_the_reach_even_when_nothing_is_wanted() {
        let all = batch(&["a.1", "b.1", "a.2"]);
        assert_eq!(all.select(0, &filters(&["a.*"])).sequences(), [1, 3]);
        assert_eq!(all.select(1, &filters(&["a.*"])).sequences(), [3]);
        let none = all.select(0, &filters(&["c.>"]));
        assert!(none.is_empty());
        assert_eq!(none.through(), at(3));
        assert!(all.all_wanted(0, &filters(&["a.*", "b.*"])));
        assert!(!all.all_wanted(1, &filters(&["a.*", "b.*"])));
    }

    #[test]
    fn slices_join_to_the_whole() {
        let whole = batch(&["a", "b", "c", "d"]);
        let mut joined = whole.slice(0..1);
        assert_eq!((joined.through(), joined.pending()), (at(1), 10));
        joined.append(&whole.slice(1..4));
        assert_eq!(joined, whole);
    }

    #[test]
    fn what_lies_behind_a_sequence_keeps_the_reach() {
        let whole = batch(&["a", "b", "c"]);
        assert_eq!(whole.after(0), whole);
        assert_eq!(whole.after(2).sequences(), [3]);
        assert_eq!(whole.after(3).through(), at(3));
        assert!(whole.after(3).is_empty());
    }

    #[test]
    fn one_oversized_event_still_makes_a_batch() {
        let limits = BatchLimits {
            events: 2,
            bytes: 100,
        };
        let mut builder = BatchBuilder::default();
        assert!(!builder.is_full(1_000, limits));
        builder.push(at(1), "a", b"", &[0; 1_000]);
        assert!(builder.is_full(1, limits));
    }
}

//! **Seam**: where events come from.
//!
//! A source knows streams; it does not know projections. [`shared`] puts the projections of one stream on as
//! few readers as possible, and [`position`] decides whether a checkpoint still belongs to a stream.

use std::fmt;

use futures::future::BoxFuture;
use futures::{FutureExt, TryFutureExt};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::batch::{Batch, BatchLimits};
use crate::event::{Event, Position, Sequence, Timestamp};
use crate::subject::SubjectFilter;

#[cfg(test)]
mod conformance;
mod error;
pub mod jetstream;
pub mod memory;
pub mod position;
pub mod shared;

pub use error::SourceError;

/// What a stream holds right now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamState {
    /// Sequence of the oldest event still stored; `last_sequence + 1` when the stream is empty.
    pub first_sequence: Sequence,
    /// Sequence of the newest event ever stored; 0 when there was none.
    pub last_sequence: Sequence,
    /// How many events between the oldest and the newest one it does not hold.
    pub missing: u64,
    /// Who can have deleted those.
    pub deletion: Deletion,
    /// When the oldest event was stored; none when the stream is empty.
    pub first_time: Option<Timestamp>,
    /// Why a replay may not give the whole history, a sentence each: what the stream deletes by itself, and what was
    /// deleted from its middle.
    pub forgets: Vec<String>,
    /// The subjects whose events it stores; none where that is not its own choice: a mirror, copies of other streams, or
    /// subjects that it writes anew.
    pub takes: Option<Vec<SubjectFilter>>,
}

/// Who deletes single events of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    /// Nobody can: what is missing was lost, or deleted before that was forbidden.
    Forbidden,
    /// Whoever is allowed to.
    ByHand,
    /// The stream does so by itself, as events come and time passes.
    ByItself,
}

/// Events that were dropped or lost before they were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostEvents {
    /// The first one's sequence.
    pub first: Sequence,
    /// The last one's sequence.
    pub last: Sequence,
}

impl LostEvents {
    /// Whether all of `other` are among these.
    pub fn cover(self, other: Self) -> bool {
        self.first <= other.first && other.last <= self.last
    }

    /// As the subject or object of a sentence.
    pub fn named(&self, number: impl Fn(Sequence) -> String) -> String {
        match (number(self.first), number(self.last)) {
            (first, last) if first == last => format!("event {first}"),
            (first, last) => format!("events {first} to {last}"),
        }
    }
}

impl fmt::Display for LostEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.named(|number| number.to_string()))
    }
}

/// Where a reader starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadFrom {
    /// Behind this event, which was read; 0 is before the first of all. What follows it may not be lost.
    After(Sequence),
    /// With the oldest event that is left behind this sequence: a place that a person chose. Nothing that is
    /// gone before that event counts as lost; on a stream that drops old events all the time, the oldest one
    /// known a moment ago is often gone.
    OldestAfter(Sequence),
}

impl ReadFrom {
    /// Everything wanted lies behind this sequence.
    pub fn after(self) -> Sequence {
        match self {
            Self::After(sequence) | Self::OldestAfter(sequence) => sequence,
        }
    }

    /// The last sequence of a stream whose oldest event is `first`, if that lies behind this and nothing in between counts
    /// as lost.
    fn end_of(self, first: Sequence, last: Sequence) -> Option<Sequence> {
        let kept = match self {
            Self::After(sequence) => first <= sequence + 1,
            Self::OldestAfter(_) => true,
        };
        (kept && last > self.after()).then_some(last)
    }
}

impl From<Position> for ReadFrom {
    /// A place without a time is not one that was read, except the one before all events.
    fn from(at: Position) -> Self {
        match at.time {
            0 if at.sequence > 0 => Self::OldestAfter(at.sequence),
            _ => Self::After(at.sequence),
        }
    }
}

/// What a reader is for: live reads and replays use connections of their own, so that a replay cannot
/// delay live events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Close to the stream's end.
    Live,
    /// Reading history.
    Replay,
}

/// Batches of one stream, in order, from where [`EventSource::read`] was asked to start.
///
/// Events that were deleted one by one from the middle of the stream are passed over. Events that the stream
/// dropped from its beginning before they were read, or that the source has lost, end the reader with
/// [`SourceError::EventsLost`], at the latest when the next event comes, and before that event is handed out.
///
/// After an error nothing more comes. Dropping it stops the reading.
#[derive(Debug)]
pub struct EventReader {
    /// The batches. Its capacity bounds what is read ahead.
    pub batches: mpsc::Receiver<Result<Batch, SourceError>>,
    /// Events that waited in the stream when the reader started.
    pub pending: u64,
    /// Stops the reading task when the reader is dropped.
    pub task: tokio_util::task::AbortOnDropHandle<()>,
}

/// Streams of events.
///
/// A source promises: batches come in stream order, each event once, nothing left out that the stream
/// holds; on any doubt about that it ends the reader with an error instead.
pub trait EventSource: Send + Sync + 'static {
    /// The one stream that holds subjects matching `filters`, each of them.
    fn find_stream<'a>(
        &'a self,
        filters: &'a [SubjectFilter],
    ) -> BoxFuture<'a, Result<String, SourceError>>;

    /// What the stream holds; refuses streams that cannot be replayed.
    fn stream_state<'a>(
        &'a self,
        stream: &'a str,
    ) -> BoxFuture<'a, Result<StreamState, SourceError>>;

    /// One event, as a reader would hand it out; none when the stream does not hold it any more.
    fn event<'a>(
        &'a self,
        stream: &'a str,
        sequence: Sequence,
    ) -> BoxFuture<'a, Result<Option<Event>, SourceError>>;

    /// The time of one event; none when the stream does not hold it any more.
    fn event_time<'a>(
        &'a self,
        stream: &'a str,
        sequence: Sequence,
    ) -> BoxFuture<'a, Result<Option<Timestamp>, SourceError>> {
        let event = self.event(stream, sequence);
        event.map_ok(|event| event.map(|event| event.time)).boxed()
    }

    /// The sequence of the first event behind `after` that the source gives; none where it gives none.
    fn next_sequence<'a>(
        &'a self,
        stream: &'a str,
        after: Sequence,
    ) -> BoxFuture<'a, Result<Option<Sequence>, SourceError>>;

    /// The sequence of the first event that was stored at this time or later; the one behind the last event when none
    /// was.
    fn sequence_at<'a>(
        &'a self,
        stream: &'a str,
        time: Timestamp,
    ) -> BoxFuture<'a, Result<Sequence, SourceError>>;

    /// The stream's last sequence, if it is proved to hold nothing behind `from` up to there: those events were deleted one
    /// by one. None where something is or may be left, where nothing ever was, or where events were dropped that count as
    /// lost.
    fn end_behind<'a>(
        &'a self,
        stream: &'a str,
        from: ReadFrom,
    ) -> BoxFuture<'a, Result<Option<Sequence>, SourceError>>;

    /// The first events that the source says it has lost, of those that are missing right behind `after`: neither deleted on
    /// purpose nor dropped from the stream's beginning. None where it does not know.
    fn lost<'a>(
        &'a self,
        _stream: &'a str,
        _after: Sequence,
    ) -> BoxFuture<'a, Result<Option<LostEvents>, SourceError>> {
        futures::future::ready(Ok(None)).boxed()
    }

    /// Reads everything behind `from`, unfiltered, in batches as large as what waits, up to `limits`.
    fn read<'a>(
        &'a self,
        stream: &'a str,
        from: ReadFrom,
        lane: Lane,
        limits: BatchLimits,
    ) -> BoxFuture<'a, Result<EventReader, SourceError>>;
}

/// A stream's name and the subjects it takes.
type Taking = (String, Vec<SubjectFilter>);

/// The one stream of `streams` that holds `filters`; order across several is undefined.
///
/// It must hold every one of them: a stream that appears later would never be read.
fn only_one(streams: &[Taking], filters: &[SubjectFilter]) -> Result<String, SourceError> {
    let takes = |(_, subjects): &Taking, filter: &SubjectFilter| {
        subjects.iter().any(|subject| filter.overlaps(subject))
    };
    let taken = |filter: &&SubjectFilter| streams.iter().any(|stream| takes(stream, filter));
    let untaken: Vec<_> = filters.iter().filter(|filter| !taken(filter)).collect();
    if !untaken.is_empty() {
        return Err(SourceError::NoStream {
            subjects: listed(untaken),
        });
    }
    let taking = |stream: &&Taking| filters.iter().any(|filter| takes(stream, filter));
    let mut names: Vec<&str> = streams
        .iter()
        .filter(taking)
        .map(|(name, _)| &**name)
        .collect();
    names.sort_unstable();
    match names[..] {
        [only] => Ok(only.to_owned()),
        _ => Err(SourceError::SeveralStreams {
            subjects: listed(filters),
            streams: names.join(", "),
        }),
    }
}

fn listed<'a>(filters: impl IntoIterator<Item = &'a SubjectFilter>) -> String {
    let texts: Vec<_> = filters.into_iter().map(SubjectFilter::as_str).collect();
    texts.join(", ")
}

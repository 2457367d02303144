//! **Seam**: where events come from.
//!
//! A source knows streams; it does not know projections. [`shared`] puts the projections of one stream on as
//! few readers as possible, and [`position`] decides whether a checkpoint still belongs to a stream.

use futures::future::BoxFuture;
use tokio::sync::mpsc;

use crate::batch::{Batch, BatchLimits};
use crate::event::{Position, Sequence, Timestamp};
use crate::subject::SubjectFilter;

#[cfg(test)]
mod conformance;
pub mod jetstream;
pub mod memory;
pub mod position;
pub mod shared;

/// What a stream holds right now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamState {
    /// Sequence of the oldest event still stored; `last_sequence + 1` when the stream is empty.
    pub first_sequence: Sequence,
    /// Sequence of the newest event ever stored; 0 when there was none.
    pub last_sequence: Sequence,
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
/// dropped from its beginning before they were read end the reader with [`SourceError::EventsLost`], at the
/// latest when the next event comes, and before that event is handed out.
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

/// Why events cannot be had. Each says what to do next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// The server cannot be reached, or did not answer in time.
    #[error("NATS at {url} does not answer: {reason}")]
    Unreachable {
        /// Where it was looked for.
        url: String,
        /// What the client said.
        reason: String,
    },
    /// The server answers, but does not let us: a permission is missing, or a limit is reached.
    #[error("NATS at {url} refuses: {reason}")]
    Refused {
        /// Where it is.
        url: String,
        /// The server's words.
        reason: String,
    },
    /// No stream has any of these subjects.
    #[error("no stream holds the subjects {subjects}")]
    NoStream {
        /// Those of the projection's subject filters that nobody holds.
        subjects: String,
    },
    /// More than one stream has these subjects, and order across streams is undefined.
    #[error("the subjects {subjects} are held by several streams: {streams}")]
    SeveralStreams {
        /// The projection's subject filters.
        subjects: String,
        /// The streams' names.
        streams: String,
    },
    /// The stream is gone, or was never there.
    #[error("stream {stream} does not exist")]
    StreamMissing {
        /// Its name.
        stream: String,
    },
    /// Reading would delete events, or the stream does not keep them.
    #[error("stream {stream} has {retention} retention; only limits retention can be replayed")]
    Retention {
        /// Its name.
        stream: String,
        /// "interest" or "work queue".
        retention: String,
    },
    /// The event at the checkpoint is another one now.
    #[error(
        "stream {stream} is not the one this read model was built from: event {sequence} has another time"
    )]
    StreamReplaced {
        /// Its name.
        stream: String,
        /// The checkpoint's sequence.
        sequence: Sequence,
    },
    /// The stream ends before the checkpoint.
    #[error("stream {stream} ends at {last}, before this read model's checkpoint {checkpoint}")]
    StreamWentBack {
        /// Its name.
        stream: String,
        /// Its last sequence.
        last: Sequence,
        /// The checkpoint's sequence.
        checkpoint: Sequence,
    },
    /// Events were deleted before this projection read them.
    #[error("events {first} to {last} of stream {stream} are gone before they were read")]
    EventsLost {
        /// Its name.
        stream: String,
        /// First lost sequence.
        first: Sequence,
        /// Last lost sequence.
        last: Sequence,
    },
    /// A message was lost or repeated on the way, or the consumer is gone. Starting again from the checkpoint
    /// mends it.
    #[error("reading stream {stream} was interrupted: {reason}")]
    Interrupted {
        /// Its name.
        stream: String,
        /// What happened.
        reason: String,
    },
}

impl SourceError {
    /// Whether the same may work later without anybody doing anything.
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Refused { .. }
                | Self::NoStream { .. }
                | Self::StreamMissing { .. }
                | Self::Interrupted { .. }
        )
    }

    /// What the end of a reader means to somebody who has read up to `at`: only what it has not read is lost.
    #[must_use]
    fn to_reader_at(&self, at: Position) -> Self {
        match self {
            Self::EventsLost {
                stream,
                first,
                last,
            } => match ReadFrom::from(at) {
                ReadFrom::After(read) if read < *last => Self::EventsLost {
                    stream: stream.clone(),
                    first: *first.max(&(read + 1)),
                    last: *last,
                },
                _ => Self::Interrupted {
                    stream: stream.clone(),
                    reason: format!("another projection has lost events {first} to {last}"),
                },
            },
            other => other.clone(),
        }
    }

    /// What a person can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => {
                "check that nats-server runs there with JetStream on, and the address in [nats] url or --nats"
            }
            Self::Refused { .. } => {
                "give the host's NATS user what the server names (a permission under $JS.API, or a higher limit of the stream or account); it is tried again by itself"
            }
            Self::NoStream { .. } => {
                "create the stream, or name one in [projection.NAME] stream; the projection starts when it appears"
            }
            Self::SeveralStreams { .. } => {
                "name one in [projection.NAME] stream, or make a stream that sources them: only one stream has an order"
            }
            Self::StreamMissing { .. } => {
                "create the stream, or correct [projection.NAME] stream; the projection starts when it appears"
            }
            Self::Retention { .. } => {
                "make a stream with limits retention that sources or mirrors it, and name that in [projection.NAME] stream"
            }
            Self::StreamReplaced { .. } | Self::StreamWentBack { .. } => {
                "if the stream was replaced on purpose, stop the host and move this projection's data folder away to build it again"
            }
            Self::EventsLost { .. } => {
                "restore the stream's history; to build from what is left, stop the host, move this projection's data folder away and set [projection.NAME] start"
            }
            Self::Interrupted { .. } => {
                "nothing to do: reading starts again from the checkpoint by itself"
            }
        }
    }
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

    /// The time of one event; none when the stream does not hold it any more.
    fn event_time<'a>(
        &'a self,
        stream: &'a str,
        sequence: Sequence,
    ) -> BoxFuture<'a, Result<Option<Timestamp>, SourceError>>;

    /// The sequence of the first event that was stored at this time or later; the one behind the last event when none
    /// was.
    fn sequence_at<'a>(
        &'a self,
        stream: &'a str,
        time: Timestamp,
    ) -> BoxFuture<'a, Result<Sequence, SourceError>>;

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

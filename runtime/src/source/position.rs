//! Whether a checkpoint still belongs to a stream, and where to read from.

use crate::event::{Position, Sequence};
use crate::store::Checkpoint;

use super::{EventSource, SourceError};

/// Where a projection without a checkpoint begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Start {
    /// With the stream's first event, sequence 1; refused when that is gone.
    #[default]
    Beginning,
    /// With the oldest event that is left.
    First,
    /// With this sequence; refused when events from there on are gone. It may lie ahead of the stream's end.
    Sequence(Sequence),
}

/// Where reading goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resume {
    /// Everything behind this sequence is to be read.
    pub after: Sequence,
    /// The stream's last sequence at the time of the check, from which lag is known before the first event.
    pub last_sequence: Sequence,
}

/// Checks `checkpoint` against the stream, before each start of reading and after each error.
///
/// A consumer alone would notice nothing: after a stream was deleted and made again, restored from an old
/// copy, or cut short by a power cut, sequences are used a second time by other events. So the event at the
/// checkpoint must still have the time it had (the anchor). Where that event is gone (it aged out, or was
/// deleted from the middle) the anchor proves nothing, and the stream is accepted if it still holds the next
/// event or has not lost it: a replaced stream shorter than the checkpoint is found anyway.
///
/// # Errors
/// [`SourceError::StreamMissing`], [`SourceError::Retention`], [`SourceError::StreamWentBack`],
/// [`SourceError::StreamReplaced`], [`SourceError::EventsLost`], or that the source cannot be asked.
pub async fn check(
    source: &dyn EventSource,
    stream: &str,
    checkpoint: Option<&Checkpoint>,
    start: Start,
) -> Result<Resume, SourceError> {
    match checkpoint.map(Checkpoint::position) {
        Some(position) if position.sequence > 0 => resume(source, stream, position).await,
        _ => begin(source, stream, start).await,
    }
}

/// Checks that the stream is the one in which `position` was read, and still holds what follows it.
///
/// # Errors
/// Those of [`check`].
pub async fn resume(
    source: &dyn EventSource,
    stream: &str,
    position: Position,
) -> Result<Resume, SourceError> {
    let stream_name = || stream.to_owned();
    // Before the state: an event that ages out between the two questions is then still known.
    let time = source.event_time(stream, position.sequence).await?;
    let state = source.stream_state(stream).await?;
    if state.last_sequence < position.sequence {
        return Err(SourceError::StreamWentBack {
            stream: stream_name(),
            last: state.last_sequence,
            checkpoint: position.sequence,
        });
    }
    if time.is_some_and(|time| time != position.time) {
        return Err(SourceError::StreamReplaced {
            stream: stream_name(),
            sequence: position.sequence,
        });
    }
    not_lost(stream, position.sequence + 1, state.first_sequence)?;
    Ok(Resume {
        after: position.sequence,
        last_sequence: state.last_sequence,
    })
}

async fn begin(
    source: &dyn EventSource,
    stream: &str,
    start: Start,
) -> Result<Resume, SourceError> {
    let state = source.stream_state(stream).await?;
    let next = match start {
        Start::Beginning => 1,
        Start::First => state.first_sequence,
        Start::Sequence(sequence) => sequence.max(1),
    };
    not_lost(stream, next, state.first_sequence)?;
    Ok(Resume {
        after: next - 1,
        last_sequence: state.last_sequence,
    })
}

fn not_lost(stream: &str, next: Sequence, first: Sequence) -> Result<(), SourceError> {
    if first <= next {
        return Ok(());
    }
    Err(SourceError::EventsLost {
        stream: stream.to_owned(),
        first: next,
        last: first - 1,
    })
}

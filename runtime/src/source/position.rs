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

/// That a stream whose oldest event is `first` has not lost `next` before it was read.
pub(super) fn not_lost(stream: &str, next: Sequence, first: Sequence) -> Result<(), SourceError> {
    if first <= next {
        return Ok(());
    }
    Err(SourceError::EventsLost {
        stream: stream.to_owned(),
        first: next,
        last: first - 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::memory::MemorySource;

    const STREAM: &str = "ORDERS";

    fn stream_of(count: u64) -> MemorySource {
        let source = MemorySource::new();
        source.create_stream(STREAM, &["orders.>"]).unwrap();
        publish(&source, count);
        source
    }

    fn publish(source: &MemorySource, count: u64) {
        for _ in 0..count {
            source.publish(STREAM, "orders.1", b"", b"");
        }
    }

    async fn checkpoint(source: &MemorySource, sequence: Sequence) -> Checkpoint {
        let time = source.event_time(STREAM, sequence).await.unwrap();
        Checkpoint {
            stream: STREAM.into(),
            sequence,
            anchor: time.unwrap(),
            epoch: 1,
        }
    }

    async fn begin(source: &MemorySource, start: Start) -> Result<Sequence, String> {
        let resume = check(source, STREAM, None, start).await;
        resume
            .map(|resume| resume.after)
            .map_err(|error| error.to_string())
    }

    async fn go_on(source: &MemorySource, from: &Checkpoint) -> Result<Resume, SourceError> {
        check(source, STREAM, Some(from), Start::Beginning).await
    }

    #[tokio::test]
    async fn a_new_projection_begins_where_it_is_told() {
        let source = stream_of(10);
        assert_eq!(begin(&source, Start::Beginning).await, Ok(0));
        assert_eq!(begin(&source, Start::First).await, Ok(0));
        assert_eq!(begin(&source, Start::Sequence(7)).await, Ok(6));
        assert_eq!(begin(&source, Start::Sequence(0)).await, Ok(0));
        assert_eq!(begin(&source, Start::Sequence(50)).await, Ok(49));
    }

    #[tokio::test]
    async fn a_new_projection_does_not_begin_in_the_middle_unless_told() {
        let source = stream_of(10);
        source.purge_before(STREAM, 4);
        let lost = "events 1 to 3 of stream ORDERS are gone before they were read";
        assert_eq!(begin(&source, Start::Beginning).await, Err(lost.into()));
        assert_eq!(begin(&source, Start::First).await, Ok(3));
        assert_eq!(begin(&source, Start::Sequence(4)).await, Ok(3));
        assert!(begin(&source, Start::Sequence(3)).await.is_err());
        source.purge_before(STREAM, 11);
        assert!(begin(&source, Start::Beginning).await.is_err());
        assert_eq!(begin(&source, Start::First).await, Ok(10));
    }

    #[tokio::test]
    async fn a_checkpoint_goes_on_behind_its_event() {
        let source = stream_of(10);
        let resume = go_on(&source, &checkpoint(&source, 6).await).await;
        let expected = Resume {
            after: 6,
            last_sequence: 10,
        };
        assert_eq!(resume, Ok(expected));
    }

    #[tokio::test]
    async fn a_checkpoint_before_the_first_event_begins_like_none() {
        let source = stream_of(10);
        source.purge_before(STREAM, 4);
        let first = checkpoint(&source, 5).await.at(Position::default());
        let resume = check(&source, STREAM, Some(&first), Start::First).await;
        assert_eq!(resume.unwrap().after, 3);
    }

    #[tokio::test]
    async fn a_stream_that_reuses_sequences_is_recognised_by_the_time() {
        let source = stream_of(10);
        let checkpoint = checkpoint(&source, 6).await;
        source.create_stream(STREAM, &["orders.>"]).unwrap();
        let error = go_on(&source, &checkpoint).await.unwrap_err();
        assert!(matches!(error, SourceError::StreamWentBack { last: 0, .. }));
        publish(&source, 6);
        let error = go_on(&source, &checkpoint).await.unwrap_err();
        assert!(matches!(error, SourceError::StreamReplaced { .. }));
    }

    #[tokio::test]
    async fn an_event_that_is_gone_is_no_obstacle_while_the_next_is_there() {
        let source = stream_of(10);
        let checkpoint = checkpoint(&source, 6).await;
        source.delete_event(STREAM, 6);
        assert_eq!(go_on(&source, &checkpoint).await.unwrap().after, 6);
        source.purge_before(STREAM, 7);
        assert_eq!(go_on(&source, &checkpoint).await.unwrap().after, 6);
        source.purge_before(STREAM, 9);
        let lost = SourceError::EventsLost {
            stream: STREAM.into(),
            first: 7,
            last: 8,
        };
        assert_eq!(go_on(&source, &checkpoint).await, Err(lost));
    }
}

//! Whether a checkpoint still belongs to a stream, and where to read from.

use serde::Deserialize;

use crate::event::{Position, Sequence, Timestamp};
use crate::store::Checkpoint;
use crate::subject::SubjectFilter;

use super::{EventSource, LostEvents, SourceError, StreamState};

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

/// What becomes of a projection whose stream has dropped events that it has not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnLostEvents {
    /// It stops until somebody accepts the loss or restores the stream.
    #[default]
    Halt,
    /// It goes on with the oldest event that is left, and says what is missing.
    Accept,
    /// It stops, and is built again from the stream as it is now; also where the stream was replaced or went back.
    Rebuild,
}

/// Where reading goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resume {
    /// Everything behind this sequence is to be read.
    pub after: Sequence,
    /// The stream's last sequence at the time of the check, from which lag is known before the first event.
    pub last_sequence: Sequence,
    /// Events that are lost and whose loss is accepted: `after` is the last of them.
    pub lost: Option<LostEvents>,
    /// Why a replay of the stream may not give its whole history.
    pub forgets: Vec<String>,
    /// The subjects whose events the stream stores, where that is known.
    pub takes: Option<Vec<SubjectFilter>>,
}

impl Resume {
    /// What looks like a mistake in what a projection that asks for `filters` is to read, a sentence each: it would wait
    /// for events that never come, and look healthy.
    pub fn doubts(&self, filters: &[SubjectFilter]) -> Vec<String> {
        let overlaps = |subject: &SubjectFilter| filters.iter().any(|it| it.overlaps(subject));
        let takes = |subjects: &Vec<SubjectFilter>| subjects.iter().any(overlaps);
        let takes_some = self.takes.as_ref().is_none_or(takes);
        let (after, last) = (self.after, self.last_sequence);
        let doubts = [
            (!takes_some).then(|| {
                let filters = super::listed(filters);
                format!("the stream takes no new events of {filters}: is it the right one?")
            }),
            (after > last).then(|| {
                let first = after + 1;
                format!("it begins with event {first}, and the stream had {last}: is `start` in [projection.NAME] right?")
            }),
        ];
        doubts.into_iter().flatten().collect()
    }
}

/// Checks `checkpoint` against the stream, before each start of reading and after each error.
///
/// A consumer alone would notice nothing: after a stream was deleted and made again, restored from an old
/// copy, or cut short by a power cut, sequences are used a second time by other events. So the event at the
/// checkpoint must still have the time it had (the anchor). Where that event is gone, the oldest one tells: if it
/// stands before the checkpoint it must be older than the anchor. Where everything up to the checkpoint is gone (it
/// aged out), nothing proves anything, and the stream is accepted if it has not lost the next event: a replaced
/// stream shorter than the checkpoint is found anyway.
///
/// # Errors
/// [`SourceError::StreamMissing`], [`SourceError::Retention`], [`SourceError::StreamWentBack`],
/// [`SourceError::StreamReplaced`], [`SourceError::EventsLost`] unless that is accepted, or that the source cannot be
/// asked.
pub async fn check(
    source: &dyn EventSource,
    stream: &str,
    checkpoint: Option<&Checkpoint>,
    start: Start,
    on_lost: OnLostEvents,
) -> Result<Resume, SourceError> {
    match checkpoint.map(Checkpoint::position) {
        Some(position) if position.sequence > 0 => checked(source, stream, position, on_lost).await,
        _ => begin(source, stream, start, on_lost).await,
    }
}

/// Checks that the stream is the one in which `position` was read, and has not dropped what follows it.
///
/// # Errors
/// Those of [`check`].
pub async fn resume(
    source: &dyn EventSource,
    stream: &str,
    position: Position,
) -> Result<Resume, SourceError> {
    let state = same(source, stream, position).await?;
    let next = position.sequence + 1;
    go_on(stream, next, state, None, OnLostEvents::Halt)
}

async fn checked(
    source: &dyn EventSource,
    stream: &str,
    position: Position,
    on_lost: OnLostEvents,
) -> Result<Resume, SourceError> {
    let state = same(source, stream, position).await?;
    let next = position.sequence + 1;
    let lost = lost(source, stream, next, &state).await?;
    go_on(stream, next, state, lost, on_lost)
}

/// The state of the stream in which `position` was read, if it is the same one.
async fn same(
    source: &dyn EventSource,
    stream: &str,
    position: Position,
) -> Result<StreamState, SourceError> {
    // Before the state: an event that ages out between the two questions is then still known.
    let time = source.event_time(stream, position.sequence).await;
    let time = time.map_err(|error| since_read(error, position))?;
    let state = source.stream_state(stream).await;
    let state = state.map_err(|error| since_read(error, position))?;
    if state.last_sequence < position.sequence {
        return Err(SourceError::StreamWentBack {
            stream: stream.to_owned(),
            last: state.last_sequence,
            checkpoint: position.sequence,
        });
    }
    match may_be_the_same(time, position, &state) {
        true => Ok(state),
        false => Err(SourceError::StreamReplaced {
            stream: stream.to_owned(),
            sequence: position.sequence,
        }),
    }
}

/// A stream that was read before is not one that has still to be made.
fn since_read(error: SourceError, position: Position) -> SourceError {
    match error {
        SourceError::StreamMissing { stream, .. } => SourceError::StreamMissing {
            stream,
            read: position.sequence,
        },
        other => other,
    }
}

/// Whether the stream in `state`, whose event at `position` was stored at `time`, can be the one that was read.
fn may_be_the_same(time: Option<Timestamp>, position: Position, state: &StreamState) -> bool {
    if position.time == 0 {
        // The event was never read: its loss was accepted, or somebody chose the place.
        return true;
    }
    match (time, state.first_time) {
        (Some(time), _) => time == position.time,
        (None, Some(first)) if state.first_sequence <= position.sequence => first <= position.time,
        _ => true,
    }
}

async fn begin(
    source: &dyn EventSource,
    stream: &str,
    start: Start,
    on_lost: OnLostEvents,
) -> Result<Resume, SourceError> {
    let state = source.stream_state(stream).await?;
    let next = match start {
        Start::Beginning => 1,
        Start::First => state.first_sequence,
        Start::Sequence(sequence) => sequence.max(1),
    };
    // Else it is come upon in reading, and a first start asks for as little as possible.
    let asks = state.missing > 0 || on_lost == OnLostEvents::Accept;
    let lost = match asks {
        true => lost(source, stream, next, &state).await?,
        false => None,
    };
    go_on(stream, next, state, lost, on_lost)
}

/// What the source has lost right before the next event that it gives from `next` on.
async fn lost(
    source: &dyn EventSource,
    stream: &str,
    next: Sequence,
    state: &StreamState,
) -> Result<Option<LostEvents>, SourceError> {
    let stored = state.first_sequence..=state.last_sequence;
    match stored.contains(&next) {
        true => source.lost(stream, next - 1).await,
        false => Ok(None),
    }
}

/// Goes on with `next`, or behind what is lost from there on: dropped from the stream's beginning, or `lost` by the source.
fn go_on(
    stream: &str,
    next: Sequence,
    state: StreamState,
    lost: Option<LostEvents>,
    on_lost: OnLostEvents,
) -> Result<Resume, SourceError> {
    let there = not_lost(stream, next, state.first_sequence).and(found(stream, lost));
    let lost = match (there, on_lost) {
        (Ok(()), _) => None,
        (Err(error), OnLostEvents::Halt | OnLostEvents::Rebuild) => return Err(error),
        (Err(error), OnLostEvents::Accept) => error.lost(),
    };
    Ok(Resume {
        after: lost.map_or(next - 1, |lost| lost.last),
        last_sequence: state.last_sequence,
        lost,
        forgets: state.forgets,
        takes: state.takes,
    })
}

/// That a stream whose oldest event is `first` has not lost `next` before it was read.
pub(super) fn not_lost(stream: &str, next: Sequence, first: Sequence) -> Result<(), SourceError> {
    let last = first.saturating_sub(1);
    found(
        stream,
        (next <= last).then_some(LostEvents { first: next, last }),
    )
}

/// That nothing was found to be lost.
///
/// # Errors
/// [`SourceError::EventsLost`] for what was.
pub fn found(stream: &str, lost: Option<LostEvents>) -> Result<(), SourceError> {
    match lost {
        None => Ok(()),
        Some(LostEvents { first, last }) => Err(SourceError::EventsLost {
            stream: stream.to_owned(),
            first,
            last,
        }),
    }
}

#[cfg(test)]
mod tests;

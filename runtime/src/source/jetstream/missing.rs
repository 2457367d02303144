//! What a server says of the events behind a stream's oldest one that it does not give: deleted one by one, or lost.
//!
//! That an event does not come, and that the server answers "no message found", proves nothing: it does so also where it
//! cannot read its disk, and passes over an event that is damaged on it. Its list of what was deleted is made of what it
//! has in memory. So an event that it does not give was deleted if it stands in that list, and is not counted as lost
//! beside it, as those of a file are that the server has found missing (`fileStore.State` and `rebuildState` of
//! nats-server 2.15). Of a file that it finds damaged when it is started it drops what follows the damage, and says only
//! how many bytes: then what is missing counts as lost where nobody can have deleted it. It keeps no record of that: after
//! the next start, what was lost before is missing like what was deleted.

use std::time::Duration;

use async_nats::jetstream::response::Response;
use serde_json::json;

use super::connection::Connection;
use super::lookup;
use crate::event::Sequence;
use crate::source::{Deletion, LostEvents, ReadFrom, SourceError, StreamState, position};

mod list;

pub(super) use list::Missing;

/// Missing events at most that a server is asked to name: it names all or none, and the answer shares its connection with
/// live events. Above that nothing is proved.
const NAMED_MAX: u64 = 100_000;
/// The same of a stream that deletes events all the time, so that it is asked all the time.
const NAMED_MAX_OFTEN: u64 = 10_000;
/// A server that finds a file missing clears what it knows of that first, and counts again a moment later. So often it is
/// asked until its numbers agree, with this pause in between.
const ASKED_MOST: usize = 10;
const ASK_AGAIN: Duration = Duration::from_millis(300);

/// The stream's last sequence, if nothing is left between `from` and that.
pub(super) async fn end_behind(
    connection: &Connection,
    stream: &str,
    from: ReadFrom,
) -> Result<Option<Sequence>, SourceError> {
    let state = lookup::stream_state(connection, stream).await?;
    if !may_be_all_deleted(&state, from) {
        return Ok(None);
    }
    let left = lookup::next_stored(connection, stream, from.after()).await?;
    if left.is_some() {
        return Ok(None);
    }
    let missing = named(connection, stream, &state).await?;
    Ok(missing.and_then(|missing| missing.end_behind(from)))
}

/// Whether the numbers of a stream allow that all behind `from` was deleted; saves asking for what.
fn may_be_all_deleted(state: &StreamState, from: ReadFrom) -> bool {
    let end = from.end_of(state.first_sequence, state.last_sequence);
    let behind = end.map_or(0, |end| end - from.after());
    // An emptied stream misses nothing behind its beginning.
    let is_empty = state.first_sequence > state.last_sequence;
    behind > 0 && (is_empty || behind <= state.missing)
}

/// The first events that the stream's leader has lost of those that it does not give right behind `after`.
pub(super) async fn lost_behind(
    connection: &Connection,
    stream: &str,
    after: Sequence,
) -> Result<Option<LostEvents>, SourceError> {
    let next = lookup::next_stored(connection, stream, after).await?;
    let next = next.map(|next| next.seq);
    if next == Some(after + 1) {
        return Ok(None);
    }
    // Asked afterwards: what was deleted before the next one was given is named by now.
    let state = lookup::stream_state(connection, stream).await?;
    let missing = named(connection, stream, &state).await?;
    Ok(missing.and_then(|missing| match next {
        Some(next) => missing.unexplained(after, &[next]),
        // Nothing comes, for whatever reason. What the server knows to be lost is lost all the same.
        None => missing.lost_behind(after),
    }))
}

/// Finds out what has become of what `sequences`, as a consumer gave them, leave out behind `before`: what is missing of the
/// stream, and what of that is lost, if it is not too much to be named.
///
/// # Errors
/// [`SourceError::EventsLost`] for what the stream's beginning has passed, and [`SourceError::Interrupted`] where the
/// leader has an event that the consumer did not give: its replica is another one, and lacks that. A new consumer may be
/// placed elsewhere.
pub(super) async fn explain(
    connection: &Connection,
    stream: &str,
    before: Sequence,
    sequences: &[Sequence],
) -> Result<Option<(Missing, Option<LostEvents>)>, SourceError> {
    let state = lookup::stream_state(connection, stream).await?;
    position::not_lost(stream, before + 1, state.first_sequence)?;
    let mut not_given = None;
    for _ in 0..ASKED_MOST {
        let Some(missing) = named(connection, stream, &state).await? else {
            return Ok(None);
        };
        let lost = missing.unexplained(before, sequences);
        let first = lost.map(|lost| lost.first);
        // That it does not give the event proves something only if it does not name it as deleted afterwards.
        if first == not_given {
            return Ok(Some((missing, lost)));
        }
        if let Some(first) = first {
            let next = lookup::next_stored(connection, stream, first - 1).await?;
            if next.is_some_and(|next| next.seq == first) {
                let reason = format!("a replica did not give event {first}, which the leader has");
                return Err(interrupted(stream, reason));
            }
        }
        not_given = first;
    }
    let reason = "events are deleted faster than it can be asked which";
    Err(interrupted(stream, reason.into()))
}

fn interrupted(stream: &str, reason: String) -> SourceError {
    SourceError::Interrupted {
        stream: stream.to_owned(),
        reason,
    }
}

/// What is missing of the stream, if that is not too much to be named.
async fn named(
    connection: &Connection,
    stream: &str,
    state: &StreamState,
) -> Result<Option<Missing>, SourceError> {
    // A link between servers may be closed by an answer that is larger than any message.
    let room = connection.max_payload().await? as u64 / 2;
    if state.missing > named_most(state, room) {
        return Ok(None);
    }
    let mut missing = ask(connection, stream).await?;
    for _ in 1..ASKED_MOST {
        if missing.is_counted() {
            break;
        }
        tokio::time::sleep(ASK_AGAIN).await;
        missing = ask(connection, stream).await?;
    }
    if !missing.is_counted() {
        tracing::warn!(
            stream,
            missing = missing.count(),
            "the server's numbers of the events that this stream holds and misses do not agree: whether it has lost some cannot be told"
        );
    }
    if state.deletion == Deletion::Forbidden {
        missing.undeletable();
    }
    Ok(Some(missing))
}

/// How many sequences fit into so many bytes, each with a comma, up to what may be asked for.
fn named_most(state: &StreamState, room: u64) -> u64 {
    let digits = u64::from(state.last_sequence.checked_ilog10().unwrap_or(0)) + 1;
    let most = match state.deletion {
        Deletion::ByItself => NAMED_MAX_OFTEN,
        Deletion::Forbidden | Deletion::ByHand => NAMED_MAX,
    };
    most.min(room / (digits + 1))
}

/// What is missing right behind `after` at this stream's end, and lost.
pub(super) async fn lost_at_end(
    connection: &Connection,
    stream: &str,
    state: &StreamState,
    after: Sequence,
) -> Result<Option<LostEvents>, SourceError> {
    if state.missing == 0 || state.last_sequence <= after {
        return Ok(None);
    }
    let missing = named(connection, stream, state).await?;
    Ok(missing.and_then(|missing| missing.lost_behind(after)))
}

async fn ask(connection: &Connection, stream: &str) -> Result<Missing, SourceError> {
    let subject = format!("STREAM.INFO.{stream}");
    let answer = connection
        .ask(async |context| {
            let details = json!({"deleted_details": true});
            context.request(subject, &details).await
        })
        .await?;
    match answer.map_err(|error| connection.no_answer(&error))? {
        Response::Ok(list::Info { state }) => Ok(state.into()),
        Response::Err { error } => Err(lookup::refused(connection, stream, &error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deleted_events_are_asked_for_only_where_as_many_are_missing() {
        let state = |last_sequence, missing| StreamState {
            first_sequence: 1,
            last_sequence,
            first_time: None,
            deletion: Deletion::ByHand,
            missing,
            forgets: Vec::new(),
            takes: None,
        };
        let from = ReadFrom::After(5);
        assert!(may_be_all_deleted(&state(8, 3), from));
        assert!(!may_be_all_deleted(&state(8, 2), from));
        assert!(!may_be_all_deleted(&state(5, 2), from));
        let emptied = StreamState {
            first_sequence: 9,
            ..state(8, 0)
        };
        assert!(may_be_all_deleted(&emptied, ReadFrom::OldestAfter(5)));
    }

    #[test]
    fn no_more_is_named_than_a_message_may_hold() {
        let most = |last_sequence, deletion, room| {
            let state = StreamState {
                first_sequence: 1,
                last_sequence,
                first_time: None,
                deletion,
                missing: 0,
                forgets: Vec::new(),
                takes: None,
            };
            named_most(&state, room)
        };
        assert_eq!(most(9, Deletion::ByHand, 100), 50);
        assert_eq!(most(10, Deletion::ByHand, 100), 33);
        assert_eq!(most(0, Deletion::ByHand, 1 << 30), NAMED_MAX);
        assert_eq!(most(0, Deletion::ByItself, 1 << 30), NAMED_MAX_OFTEN);
    }
}

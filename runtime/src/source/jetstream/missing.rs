//! What a server says of the events behind a stream's oldest one that it does not give: deleted one by one, or lost.
//!
//! That an event does not come, and that the server answers "no message found", proves nothing: it does so also where it
//! cannot read its disk, and passes over an event that is damaged on it. Its list of what was deleted is made of what it
//! has in memory. So an event that it does not give was deleted if it stands in that list, and is not counted as lost
//! beside it, as those of a file are that the server has found missing (`fileStore.State` and `rebuildState` of
//! nats-server 2.15). Of a file that it finds damaged when it is started it drops what follows the damage, and says only
//! how many bytes: then what is missing counts as lost where nobody can have deleted it. It keeps no record of that: after
//! the next start, what was lost before is missing like what was deleted.

use std::ops::Range;
use std::time::Duration;

use async_nats::jetstream::response::Response;
use serde::Deserialize;
use serde_json::json;

use super::connection::Connection;
use super::lookup;
use crate::event::Sequence;
use crate::source::{Deletion, LostEvents, ReadFrom, SourceError, StreamState, position};

/// Missing events at most that a server is asked to name: it names all or none, and the answer shares its connection with
/// live events. Above that nothing is proved.
const NAMED_MAX: u64 = 100_000;
/// The same of a stream that deletes events all the time, so that it is asked all the time.
const NAMED_MAX_OFTEN: u64 = 10_000;
/// A server that finds a file missing clears what it knows of that first, and counts again a moment later. So often it is
/// asked until its numbers agree, with this pause in between.
const ASKED_MOST: usize = 10;
const ASK_AGAIN: Duration = Duration::from_millis(300);

/// An answer to `STREAM.INFO` with `deleted_details`; the client's own type leaves out what was lost.
#[derive(Debug, Deserialize)]
struct Info {
    state: State,
}

#[derive(Debug, Deserialize)]
struct State {
    messages: u64,
    first_seq: Sequence,
    last_seq: Sequence,
    #[serde(default)]
    deleted: Vec<Sequence>,
    #[serde(default)]
    lost: Lost,
}

#[derive(Debug, Default, Deserialize)]
struct Lost {
    #[serde(default)]
    msgs: Option<Vec<Sequence>>,
    #[serde(default)]
    bytes: u64,
}

/// The events that are missing between the oldest and the newest one of a stream, at one moment.
#[derive(Debug, Default)]
pub(super) struct Missing {
    /// Events that the stream holds.
    held: u64,
    first: Sequence,
    last: Sequence,
    /// Those that the server lists as deleted, rising: also what it knows to be lost.
    deleted: Vec<Sequence>,
    /// Those of them that were lost, rising.
    lost: Vec<Sequence>,
    /// It has lost some at all. It may not know which: it found a damaged file when it was started.
    lost_some: bool,
}

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
            missing = missing.deleted.len(),
            "the server's numbers of the events that this stream holds and misses do not agree: whether it has lost some cannot be told"
        );
    }
    if missing.lost_some && state.deletion == Deletion::Forbidden {
        missing.lost.clone_from(&missing.deleted);
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
        Response::Ok(Info { state }) => Ok(state.into()),
        Response::Err { error } => Err(lookup::refused(connection, stream, &error)),
    }
}

impl From<State> for Missing {
    fn from(state: State) -> Self {
        let mut deleted = state.deleted;
        deleted.retain(|it| (state.first_seq..=state.last_seq).contains(it));
        deleted.sort_unstable();
        deleted.dedup();
        let (named, bytes) = (state.lost.msgs.unwrap_or_default(), state.lost.bytes);
        let lost_some = bytes > 0 || !named.is_empty();
        // A number that was lost may be that of another event by now.
        let is_missing = |it: &Sequence| match state.messages {
            0 => *it <= state.last_seq,
            _ => names(&deleted, *it),
        };
        let mut lost: Vec<_> = named.into_iter().filter(is_missing).collect();
        lost.sort_unstable();
        // The first one of an emptied stream is still to come.
        let (first, deleted) = match state.messages {
            0 => (state.last_seq + 1, Vec::new()),
            _ => (state.first_seq, deleted),
        };
        Self {
            held: state.messages,
            first,
            last: state.last_seq,
            deleted,
            lost,
            lost_some,
        }
    }
}

impl Missing {
    /// Whether the server's numbers agree with what it names.
    fn is_counted(&self) -> bool {
        self.first + self.held + self.deleted.len() as u64 == self.last + 1
    }

    /// Whether everything that `sequences` leave out, from behind `before` on, was deleted.
    pub(super) fn explains(&self, before: Sequence, sequences: &[Sequence]) -> bool {
        gaps(before, sequences)
            .flatten()
            .all(|it| self.was_deleted(it))
    }

    /// The first of what `sequences` leave out, from behind `before` on, that was not deleted, with what is lost in the
    /// same gap.
    fn unexplained(&self, before: Sequence, sequences: &[Sequence]) -> Option<LostEvents> {
        gaps(before, sequences).find_map(|gap| {
            // What the stream's beginning has passed meanwhile is not named any more.
            let gap = gap.start.max(self.first)..gap.end;
            let is_lost = |it: &Sequence| self.was_lost(*it);
            let first = gap.clone().find(is_lost)?;
            let last = gap.rev().find(is_lost)?;
            Some(LostEvents { first, last })
        })
    }

    /// The first of what is missing right behind `before` that the server knows to be lost.
    fn lost_behind(&self, before: Sequence) -> Option<LostEvents> {
        self.unexplained(before, &[self.end_of_gap(before) + 1])
    }

    fn was_deleted(&self, sequence: Sequence) -> bool {
        names(&self.deleted, sequence) && !names(&self.lost, sequence)
    }

    /// Of an event that does not come. One that the server counts among those that it holds is damaged.
    fn was_lost(&self, sequence: Sequence) -> bool {
        names(&self.lost, sequence) || (self.is_counted() && !names(&self.deleted, sequence))
    }

    /// The last event of those that are missing, one after the other, right behind this one; this one if none is.
    fn end_of_gap(&self, before: Sequence) -> Sequence {
        let behind = self.deleted.partition_point(|&it| it <= before);
        let gap = self.deleted[behind..].iter().zip(before + 1..);
        before + gap.take_while(|(it, next)| *it == next).count() as u64
    }

    /// The stream's last sequence, if everything from behind `from` up to there was deleted.
    fn end_behind(&self, from: ReadFrom) -> Option<Sequence> {
        let end = from.end_of(self.first, self.last)?;
        let all = self.held == 0 || self.end_of_gap(from.after()) >= end;
        let lost = self.lost.iter().any(|&it| it > from.after());
        (all && self.is_counted() && !lost).then_some(end)
    }
}

fn names(list: &[Sequence], sequence: Sequence) -> bool {
    list.binary_search(&sequence).is_ok()
}

/// What `sequences` leave out, from behind `before` on.
fn gaps(before: Sequence, sequences: &[Sequence]) -> impl Iterator<Item = Range<Sequence>> {
    let new = sequences.partition_point(|&sequence| sequence <= before);
    let mut next = before + 1;
    sequences[new..].iter().map(move |&sequence| {
        let gap = next..sequence;
        next = sequence + 1;
        gap
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a stream whose oldest message is `first`, which misses these behind it, and has lost those.
    fn missing(first: Sequence, last: Sequence, all: &[Sequence], lost: &[Sequence]) -> Missing {
        let messages = (last + 1 - first) - all.len() as u64;
        let mut state = json!({
            "messages": messages, "bytes": 0, "consumer_count": 0, "first_seq": first, "last_seq": last,
        });
        if !all.is_empty() {
            state["deleted"] = json!(all);
        }
        if !lost.is_empty() {
            state["lost"] = json!({"msgs": lost, "bytes": 7});
        }
        serde_json::from_value::<State>(state).unwrap().into()
    }

    #[test]
    fn an_end_is_passed_over_only_where_every_event_before_it_is_listed_as_deleted() {
        let end = |missing: Missing| missing.end_behind(ReadFrom::After(5));
        let end_of = |first, last, all: &[_]| end(missing(first, last, all, &[]));
        assert_eq!(end_of(1, 8, &[2, 6, 7, 8]), Some(8));
        assert_eq!(end_of(1, 8, &[2, 6, 8]), None);
        assert_eq!(end_of(1, 8, &[]), None);
        assert_eq!(end_of(1, 5, &[]), None);
        // The beginning has passed event 6: that is a loss.
        assert_eq!(end_of(7, 9, &[8, 9]), None);
        assert_eq!(end_of(9, 8, &[]), None);
        let oldest = ReadFrom::OldestAfter(5);
        assert_eq!(missing(9, 8, &[], &[]).end_behind(oldest), Some(8));
        // The server has cleared a part of what it knows, and has not counted yet.
        let half = Missing {
            held: 5,
            ..missing(1, 8, &[2, 6, 7, 8], &[])
        };
        assert_eq!(end(half), None);
    }

    #[test]
    fn what_is_lost_is_not_deleted() {
        let from = ReadFrom::After(5);
        let end = |lost: &[_]| missing(1, 8, &[2, 6, 7, 8], lost).end_behind(from);
        assert_eq!(end(&[7]), None);
        assert_eq!(end(&[2]), Some(8), "that stands before");
        assert_eq!(end(&[9]), Some(8), "there is no such event yet");
        let emptied = missing(9, 8, &[], &[7]);
        assert_eq!(emptied.end_behind(ReadFrom::OldestAfter(5)), None);
    }

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

    #[test]
    fn a_gap_is_explained_by_what_was_deleted_only() {
        let all = [3, 4, 8];
        assert!(missing(1, 9, &all, &[]).explains(2, &[1, 2, 5, 6, 7, 9]));
        assert!(!missing(1, 9, &all, &[]).explains(2, &[5, 7, 9]));
        assert!(!missing(1, 9, &all, &[4]).explains(2, &[5, 6, 7, 9]));
        assert!(missing(1, 9, &all, &[4]).explains(5, &[1, 2, 5, 6, 7, 9]));
    }

    #[test]
    fn the_first_loss_is_found_with_all_that_was_lost_beside_it() {
        let missing = missing(2, 20, &[3, 4, 5, 6, 9, 12], &[4, 5, 12]);
        let lost = |before, sequences: &[_]| {
            let lost = missing.unexplained(before, sequences);
            lost.map(|it| (it.first, it.last))
        };
        assert_eq!(lost(2, &[7, 8, 10, 11, 13]), Some((4, 5)));
        assert_eq!(lost(4, &[7]), Some((5, 5)));
        assert_eq!(lost(5, &[7, 8, 10, 11, 13]), Some((12, 12)));
        assert_eq!(lost(5, &[7, 8, 10, 11]), None);
        assert_eq!(lost(13, &[14, 18]), Some((15, 17)), "damaged");
        assert_eq!(lost(13, &[]), None, "nothing says that they do not come");
        assert_eq!(lost(0, &[2]), None, "the beginning has passed it");
        let behind = |before| missing.lost_behind(before).map(|it| (it.first, it.last));
        assert_eq!(behind(2), Some((4, 5)));
        assert_eq!(behind(8), None);
        assert_eq!(behind(11), Some((12, 12)));
        assert_eq!(behind(13), None, "it may come");
    }

    #[test]
    fn what_is_not_named_is_no_loss_while_the_server_counts() {
        let counting = Missing {
            held: 5,
            ..missing(1, 9, &[3], &[])
        };
        assert_eq!(counting.unexplained(3, &[6]), None);
    }
}

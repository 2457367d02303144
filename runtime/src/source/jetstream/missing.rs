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
use crate::source::{LostEvents, ReadFrom, SourceError, StreamState, position};

/// Events at most that a server is asked to name, about 1 MB: it names all that are missing or none, and the answer shares
/// its connection with live events.
const NAMED_MAX: u64 = 100_000;
/// A server that finds a file missing clears what it knows of that first, and counts again a moment later; one that is
/// behind the consumer's in a cluster hears of a deletion a moment later. So often it is asked until it can explain a gap,
/// with this pause in between: what is said to be lost stops projections until somebody comes.
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
    /// All that are missing, rising: also those that were lost.
    all: Vec<Sequence>,
    /// Those that were lost, rising.
    lost: Vec<Sequence>,
    /// Others were lost, and the server does not know which: it found a damaged file when it was started.
    lost_others: bool,
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
    // An emptied stream names nothing.
    let is_empty = state.first_sequence > state.last_sequence;
    behind > 0 && (is_empty || (behind <= state.missing && state.missing <= NAMED_MAX))
}

/// The first events that the server has lost of those that it does not give right behind `after`.
pub(super) async fn lost(
    connection: &Connection,
    stream: &str,
    after: Sequence,
) -> Result<Option<LostEvents>, SourceError> {
    match lookup::next_stored(connection, stream, after).await? {
        Some(next) if next.seq == after + 1 => Ok(None),
        Some(next) => Ok(explained(connection, stream, after, &[next.seq]).await?.1),
        // Nothing comes, for whatever reason. What the server knows to be lost is lost all the same.
        None => {
            let state = lookup::stream_state(connection, stream).await?;
            let missing = named(connection, stream, &state).await?;
            Ok(missing.and_then(|missing| missing.lost_behind(after)))
        }
    }
}

/// Waits until the server can explain what `sequences` leave out, from behind `before` on; gives what it has lost of that,
/// and what it said last. Nothing is lost where it names nothing, because too much is missing.
pub(super) async fn explained(
    connection: &Connection,
    stream: &str,
    before: Sequence,
    sequences: &[Sequence],
) -> Result<(Missing, Option<LostEvents>), SourceError> {
    let mut asked = 0;
    loop {
        let state = lookup::stream_state(connection, stream).await?;
        position::not_lost(stream, before + 1, state.first_sequence)?;
        let Some(missing) = named(connection, stream, &state).await? else {
            return Ok((Missing::default(), None));
        };
        let lost = missing.unexplained(before, sequences);
        asked += 1;
        if asked == ASKED_MOST || (lost.is_none() && missing.is_counted()) {
            return Ok((missing, lost));
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
}

/// What is missing of the stream, if that is not too much to be named.
pub(super) async fn named(
    connection: &Connection,
    stream: &str,
    state: &StreamState,
) -> Result<Option<Missing>, SourceError> {
    if state.missing > NAMED_MAX {
        return Ok(None);
    }
    let mut missing = ask(connection, stream).await?;
    if missing.lost_others && state.forbids_deletion {
        missing.lost.clone_from(&missing.all);
    }
    Ok(Some(missing))
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
        let mut all = state.deleted;
        all.retain(|it| (state.first_seq..=state.last_seq).contains(it));
        all.sort_unstable();
        all.dedup();
        // A number that was lost may be that of another event by now.
        let is_missing = |it: &Sequence| match state.messages {
            0 => *it <= state.last_seq,
            _ => all.binary_search(it).is_ok(),
        };
        let lost_others = state.lost.bytes > 0 && state.lost.msgs.is_none();
        let mut lost = state.lost.msgs.unwrap_or_default();
        lost.retain(is_missing);
        lost.sort_unstable();
        Self {
            held: state.messages,
            // That of an emptied stream is still to come.
            first: match state.messages {
                0 => state.last_seq + 1,
                _ => state.first_seq,
            },
            last: state.last_seq,
            all,
            lost,
            lost_others,
        }
    }
}

impl Missing {
    /// Whether the server's numbers agree with what it names.
    fn is_counted(&self) -> bool {
        self.first + self.held + self.all.len() as u64 == self.last + 1
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
    pub(super) fn lost_behind(&self, before: Sequence) -> Option<LostEvents> {
        self.unexplained(before, &[self.end_of_gap(before) + 1])
    }

    fn was_deleted(&self, sequence: Sequence) -> bool {
        names(&self.all, sequence) && !names(&self.lost, sequence)
    }

    /// Of an event that does not come. One that the server counts among those that it holds is damaged.
    fn was_lost(&self, sequence: Sequence) -> bool {
        names(&self.lost, sequence) || (self.is_counted() && !names(&self.all, sequence))
    }

    /// The last event of those that are missing, one after the other, right behind this one; this one if none is.
    fn end_of_gap(&self, before: Sequence) -> Sequence {
        let behind = self.all.partition_point(|&it| it <= before);
        let gap = self.all[behind..].iter().zip(before + 1..);
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
    fn deleted_events_are_asked_for_only_where_as_many_are_missing_and_not_too_many() {
        let state = |last_sequence, missing| StreamState {
            first_sequence: 1,
            last_sequence,
            first_time: None,
            forbids_deletion: false,
            missing,
            forgets: Vec::new(),
            takes: None,
        };
        let from = ReadFrom::After(5);
        assert!(may_be_all_deleted(&state(8, 3), from));
        assert!(!may_be_all_deleted(&state(8, 2), from));
        assert!(!may_be_all_deleted(&state(5, 2), from));
        let last = NAMED_MAX + 8;
        assert!(!may_be_all_deleted(&state(last, NAMED_MAX), from));
        let from = ReadFrom::After(NAMED_MAX);
        assert!(may_be_all_deleted(&state(last, NAMED_MAX), from));
        assert!(!may_be_all_deleted(&state(last, NAMED_MAX + 1), from));
        let emptied = StreamState {
            first_sequence: last + 1,
            ..state(last, 0)
        };
        assert!(may_be_all_deleted(&emptied, ReadFrom::OldestAfter(5)));
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

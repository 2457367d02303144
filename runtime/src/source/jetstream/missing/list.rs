//! The list of what a server does not hold of a stream, and what follows from it.

use std::ops::Range;

use serde::Deserialize;

use crate::event::Sequence;
use crate::source::{LostEvents, ReadFrom};

/// An answer to `STREAM.INFO` with `deleted_details`; the client's own type leaves out what was lost.
#[derive(Debug, Deserialize)]
pub(super) struct Info {
    pub(super) state: State,
}

#[derive(Debug, Deserialize)]
pub(super) struct State {
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
pub(in super::super) struct Missing {
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
    /// How many events the server lists as deleted.
    pub(super) fn count(&self) -> usize {
        self.deleted.len()
    }

    /// Takes everything for lost, if anything is, where nobody can have deleted it.
    pub(super) fn undeletable(&mut self) {
        if self.lost_some && !self.deleted.is_empty() {
            self.lost.clone_from(&self.deleted);
        }
    }

    /// Whether the server's numbers agree with what it names.
    pub(super) fn is_counted(&self) -> bool {
        self.first + self.held + self.deleted.len() as u64 == self.last + 1
    }

    /// Whether everything that `sequences` leave out, from behind `before` on, was deleted.
    pub(in super::super) fn explains(&self, before: Sequence, sequences: &[Sequence]) -> bool {
        gaps(before, sequences)
            .flatten()
            .all(|it| self.was_deleted(it))
    }

    /// The first of what `sequences` leave out, from behind `before` on, that was not deleted, with what is lost in the
    /// same gap.
    pub(super) fn unexplained(
        &self,
        before: Sequence,
        sequences: &[Sequence],
    ) -> Option<LostEvents> {
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
    pub(super) fn end_behind(&self, from: ReadFrom) -> Option<Sequence> {
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
    use serde_json::json;

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

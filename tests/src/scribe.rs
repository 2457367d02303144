//! What the guest `scribe` must have applied, held and recorded, written as plainly as possible.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::orders::Event;
use crate::rows::Rows;

/// An event with this key.
pub fn event(key: &str, payload: &str) -> Event {
    Event {
        subject: format!("orders.{key}.Noted"),
        payload: payload.to_owned().into(),
    }
}

/// The event's key.
///
/// # Panics
/// If it is none of [`event`].
pub fn key(event: &Event) -> &str {
    event
        .subject
        .split('.')
        .nth(1)
        .expect("a subject with a key")
}

/// Whether it fails until the module is mended.
pub fn fails(event: &Event) -> bool {
    ["reject", "panic"]
        .iter()
        .any(|poison| event.payload.starts_with(poison.as_bytes()))
}

/// The events with their sequences.
pub fn numbered(events: &[Event]) -> impl Iterator<Item = (u64, &Event)> {
    (1..).zip(events)
}

/// Rows as `scribe` writes them, of the events at these places.
///
/// # Panics
/// If a sequence is no signed number.
pub fn notes<'e>(events: impl IntoIterator<Item = (u64, &'e Event)>) -> Rows {
    let mut notes: BTreeMap<String, (i64, i64, i64)> = BTreeMap::new();
    for (sequence, event) in events {
        let sequence = i64::try_from(sequence).expect("a sequence of a test");
        let (events, last, trail) = notes.entry(key(event).to_owned()).or_default();
        *events += 1;
        *last = sequence;
        *trail = (*trail * 31 + sequence) % 1_000_000_007;
    }
    let row = |(key, (events, last, trail)): (String, _)| {
        let row = json!({"key": key, "events": events, "last_sequence": last, "trail": trail});
        (key, row)
    };
    notes.into_iter().map(row).collect()
}

/// Which of the events are held and which applied, when nothing was mended, retried or discarded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scribe {
    /// Held events by their key, in their order. The first of each has a dead letter.
    pub held: BTreeMap<String, Vec<u64>>,
    /// All others.
    pub applied: BTreeSet<u64>,
}

impl Scribe {
    /// What becomes of these events, from the first one on.
    pub fn of(events: &[Event]) -> Self {
        let mut scribe = Self::default();
        for (sequence, event) in numbered(events) {
            match scribe.held.get_mut(key(event)) {
                Some(held) => held.push(sequence),
                None if fails(event) => {
                    scribe.held.insert(key(event).to_owned(), vec![sequence]);
                }
                None => drop(scribe.applied.insert(sequence)),
            }
        }
        scribe
    }
}

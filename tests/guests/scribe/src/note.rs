//! What is noted of each key.

use foldline_sdk::{Event, ReadModel, Result, Table, bail};

/// One key.
#[derive(Table)]
#[table(name = "notes")]
pub(crate) struct Note {
    #[key]
    key: String,
    /// Events applied.
    events: i64,
    /// The last one.
    last_sequence: i64,
    /// Another number for each order of the same events.
    trail: i64,
}

/// Notes that an event was applied.
pub(crate) fn note(event: &Event, payload: &str, rows: &mut ReadModel) -> Result<()> {
    if payload.starts_with("hopeless") {
        bail!("{payload}");
    }
    let key = event.subject().split('.').nth(1).unwrap_or_default();
    let sequence = i64::try_from(event.sequence())?;
    let new = || Note {
        key: key.to_owned(),
        events: 0,
        last_sequence: 0,
        trail: 0,
    };
    rows.upsert(key, new, |note: &mut Note| {
        note.events += 1;
        note.last_sequence = sequence;
        note.trail = (note.trail * 31 + sequence) % 1_000_000_007;
    })
}

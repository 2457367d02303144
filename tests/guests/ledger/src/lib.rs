//! Keeps book of every event it is given, so that tests can see whether one came twice, not at all, or out
//! of order. Misbehaves when an event's header asks for it: `ledger-spin: N` computes N steps, `ledger-panic:
//! TEXT` panics.

use std::hint::black_box;

use foldline_sdk::{Event, ReadModel, Result, Table, projection};

/// One event.
#[derive(Table)]
#[table(name = "entries")]
struct Entry {
    #[key]
    sequence: i64,
    subject: String,
    /// How often it was applied: 1, or something is wrong.
    times: i64,
}

/// The one row that says where the book ends.
#[derive(Table)]
struct Head {
    /// Always "head".
    #[key]
    id: String,
    last_sequence: i64,
    /// Events applied.
    events: i64,
    /// The sum of their sequences.
    sequences: i64,
    /// Events that did not come right after the one before.
    disorders: i64,
}

#[projection(
    name = "ledger",
    version = 1,
    subjects = ["orders.>", "stock.>"],
    key = subject_token(1),
    tables = [Entry, Head]
)]
fn ledger(event: &Event, rows: &mut ReadModel) -> Result<()> {
    if let Some(text) = event.header("ledger-panic") {
        panic!("{text}");
    }
    if let Some(steps) = event.header("ledger-spin") {
        spin(steps.parse()?);
    }
    let sequence = i64::try_from(event.sequence())?;
    let entry = || Entry {
        sequence,
        subject: event.subject().to_owned(),
        times: 0,
    };
    rows.upsert(sequence, entry, |entry: &mut Entry| entry.times += 1)?;
    let head = || Head {
        id: "head".to_owned(),
        last_sequence: 0,
        events: 0,
        sequences: 0,
        disorders: 0,
    };
    rows.upsert("head", head, |head: &mut Head| {
        head.disorders += i64::from(sequence != head.last_sequence + 1);
        head.last_sequence = sequence;
        head.events += 1;
        head.sequences += sequence;
    })
}

fn spin(steps: u64) {
    for step in 0..steps {
        black_box(step);
    }
}

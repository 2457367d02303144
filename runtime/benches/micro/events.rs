//! The events all of them are measured with.

use foldline::batch::{Batch, BatchBuilder};
use foldline::event::Position;
use foldline_tests::orders::{Event, Orders};

/// Any number would do.
const SEED: u64 = 42;

/// Nanoseconds since the epoch: 2026-01-01T00:00:00Z.
const TIME: i64 = 1_767_225_600_000_000_000;

/// One header, as the large benchmark has.
const HEADERS: &[u8] = b"Trace-Id: 0123456789abcdef\r\n";

/// The same `count` events each time: orders placed, paid, shipped and cancelled, some 350 bytes of JSON each.
pub(crate) fn orders(count: usize) -> Vec<Event> {
    Orders::new(SEED)
        .filter(|event| event.subject.starts_with("orders."))
        .take(count)
        .collect()
}

/// The events as one batch.
pub(crate) fn pack(events: &[Event]) -> Batch {
    let mut builder = BatchBuilder::default();
    let mut at = Position::default();
    for event in events {
        at = Position {
            sequence: at.sequence + 1,
            time: TIME,
        };
        builder.push(at, &event.subject, HEADERS, &event.payload);
    }
    builder.finish(at, 0)
}

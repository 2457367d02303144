//! Events from the columns that a host sends, without a host: the way in for fuzzing.

use std::rc::Rc;

use crate::event::{Batch, Column};
use crate::{Event, Result};

/// The events of a batch. Each column is where its items end, and its bytes.
///
/// # Errors
///
/// When the columns do not fit together, or what must be text is none.
pub fn events(
    sequences: Vec<u64>,
    timestamps: Vec<i64>,
    columns: [(Vec<u32>, Vec<u8>); 3],
) -> Result<Vec<Event>> {
    let [subjects, headers, payloads] = columns.map(|(ends, bytes)| Column::new(ends, bytes));
    let batch = Rc::new(Batch::new(
        sequences, timestamps, subjects, headers, payloads,
    )?);
    let event = |index| Event::new(Rc::clone(&batch), index);
    Ok((0..batch.len()).map(event).collect())
}

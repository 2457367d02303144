//! A batch of events in columns, as it crosses the boundary.

use anyhow::{Context, ensure};

use super::Timestamp;
use crate::Result;

/// Consecutive events, one column per part; checked once, when it is made.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    sequences: Vec<u64>,
    timestamps: Vec<i64>,
    subjects: Column<String>,
    headers: Column<String>,
    payloads: Column<Vec<u8>>,
}

/// Many strings in one: item `i` is `bytes[ends[i - 1]..ends[i]]`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Column<B> {
    ends: Vec<u32>,
    bytes: B,
}

impl Batch {
    /// Checks that every column has one item per event and that what must be text is text.
    pub(crate) fn new(
        sequences: Vec<u64>,
        timestamps: Vec<i64>,
        subjects: Column<Vec<u8>>,
        headers: Column<Vec<u8>>,
        payloads: Column<Vec<u8>>,
    ) -> Result<Self> {
        let events = sequences.len();
        ensure!(
            timestamps.len() == events,
            "a batch of {events} events has {} timestamps",
            timestamps.len()
        );
        payloads.check(events).context("payloads")?;
        Ok(Batch {
            sequences,
            timestamps,
            subjects: subjects.into_text(events).context("subjects")?,
            headers: headers.into_text(events).context("headers")?,
            payloads,
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.sequences.len()
    }

    pub(super) fn sequence(&self, index: usize) -> u64 {
        self.sequences[index]
    }

    pub(super) fn timestamp(&self, index: usize) -> Timestamp {
        Timestamp::from_nanos(self.timestamps[index])
    }

    pub(super) fn subject(&self, index: usize) -> &str {
        &self.subjects.bytes[self.subjects.range(index)]
    }

    pub(super) fn headers(&self, index: usize) -> &str {
        &self.headers.bytes[self.headers.range(index)]
    }

    pub(super) fn payload(&self, index: usize) -> &[u8] {
        &self.payloads.bytes[self.payloads.range(index)]
    }
}

impl<B> Column<B> {
    #[cfg(any(target_arch = "wasm32", test))]
    pub(crate) fn new(ends: Vec<u32>, bytes: B) -> Self {
        Column { ends, bytes }
    }

    fn range(&self, index: usize) -> std::ops::Range<usize> {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        start as usize..self.ends[index] as usize
    }
}

impl Column<Vec<u8>> {
    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn push(&mut self, item: &[u8]) {
        self.bytes.extend_from_slice(item);
        self.ends
            .push(u32::try_from(self.bytes.len()).unwrap_or(u32::MAX));
    }

    fn check(&self, events: usize) -> Result<()> {
        ensure!(
            self.ends.len() == events,
            "a column of {events} events has {} items",
            self.ends.len()
        );
        let end = self.ends.last().map_or(0, |end| *end as usize);
        ensure!(
            self.ends.is_sorted() && end == self.bytes.len(),
            "a column's ends do not match its bytes"
        );
        Ok(())
    }

    /// The same column as text, validated in one pass over all items.
    fn into_text(self, events: usize) -> Result<Column<String>> {
        self.check(events)?;
        let bytes = String::from_utf8(self.bytes)?;
        let whole = self
            .ends
            .iter()
            .all(|end| bytes.is_char_boundary(*end as usize));
        ensure!(whole, "a column is cut inside a character");
        Ok(Column {
            ends: self.ends,
            bytes,
        })
    }
}

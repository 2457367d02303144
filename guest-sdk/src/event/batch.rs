//! A batch of events in columns, as it crosses the boundary.

use anyhow::{Context, anyhow, ensure};

use super::Timestamp;
use crate::Result;

/// Consecutive events, one column per part; checked once, when it is made.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    sequences: Vec<u64>,
    timestamps: Vec<i64>,
    subjects: Column<String>,
    headers: Column<String>,
    payloads: Payloads,
}

/// JSON is read faster from text, because its strings need not be looked at one by one. One pass over all payloads
/// says whether they are, and a single one that is not makes none of them text.
#[derive(Clone, Debug)]
enum Payloads {
    Text(Column<String>),
    Bytes(Column<Vec<u8>>),
}

/// One event's payload.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Payload<'e> {
    Text(&'e str),
    Bytes(&'e [u8]),
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
        Ok(Batch {
            sequences,
            timestamps,
            subjects: text(subjects, events).context("subjects")?,
            headers: text(headers, events).context("headers")?,
            payloads: Payloads::new(payloads, events).context("payloads")?,
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

    pub(super) fn payload(&self, index: usize) -> Payload<'_> {
        match &self.payloads {
            Payloads::Text(column) => Payload::Text(&column.bytes[column.range(index)]),
            Payloads::Bytes(column) => Payload::Bytes(&column.bytes[column.range(index)]),
        }
    }
}

impl Payloads {
    fn new(column: Column<Vec<u8>>, events: usize) -> Result<Self> {
        column.check(events)?;
        Ok(match column.into_text() {
            Ok(text) => Self::Text(text),
            Err(NoText { column, .. }) => Self::Bytes(column),
        })
    }
}

impl<'e> Payload<'e> {
    pub(crate) fn bytes(self) -> &'e [u8] {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }
}

impl<B> Column<B> {
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
    fn into_text(self) -> Result<Column<String>, NoText> {
        let Self { ends, bytes } = self;
        let bytes = match String::from_utf8(bytes) {
            Ok(bytes) => bytes,
            Err(error) => {
                let reason = error.utf8_error().to_string();
                let bytes = error.into_bytes();
                return Err(NoText {
                    column: Self { ends, bytes },
                    reason,
                });
            }
        };
        if ends.iter().all(|end| bytes.is_char_boundary(*end as usize)) {
            return Ok(Column { ends, bytes });
        }
        let bytes = bytes.into_bytes();
        let reason = "it is cut inside a character".to_owned();
        Err(NoText {
            column: Self { ends, bytes },
            reason,
        })
    }
}

/// A column that is no text, and why.
struct NoText {
    column: Column<Vec<u8>>,
    reason: String,
}

fn text(column: Column<Vec<u8>>, events: usize) -> Result<Column<String>> {
    column.check(events)?;
    column.into_text().map_err(|error| anyhow!(error.reason))
}

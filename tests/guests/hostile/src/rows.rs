//! Rows as they cross to the host, and rows as they must not.

use crate::bindings::foldline::projection::read_model;

pub(crate) const ENTRIES: u32 = 0;

/// Puts a row as it should be.
pub(crate) fn put(sequence: i64, batches: i64, subject: &[u8]) {
    read_model::put(ENTRIES, &row(sequence, batches, subject));
}

pub(crate) fn row(sequence: i64, batches: i64, subject: &[u8]) -> Vec<u8> {
    [integer(sequence), integer(batches), text(subject)].concat()
}

pub(crate) fn integer(value: i64) -> Vec<u8> {
    [&[3], &value.to_le_bytes()[..]].concat()
}

pub(crate) fn real(value: f64) -> Vec<u8> {
    [&[4], &value.to_le_bytes()[..]].concat()
}

pub(crate) fn text(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    [&[5], &length.to_le_bytes()[..], bytes].concat()
}

//! One event as read from a stream: plain data, no I/O.

use bytes::Bytes;

/// A place in a stream: JetStream's stream sequence, counted from 1. 0 is "before the first event".
pub type Sequence = u64;

/// Nanoseconds since the Unix epoch, UTC.
pub type Timestamp = i64;

/// An event with its place in the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its place in the stream.
    pub sequence: Sequence,
    /// When JetStream stored it.
    pub time: Timestamp,
    /// Full subject.
    pub subject: String,
    /// Lines `Name: value` each ended by CR LF; empty without headers.
    pub headers: Bytes,
    /// As published.
    pub payload: Bytes,
}

/// The last event that was looked at: what a checkpoint is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord)]
pub struct Position {
    /// Its sequence; 0 before the first event.
    pub sequence: Sequence,
    /// Its time, which tells a stream from another one that reuses its sequences; 0 before the first event.
    pub time: Timestamp,
}

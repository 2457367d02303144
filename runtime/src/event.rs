//! One event as read from a stream: plain data, no I/O.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

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

/// Which event it is: of a stream, and of no other stream that reuses its sequences.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventRef {
    /// Its place in the stream.
    pub sequence: Sequence,
    /// When JetStream stored it, RFC 3339 to the nanosecond.
    pub time: String,
    /// Full subject.
    pub subject: String,
}

impl Event {
    /// Which event it is.
    pub fn reference(&self) -> EventRef {
        EventRef {
            sequence: self.sequence,
            time: rfc3339(self.time),
            subject: self.subject.clone(),
        }
    }
}

/// As people and JSON read it; empty for a time that no calendar has.
pub fn rfc3339(time: Timestamp) -> String {
    let time = OffsetDateTime::from_unix_timestamp_nanos(time.into());
    let text = time.ok().and_then(|time| time.format(&Rfc3339).ok());
    text.unwrap_or_default()
}

/// The last event that was looked at: what a checkpoint is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, PartialOrd, Ord)]
pub struct Position {
    /// Its sequence; 0 before the first event.
    pub sequence: Sequence,
    /// Its time, which tells a stream from another one that reuses its sequences; 0 before the first event.
    pub time: Timestamp,
}

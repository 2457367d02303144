//! Events as a test writes them down.

use serde_json::{Map, Value as Json, json};

use crate::Timestamp;
use crate::event::{Batch, Column};

/// When the first event was stored, unless it says otherwise: 2026-01-01, and one second per event.
const FIRST_STORED_NANOS: i64 = 1_767_225_600_000_000_000;
const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// An event to give to a projection.
#[derive(Clone, Debug)]
pub struct TestEvent {
    subject: String,
    headers: String,
    payload: Vec<u8>,
    time: Option<Timestamp>,
}

/// An event with an empty payload.
pub fn event(subject: impl Into<String>) -> TestEvent {
    TestEvent {
        subject: subject.into(),
        headers: String::new(),
        payload: Vec::new(),
        time: None,
    }
}

impl TestEvent {
    /// With this payload.
    #[must_use]
    pub fn payload(mut self, payload: impl Into<Vec<u8>>) -> Self {
        self.payload = payload.into();
        self
    }

    /// With this JSON as the payload.
    #[must_use]
    pub fn json(self, payload: &Json) -> Self {
        self.payload(payload.to_string())
    }

    /// And a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push_str(&format!("{name}: {value}\r\n"));
        self
    }

    /// Stored at this time; without it, events are stored one second apart.
    #[must_use]
    pub fn stored_at(mut self, time: Timestamp) -> Self {
        self.time = Some(time);
        self
    }

    pub(super) fn subject(&self) -> &str {
        &self.subject
    }
}

/// An event in the usual envelope, still without a subject.
#[derive(Clone, Debug)]
pub struct TestEnvelope {
    fields: Map<String, Json>,
}

/// An envelope around `data`. Its version is 1 and its timestamp 2026-01-01T00:00:00Z unless it
/// says otherwise.
#[allow(clippy::needless_pass_by_value, reason = "takes what json! makes")]
pub fn envelope(event_type: &str, data: Json) -> TestEnvelope {
    let envelope = TestEnvelope { fields: Map::new() };
    envelope
        .field("eventType", json!(event_type))
        .field("payload", data)
        .version(1)
        .timestamp("2026-01-01T00:00:00Z")
}

impl TestEnvelope {
    /// Of this aggregate.
    #[must_use]
    pub fn aggregate(self, id: &str) -> Self {
        self.field("aggregateId", json!(id))
    }

    /// The number of the event among those of its aggregate.
    #[must_use]
    pub fn version(self, version: i64) -> Self {
        self.field("version", json!(version))
    }

    /// When it happened.
    #[must_use]
    pub fn timestamp(self, timestamp: &str) -> Self {
        self.field("timestamp", json!(timestamp))
    }

    /// Any other field of the envelope, `metadata` for one.
    #[must_use]
    pub fn field(mut self, name: &str, value: Json) -> Self {
        self.fields.insert(name.to_owned(), value);
        self
    }

    /// The event, published on this subject.
    pub fn on(self, subject: impl Into<String>) -> TestEvent {
        event(subject).json(&Json::Object(self.fields))
    }
}

/// Header lines as the host gives them: by name, the values of one name in the order in which they were sent.
fn sorted(headers: &str) -> String {
    let mut lines: Vec<&str> = headers.split_inclusive("\r\n").collect();
    lines.sort_by_key(|line| line.split_once(':').map(|(name, _)| name));
    lines.concat()
}

/// The events as one batch, the first of them being event number `first` of the test.
pub(crate) fn batch(events: &[TestEvent], first: usize) -> Batch {
    let [mut subjects, mut headers, mut payloads] = std::array::from_fn(|_| Column::default());
    for event in events {
        subjects.push(event.subject.as_bytes());
        headers.push(sorted(&event.headers).as_bytes());
        payloads.push(&event.payload);
    }
    let numbers = (1i64..).skip(first).take(events.len());
    let stored = |number: i64| FIRST_STORED_NANOS + (number - 1) * NANOS_PER_SECOND;
    let timestamps = events.iter().zip(numbers.clone());
    let timestamps = timestamps
        .map(|(event, number)| event.time.map_or(stored(number), Timestamp::nanos))
        .collect();
    let sequences = numbers.map(i64::unsigned_abs).collect();
    #[allow(
        clippy::expect_used,
        reason = "columns filled item by item are consistent"
    )]
    Batch::new(sequences, timestamps, subjects, headers, payloads).expect("a batch of test events")
}

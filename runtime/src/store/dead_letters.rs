//! What is kept of events that a projection could not apply. It lies beside the rows and is committed with them.

use serde::{Deserialize, Serialize};

use crate::event::{Event, EventRef, Sequence, Timestamp, rfc3339};

/// What tells which events belong together: the bytes of an event's key. Events without one belong together, too.
pub type KeyBytes = Option<Vec<u8>>;

/// What a held event takes beside its texts and bytes, roughly.
const EVENT_OVERHEAD_BYTES: usize = 64;

/// A poison event that was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeadLetter {
    /// The event's sequence.
    pub sequence: Sequence,
    /// When JetStream stored it.
    pub time: Timestamp,
    /// Its full subject.
    pub subject: String,
    /// Its key.
    pub key: KeyBytes,
    /// Whether it and the later events of its key are held; otherwise it was passed over.
    pub held: bool,
    /// The beginning of its header lines.
    pub headers: Vec<u8>,
    /// How long they are, in bytes.
    pub headers_bytes: u64,
    /// The beginning of its payload.
    pub payload: Vec<u8>,
    /// How long that is, in bytes.
    pub payload_bytes: u64,
    /// Attempts to apply it so far.
    pub attempts_made: u32,
    /// The first of them and the latest ones, oldest first.
    pub attempts: Vec<Attempt>,
}

impl DeadLetter {
    /// The letter of an event that failed for the first time, passed over, with at most so many bytes of its headers and
    /// of its payload each.
    pub fn new(of: &HeldEvent, attempts: Vec<Attempt>, bytes_max: usize) -> Self {
        let HeldEvent { key, event } = of;
        let beginning = |of: &[u8]| of[..of.len().min(bytes_max)].to_vec();
        Self {
            sequence: event.sequence,
            time: event.time,
            subject: event.subject.clone(),
            key: key.clone(),
            held: false,
            headers: beginning(&event.headers),
            headers_bytes: event.headers.len() as u64,
            payload: beginning(&event.payload),
            payload_bytes: event.payload.len() as u64,
            attempts_made: u32::try_from(attempts.len()).unwrap_or(u32::MAX),
            attempts,
        }
    }

    /// Whether a part of the event is not in the letter.
    pub fn is_cut_off(&self) -> bool {
        (self.headers.len() as u64, self.payload.len() as u64)
            != (self.headers_bytes, self.payload_bytes)
    }

    /// Digest of the module that failed last; empty where there was none.
    pub fn digest(&self) -> &str {
        self.attempts
            .last()
            .map_or("", |attempt| attempt.digest.as_str())
    }

    /// Which event it is.
    pub fn reference(&self) -> EventRef {
        EventRef {
            sequence: self.sequence,
            time: rfc3339(self.time),
            subject: self.subject.clone(),
        }
    }

    /// The event, as far as it is kept.
    pub fn event(&self) -> Event {
        Event {
            sequence: self.sequence,
            time: self.time,
            subject: self.subject.clone(),
            headers: self.headers.clone().into(),
            payload: self.payload.clone().into(),
        }
    }
}

/// One failed attempt to apply an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// When, RFC 3339.
    pub at: String,
    /// Digest of the module: lower-case hexadecimal SHA-256.
    pub digest: String,
    /// What the projection said, or which limit was reached.
    pub error: String,
    /// What the module logged in that call, oldest first.
    #[serde(default)]
    pub log: Vec<String>,
    /// Where in the module it failed, where that is known.
    #[serde(default)]
    pub backtrace: Option<String>,
}

/// An event that waits behind a poison event of its key, or is that event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldEvent {
    /// Its key.
    pub key: KeyBytes,
    /// As it was read from the stream.
    pub event: Event,
}

impl HeldEvent {
    /// What it counts for the limit on held events, in bytes.
    pub fn bytes(&self) -> u64 {
        let key = self.key.as_ref().map_or(0, Vec::len);
        bytes_of(key, &self.event)
    }
}

/// What an event with a key of so many bytes counts for the limit on held events, in bytes.
pub fn bytes_of(key: usize, event: &Event) -> u64 {
    let texts = event.subject.len() + event.headers.len() + event.payload.len();
    (EVENT_OVERHEAD_BYTES + key + texts) as u64
}

/// A step to be committed together with rows and checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeadLetterChange {
    /// A dead letter is new, or there was another attempt.
    Record(Box<DeadLetter>),
    /// A dead letter is settled.
    Settle(Sequence),
    /// An event is held.
    Hold(HeldEvent),
    /// An event is held no longer: it was applied, or given up.
    Release(Sequence),
}

impl DeadLetterChange {
    /// What it takes until it is committed, in bytes, roughly.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Record(letter) => letter.headers.len() + letter.payload.len(),
            Self::Hold(held) => usize::try_from(held.bytes()).unwrap_or(usize::MAX),
            Self::Settle(_) | Self::Release(_) => EVENT_OVERHEAD_BYTES,
        }
    }
}

/// Everything that is set aside, without the events themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SetAside {
    /// The dead letters, in the order of their sequences.
    pub letters: Vec<LetterOutline>,
    /// The held events of each key.
    pub held: Vec<HeldOutline>,
}

/// What must be known of a dead letter while events are applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LetterOutline {
    /// The event's sequence.
    pub sequence: Sequence,
    /// Its key.
    pub key: KeyBytes,
    /// Whether its key is held.
    pub held: bool,
    /// Digest of the module that failed last.
    pub digest: String,
}

/// What must be known of a held key while events are applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldOutline {
    /// The key.
    pub key: KeyBytes,
    /// Events that are held.
    pub events: u64,
    /// Their size as [`HeldEvent::bytes`] counts it.
    pub bytes: u64,
}

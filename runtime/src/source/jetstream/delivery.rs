//! Where a message stands, as the server says in its reply subject.

use crate::event::{Position, Sequence};

/// Tokens up to the last one that is read, in the longer form.
const TOKENS_READ: usize = 9;

/// What the reply subject of a delivered message says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Delivery {
    /// Deliveries of the consumer so far, this one among them.
    pub(super) number: u64,
    /// Where the event is in the stream, and when it was stored.
    pub(super) at: Position,
    /// Events that wait behind it.
    pub(super) pending: u64,
}

impl Delivery {
    /// Reads `$JS.ACK.[domain.account.]stream.consumer.delivered.sequence.number.time.pending[.token]`; none when it
    /// is something else. The two forms are those of ADR-15, in the repository `nats-io/nats-architecture-and-design`.
    pub(super) fn parse(reply: &str) -> Option<Self> {
        let tokens = reply.strip_prefix("$JS.ACK.")?;
        // In one pass: this is done for every message, and searching for one dot after the other showed in the profile.
        let mut ends = [tokens.len(); TOKENS_READ];
        let mut dots = 0;
        for (at, _) in tokens.bytes().enumerate().filter(|(_, byte)| *byte == b'.') {
            if let Some(end) = ends.get_mut(dots) {
                *end = at;
            }
            dots += 1;
        }
        let before_sequence = match dots {
            6 => 3,
            8.. => 5,
            _ => return None,
        };
        let token = |token: usize| tokens.get(ends[token - 1] + 1..ends[token]);
        let sequence: Sequence = token(before_sequence)?.parse().ok()?;
        let number = token(before_sequence + 1)?.parse().ok()?;
        let time = token(before_sequence + 2)?.parse().ok()?;
        let pending = token(before_sequence + 3)?.parse().ok()?;
        Some(Self {
            number,
            at: Position { sequence, time },
            pending,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPECTED: Delivery = Delivery {
        number: 2,
        at: Position {
            sequence: 7,
            time: 1_700_000_000_123_456_789,
        },
        pending: 9,
    };

    #[test]
    fn both_forms_of_a_reply_subject_are_read() {
        for reply in [
            "$JS.ACK.ORDERS.reader.1.7.2.1700000000123456789.9",
            "$JS.ACK._.hash.ORDERS.reader.1.7.2.1700000000123456789.9",
            "$JS.ACK.hub.hash.ORDERS.reader.1.7.2.1700000000123456789.9.token",
        ] {
            assert_eq!(Delivery::parse(reply), Some(EXPECTED), "{reply}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for reply in [
            "",
            "_INBOX.abc",
            "$JS.ACK.ORDERS.reader.1.7.2.1700000000123456789",
            "$JS.ACK.ORDERS.reader.1.seven.2.1700000000123456789.9",
            "$JS.ACK.ORDERS.reader.1.7.2.1700000000123456789.9.token",
        ] {
            assert_eq!(Delivery::parse(reply), None, "{reply}");
        }
    }
}

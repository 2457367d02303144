//! From messages to columns: continuity checked, everything copied once.

use async_nats::{HeaderMap, Message};
use smallvec::SmallVec;

use super::delivery::Delivery;
use crate::batch::{Batch, BatchBuilder, BatchLimits};
use crate::event::{Position, Sequence};
use crate::source::ReadFrom;

/// Names of headers that are sorted without an allocation.
const HEADERS_IN_PLACE: usize = 8;

/// Proof that nothing is missing on the way: the server counts the deliveries of a consumer without gaps.
/// Stream sequences may jump, where events were deleted or lost before they were delivered: that is noted.
#[derive(Debug)]
struct Continuity {
    /// Deliveries seen.
    delivered: u64,
    /// Where reading stands, and what may follow.
    at: ReadFrom,
    /// The last event before the first gap since [`Packer::take`].
    gap: Option<Sequence>,
}

impl Continuity {
    fn new(from: ReadFrom) -> Self {
        Self {
            delivered: 0,
            at: from,
            gap: None,
        }
    }

    /// Whether the event is new; an error when a delivery is missing or repeated.
    fn accept(&mut self, delivery: u64, sequence: Sequence) -> Result<bool, String> {
        if delivery != self.delivered + 1 {
            let last = self.delivered;
            return Err(format!("delivery {delivery} came after delivery {last}"));
        }
        self.delivered = delivery;
        if sequence <= self.at.after() {
            return Ok(false);
        }
        match self.at {
            ReadFrom::After(last) if sequence > last + 1 => {
                self.gap.get_or_insert(last);
            }
            _ => {}
        }
        self.at = ReadFrom::After(sequence);
        Ok(true)
    }
}

/// Packs the deliveries of one consumer.
///
/// Payloads and headers are copied: keeping the client's slices would keep its whole read buffers alive.
#[derive(Debug)]
pub(super) struct Packer {
    continuity: Continuity,
    limits: BatchLimits,
    builder: BatchBuilder,
    through: Position,
    pending: u64,
    /// Header lines of the message at hand, kept for its memory.
    lines: Vec<u8>,
}

impl Packer {
    pub(super) fn new(from: ReadFrom, limits: BatchLimits) -> Self {
        Self {
            continuity: Continuity::new(from),
            limits,
            builder: BatchBuilder::default(),
            through: Position::default(),
            pending: 0,
            lines: Vec::new(),
        }
    }

    /// The last event that was packed; none before the first one of a reader that may begin anywhere.
    pub(super) fn read_to(&self) -> Option<Sequence> {
        match self.continuity.at {
            ReadFrom::After(sequence) => Some(sequence),
            ReadFrom::OldestAfter(_) => None,
        }
    }

    /// Whether `message` must wait for the next batch.
    pub(super) fn is_full_for(&self, message: &Message) -> bool {
        self.builder.is_full(message.length, self.limits)
    }

    /// Adds one delivery.
    ///
    /// # Errors
    /// A sentence, when the deliveries are not continuous.
    pub(super) fn push(&mut self, message: &Message) -> Result<(), String> {
        let reply = message.reply.as_deref().unwrap_or_default();
        let delivery = Delivery::parse(reply).ok_or_else(|| {
            format!("a message came that JetStream did not deliver (reply to {reply:?})")
        })?;
        if self
            .continuity
            .accept(delivery.number, delivery.at.sequence)?
        {
            self.add(message, delivery);
        }
        Ok(())
    }

    fn add(&mut self, message: &Message, delivery: Delivery) {
        self.through = delivery.at;
        self.pending = delivery.pending;
        self.lines.clear();
        if let Some(headers) = &message.headers {
            write_lines(headers, &mut self.lines);
        }
        self.builder.push(
            self.through,
            &message.subject,
            &self.lines,
            &message.payload,
        );
    }

    /// What has been packed, with the last event before the first gap in front of or in it; none when there is
    /// nothing.
    pub(super) fn take(&mut self) -> Option<(Batch, Option<Sequence>)> {
        if self.builder.is_empty() {
            return None;
        }
        let builder = std::mem::take(&mut self.builder);
        let batch = builder.finish(self.through, self.pending);
        self.builder = BatchBuilder::after(&batch);
        Some((batch, self.continuity.gap.take()))
    }
}

/// Lines `Name: value` CR LF, sorted by name: the client keeps headers in a hash map, and the same event
/// must look the same each time it is read. The values of one name keep their order.
pub(super) fn write_lines(headers: &HeaderMap, lines: &mut Vec<u8>) {
    let mut sorted: SmallVec<[_; HEADERS_IN_PLACE]> = headers.iter().collect();
    sorted.sort_unstable_by_key(|(name, _)| AsRef::<[u8]>::as_ref(*name));
    for (name, values) in sorted {
        for value in values {
            lines.extend_from_slice(name.as_ref());
            lines.extend_from_slice(b": ");
            lines.extend_from_slice(value.as_ref());
            lines.extend_from_slice(b"\r\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Continuity {
        fn gap_before(mut self, sequence: Sequence) -> Option<Sequence> {
            self.accept(self.delivered + 1, sequence).unwrap();
            self.gap
        }
    }

    fn continuity() -> Continuity {
        Continuity::new(ReadFrom::After(10))
    }

    #[test]
    fn a_missing_or_repeated_delivery_is_an_error() {
        let mut missing = continuity();
        assert_eq!(missing.accept(1, 11), Ok(true));
        assert!(missing.accept(3, 12).is_err());
        let mut repeated = continuity();
        assert_eq!(repeated.accept(1, 11), Ok(true));
        assert!(repeated.accept(1, 12).is_err());
    }

    #[test]
    fn old_events_are_passed_over() {
        let mut continuity = continuity();
        assert_eq!(continuity.accept(1, 5), Ok(false));
        assert_eq!(continuity.accept(2, 11), Ok(true));
        assert_eq!(continuity.accept(3, 11), Ok(false));
        assert_eq!(continuity.accept(4, 12), Ok(true));
        assert_eq!(continuity.gap, None);
    }

    #[test]
    fn the_first_gap_is_noted() {
        let mut continuity = continuity();
        for (delivery, sequence) in [(1, 11), (2, 15), (3, 16), (4, 20)] {
            assert_eq!(continuity.accept(delivery, sequence), Ok(true));
        }
        assert_eq!(continuity.gap, Some(11));
        assert_eq!(Continuity::new(ReadFrom::After(0)).gap_before(2), Some(0));
    }

    #[test]
    fn what_is_gone_before_the_oldest_event_is_no_gap() {
        let mut continuity = Continuity::new(ReadFrom::OldestAfter(10));
        assert_eq!(continuity.accept(1, 15), Ok(true));
        assert_eq!(continuity.gap, None);
        assert_eq!(continuity.gap_before(17), Some(15));
    }

    #[test]
    fn header_lines_are_sorted_by_name_and_keep_the_order_of_values() {
        let mut headers = HeaderMap::new();
        headers.append("b", "2");
        headers.append("a", "x");
        headers.append("b", "1");
        let mut lines = Vec::new();
        write_lines(&headers, &mut lines);
        assert_eq!(lines, b"a: x\r\nb: 2\r\nb: 1\r\n");
    }
}

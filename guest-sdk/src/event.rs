//! One event, as the projection sees it.

mod batch;
mod header;
#[cfg(test)]
mod tests;
mod timestamp;

use std::rc::Rc;

use anyhow::Context;
use serde::Deserialize;

pub(crate) use self::batch::{Batch, Column, Payload};
pub use self::header::Headers;
pub use self::timestamp::Timestamp;
use crate::Result;
use crate::envelope::{self, Envelope};

/// One event of the stream: subject, sequence, time, headers and payload. Everything borrows from
/// the batch it came in; nothing is copied.
#[derive(Clone, Debug)]
pub struct Event {
    batch: Rc<Batch>,
    index: usize,
}

impl Event {
    pub(crate) fn new(batch: Rc<Batch>, index: usize) -> Self {
        Event { batch, index }
    }

    /// The event's place in the stream.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.batch.sequence(self.index)
    }

    /// When JetStream stored the event. The only time there is: a projection has no clock.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.batch.timestamp(self.index)
    }

    /// The full subject: `orders.o-17.OrderPlaced`.
    #[must_use]
    pub fn subject(&self) -> &str {
        self.batch.subject(self.index)
    }

    /// The part of the subject at this position, counted from 0: of `orders.o-17.OrderPlaced`, 1 is
    /// `o-17`.
    #[must_use]
    pub fn subject_token(&self, position: usize) -> Option<&str> {
        self.subject().split('.').nth(position)
    }

    /// Names and values of the headers, sorted by name.
    #[must_use]
    pub fn headers(&self) -> Headers<'_> {
        Headers::new(self.batch.headers(self.index))
    }

    /// The first value of the header of this name. Upper and lower case differ, as in NATS.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers()
            .find(|(candidate, _)| *candidate == name)
            .map(|(_, value)| value)
    }

    /// The payload as it was published.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.json_payload().bytes()
    }

    /// The whole payload as JSON. For payloads in the usual envelope use [`decode`](Self::decode).
    ///
    /// # Errors
    ///
    /// When the payload is not JSON of this type.
    pub fn json<'e, T: Deserialize<'e>>(&'e self) -> Result<T> {
        let read = match self.json_payload() {
            Payload::Text(text) => serde_json::from_str(text),
            Payload::Bytes(bytes) => serde_json::from_slice(bytes),
        };
        read.with_context(|| self.named())
    }

    /// The payload's envelope, and its data as the variant of `E` named like the event type, in one
    /// pass; `None` when `E` has no such variant, so that a projection names only the events it
    /// cares about.
    ///
    /// ```
    /// # use foldline_sdk::{Event, ReadModel, Result};
    /// use serde::Deserialize;
    ///
    /// #[derive(Deserialize)]
    /// #[serde(rename_all_fields = "camelCase")]
    /// enum OrderEvent {
    ///     OrderPlaced { customer_id: String, total_amount: f64 },
    ///     OrderCancelled,
    /// }
    ///
    /// # fn orders(event: &Event, rows: &mut ReadModel) -> Result<()> {
    /// let Some((envelope, order)) = event.decode()? else {
    ///     return Ok(());
    /// };
    /// let order_id = envelope.aggregate_id()?;
    /// match order {
    ///     OrderEvent::OrderPlaced { customer_id, total_amount } => { /* … */ }
    ///     OrderEvent::OrderCancelled => { /* … */ }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// When the payload is no JSON envelope, or its data does not fit the variant.
    pub fn decode<'e, E: Deserialize<'e>>(&'e self) -> Result<Option<(Envelope<'e>, E)>> {
        envelope::decode(self.json_payload()).with_context(|| self.named())
    }

    /// The payload's envelope, and its data as one type whatever the event type: a struct,
    /// `serde_json::Value`, or `&serde_json::value::RawValue` for the JSON as it stands.
    ///
    /// # Errors
    ///
    /// When the payload is no JSON envelope, or its data is not of that type.
    pub fn envelope<'e, D: Deserialize<'e>>(&'e self) -> Result<(Envelope<'e>, D)> {
        envelope::read(self.json_payload()).with_context(|| self.named())
    }

    /// The whole payload as the variant of `E` named `event_type`, for events without an envelope
    /// that are typed by a header or by their subject; `None` when `E` has no such variant. For a
    /// variant without fields the payload may be empty.
    ///
    /// ```
    /// # use foldline_sdk::{Event, Result};
    /// # use serde::Deserialize;
    /// # #[derive(Deserialize)]
    /// # enum OrderEvent { OrderCancelled }
    /// # fn orders(event: &Event) -> Result<()> {
    /// let event_type = event.subject_token(2).unwrap_or_default();
    /// let order = event.decode_as::<OrderEvent>(event_type)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// When the payload is no JSON that fits the variant.
    pub fn decode_as<'e, E: Deserialize<'e>>(&'e self, event_type: &str) -> Result<Option<E>> {
        envelope::decode_as(event_type, self.json_payload()).with_context(|| self.named())
    }

    fn json_payload(&self) -> Payload<'_> {
        self.batch.payload(self.index)
    }

    /// Where the event is, for the report of a panic.
    #[cfg(target_arch = "wasm32")]
    pub(crate) fn place(&self) -> String {
        let (index, sequence, subject) = (self.index, self.sequence(), self.subject());
        format!(" (event {index} of the batch, sequence {sequence}, subject `{subject}`)")
    }

    /// What the chain of an error begins with.
    fn named(&self) -> String {
        format!("the payload of `{}`", self.subject())
    }
}

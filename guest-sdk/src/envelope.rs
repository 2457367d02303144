//! The usual envelope around an event's data, and how the data becomes a variant of the author's
//! enum.

mod read;
#[cfg(test)]
mod tests;
mod text;
mod variant;
mod version;

use anyhow::{Context, anyhow};
use serde::Deserialize;
use serde_json::de::{Read, SliceRead, StrRead};
use serde_json::value::RawValue;

use self::read::{Any, Typed};
use self::text::Text;
use self::version::Version;
use crate::Result;
use crate::event::Payload;

/// Every field of one event's envelope but the data, borrowing from the payload.
///
/// ```json
/// { "eventId": "…", "eventType": "OrderPlaced", "aggregateId": "o-1", "aggregateType": "Order",
///   "timestamp": "2026-03-01T12:30:00Z", "version": 1, "payload": { … },
///   "metadata": { "correlationId": "…", "causationId": "…", "userId": "…", "schemaVersion": 1 } }
/// ```
///
/// Only `eventType` must be there; `data` is another name for `payload`; other fields are ignored. Ids and versions may
/// be numbers or text.
///
/// The accessors of fields that an envelope may lack give an error that names the field, which `?`
/// turns into a rejection of the event; write `.ok()` where a projection can do without.
#[derive(Debug, Default)]
pub struct Envelope<'e> {
    event_id: Option<Text<'e>>,
    event_type: Option<Text<'e>>,
    aggregate_id: Option<Text<'e>>,
    aggregate_type: Option<Text<'e>>,
    timestamp: Option<Text<'e>>,
    version: Option<Version>,
    metadata: Option<&'e RawValue>,
}

/// Where an event came from: the envelope's `metadata`. Every field may be missing.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Metadata<'e> {
    #[serde(borrow)]
    correlation_id: Option<Text<'e>>,
    causation_id: Option<Text<'e>>,
    user_id: Option<Text<'e>>,
    schema_version: Option<Text<'e>>,
}

/// Reads an envelope, and its data whatever its event type.
pub(crate) fn read<'e, D: Deserialize<'e>>(payload: Payload<'e>) -> Result<(Envelope<'e>, D)> {
    let read = read::envelope::<Any<D>>(payload)?;
    let (envelope, data) = read.context("data of any type is of interest")?;
    Ok((envelope, data.0))
}

/// Reads an envelope and its data; `None` when `E` has no variant of that event type.
pub(crate) fn decode<'e, E: Deserialize<'e>>(
    payload: Payload<'e>,
) -> Result<Option<(Envelope<'e>, E)>> {
    let read = read::envelope::<Typed<E>>(payload)?;
    Ok(read.map(|(envelope, data)| (envelope, data.0)))
}

/// Reads data that stands alone; `None` when `E` has no variant of that event type.
pub(crate) fn decode_as<'e, E: Deserialize<'e>>(
    event_type: &str,
    payload: Payload<'e>,
) -> Result<Option<E>> {
    // Of an event without data the sender may send nothing at all.
    if payload.bytes().trim_ascii().is_empty()
        && let Ok(event) = read_as(event_type, StrRead::new("null"))
    {
        return Ok(event);
    }
    match payload {
        Payload::Text(text) => read_as(event_type, StrRead::new(text)),
        Payload::Bytes(bytes) => read_as(event_type, SliceRead::new(bytes)),
    }
}

fn read_as<'e, E: Deserialize<'e>>(event_type: &str, json: impl Read<'e>) -> Result<Option<E>> {
    let mut json = serde_json::Deserializer::new(json);
    let data = variant::read(event_type, &mut json)?;
    if data.is_some() {
        json.end()?;
    }
    Ok(data)
}

impl<'e> Envelope<'e> {
    /// What happened, by name: `OrderPlaced`.
    #[must_use]
    pub fn event_type(&self) -> &str {
        self.event_type.as_deref().unwrap_or_default()
    }

    /// The event's own id.
    ///
    /// # Errors
    ///
    /// When the envelope has no `eventId`.
    pub fn event_id(&self) -> Result<&str> {
        required(self.event_id.as_deref(), "eventId")
    }

    /// The id of the thing it happened to.
    ///
    /// # Errors
    ///
    /// When the envelope has no `aggregateId`.
    pub fn aggregate_id(&self) -> Result<&str> {
        required(self.aggregate_id.as_deref(), "aggregateId")
    }

    /// The kind of thing it happened to: `Order`.
    ///
    /// # Errors
    ///
    /// When the envelope has no `aggregateType`.
    pub fn aggregate_type(&self) -> Result<&str> {
        required(self.aggregate_type.as_deref(), "aggregateType")
    }

    /// When it happened, as the sender wrote it. To compute with it, read it with a crate for dates (`jiff`, `time`, or
    /// `chrono` with `default-features = false`): an offset from UTC may be part of it, so its first ten characters are
    /// not always the day in UTC.
    ///
    /// # Errors
    ///
    /// When the envelope has no `timestamp`.
    pub fn timestamp(&self) -> Result<&str> {
        required(self.timestamp.as_deref(), "timestamp")
    }

    /// The number of the event among those of its aggregate.
    ///
    /// # Errors
    ///
    /// When the envelope has no `version`, or it is no 64-bit integer.
    pub fn version(&self) -> Result<i64> {
        match required(self.version.as_ref(), "version")? {
            Version::Number(number) => Ok(*number),
            Version::Other(found) => Err(anyhow!(
                "`version` of the envelope is {found}, which is no 64-bit integer"
            )),
        }
    }

    /// Where it came from. Read only when asked for.
    ///
    /// # Errors
    ///
    /// When `metadata` is there but is not an object of the expected fields.
    pub fn metadata(&self) -> Result<Metadata<'e>> {
        let Some(metadata) = self.metadata else {
            return Ok(Metadata::default());
        };
        serde_json::from_str(metadata.get()).context("`metadata` of the envelope")
    }
}

impl Metadata<'_> {
    /// What all events of one request share.
    #[must_use]
    pub fn correlation_id(&self) -> Option<&str> {
        self.correlation_id.as_deref()
    }

    /// The event or command that caused this one.
    #[must_use]
    pub fn causation_id(&self) -> Option<&str> {
        self.causation_id.as_deref()
    }

    /// Who did it.
    #[must_use]
    pub fn user_id(&self) -> Option<&str> {
        self.user_id.as_deref()
    }

    /// Which shape the data has, as text also where the sender wrote a number.
    #[must_use]
    pub fn schema_version(&self) -> Option<&str> {
        self.schema_version.as_deref()
    }
}

fn required<T>(field: Option<T>, name: &str) -> Result<T> {
    field.ok_or_else(|| anyhow!("the envelope has no `{name}`"))
}

//! One pass over an envelope. Where `eventType` comes before the data, the data is read straight
//! into the author's type; otherwise it is skipped first and read at the end.

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;

use anyhow::anyhow;
use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor,
};
use serde_json::de::{Read, SliceRead, StrRead};
use serde_json::value::RawValue;

use super::{Envelope, variant};
use crate::Result;
use crate::event::Payload;

/// What the data of an envelope is read as.
pub(super) trait Data<'e>: Sized {
    /// `None` when the type of event is of no interest.
    fn read<D: Deserializer<'e>>(event_type: &str, data: D) -> Result<Option<Self>, D::Error>;
}

/// Any type, whatever the event type.
pub(super) struct Any<D>(pub(super) D);

impl<'e, T: Deserialize<'e>> Data<'e> for Any<T> {
    fn read<D: Deserializer<'e>>(_: &str, data: D) -> Result<Option<Self>, D::Error> {
        T::deserialize(data).map(|data| Some(Any(data)))
    }
}

/// The variant of `E` that the event type names.
pub(super) struct Typed<E>(pub(super) E);

impl<'e, E: Deserialize<'e>> Data<'e> for Typed<E> {
    fn read<D: Deserializer<'e>>(event_type: &str, data: D) -> Result<Option<Self>, D::Error> {
        Ok(variant::read(event_type, data)?.map(Typed))
    }
}

/// Reads a whole payload; `None` when its event type is of no interest.
pub(super) fn envelope<'e, D: Data<'e>>(payload: Payload<'e>) -> Result<Option<(Envelope<'e>, D)>> {
    match payload {
        Payload::Text(text) => read(StrRead::new(text)),
        Payload::Bytes(bytes) => read(SliceRead::new(bytes)),
    }
}

fn read<'e, D: Data<'e>>(json: impl Read<'e>) -> Result<Option<(Envelope<'e>, D)>> {
    let uninteresting = Cell::new(false);
    let mut json = serde_json::Deserializer::new(json);
    let read = json.deserialize_map(EnvelopeVisitor {
        uninteresting: &uninteresting,
        data: PhantomData,
    });
    if uninteresting.get() {
        return Ok(None);
    }
    let (envelope, data): (Envelope<'e>, Found<'e, D>) = read?;
    json.end()?;
    let Some(event_type) = envelope.event_type.as_deref() else {
        return Err(anyhow!(
            "the envelope has no `eventType`; read payloads without an envelope with `event.json()`"
        ));
    };
    let data = match data {
        Found::Read(data) => Some(data),
        Found::Skipped(raw) => D::read(
            event_type,
            &mut serde_json::Deserializer::from_str(raw.get()),
        )?,
    };
    Ok(data.map(|data| (envelope, data)))
}

/// The data of an envelope, read or put aside until the event type is known.
enum Found<'e, D> {
    Read(D),
    Skipped(&'e RawValue),
}

#[derive(serde::Deserialize)]
#[serde(field_identifier, rename_all = "camelCase")]
enum Field {
    EventId,
    EventType,
    AggregateId,
    AggregateType,
    Timestamp,
    Version,
    Metadata,
    #[serde(alias = "data")]
    Payload,
    #[serde(other)]
    Other,
}

struct EnvelopeVisitor<'c, D> {
    uninteresting: &'c Cell<bool>,
    data: PhantomData<D>,
}

impl<'e, D: Data<'e>> Visitor<'e> for EnvelopeVisitor<'_, D> {
    type Value = (Envelope<'e>, Found<'e, D>);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event's envelope, a JSON object with `eventType`")
    }

    fn visit_map<A: MapAccess<'e>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut envelope = Envelope::default();
        let mut data = None;
        while let Some(field) = map.next_key()? {
            match field {
                Field::EventId => envelope.event_id = map.next_value()?,
                Field::EventType => envelope.event_type = map.next_value()?,
                Field::AggregateId => envelope.aggregate_id = map.next_value()?,
                Field::AggregateType => envelope.aggregate_type = map.next_value()?,
                Field::Timestamp => envelope.timestamp = map.next_value()?,
                Field::Version => envelope.version = map.next_value()?,
                Field::Metadata => envelope.metadata = map.next_value()?,
                Field::Payload if data.is_some() => {
                    return Err(A::Error::duplicate_field("payload"));
                }
                Field::Payload => data = Some(self.next_data(&envelope, &mut map)?),
                Field::Other => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok((envelope, data.unwrap_or(Found::Skipped(RawValue::NULL))))
    }
}

impl<D> EnvelopeVisitor<'_, D> {
    fn next_data<'e, A: MapAccess<'e>>(
        &self,
        envelope: &Envelope<'e>,
        map: &mut A,
    ) -> Result<Found<'e, D>, A::Error>
    where
        D: Data<'e>,
    {
        let Some(event_type) = envelope.event_type.as_deref() else {
            return map.next_value().map(Found::Skipped);
        };
        let data = map.next_value_seed(DataSeed {
            event_type,
            data: PhantomData,
        })?;
        data.map(Found::Read).ok_or_else(|| {
            // Nothing more of this payload matters, so the pass ends here.
            self.uninteresting.set(true);
            A::Error::custom("of no interest")
        })
    }
}

/// Carries the event type to where the data is read.
struct DataSeed<'t, D> {
    event_type: &'t str,
    data: PhantomData<D>,
}

impl<'e, D: Data<'e>> DeserializeSeed<'e> for DataSeed<'_, D> {
    type Value = Option<D>;

    fn deserialize<S: Deserializer<'e>>(self, data: S) -> Result<Self::Value, S::Error> {
        D::read(self.event_type, data)
    }
}

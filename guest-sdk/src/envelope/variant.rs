//! An author's plain `enum` read from an event type and JSON data: the type names the variant, the
//! data fills it. No derive beyond serde's is needed, and serde's attributes keep their meaning.

use std::cell::Cell;
use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    self, Deserialize, DeserializeSeed, Deserializer, EnumAccess, Error as _, IgnoredAny,
    IntoDeserializer, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

/// Reads `data` as the variant of `E` named `event_type`, and `None` without reading it when `E`
/// has no such variant.
pub(super) fn read<'de, E, D>(event_type: &str, data: D) -> Result<Option<E>, D::Error>
where
    E: Deserialize<'de>,
    D: Deserializer<'de>,
{
    let unknown = Cell::new(false);
    match E::deserialize(TypedData {
        event_type,
        data,
        unknown: &unknown,
    }) {
        Ok(event) => Ok(Some(event)),
        Err(_) if unknown.get() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Event type and data, offered to serde as an enum. An event type without a variant is noted in
/// `unknown`, because serde's errors cannot be told apart afterwards.
struct TypedData<'t, D> {
    event_type: &'t str,
    data: D,
    unknown: &'t Cell<bool>,
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for TypedData<'_, D> {
    type Error = D::Error;

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        visitor.visit_enum(self)
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, D::Error> {
        Err(D::Error::custom(
            "decode reads a plain enum with one variant per event type, without #[serde(tag)] \
             or #[serde(untagged)]; read one type with `event.json()`",
        ))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

impl<'de, D: Deserializer<'de>> EnumAccess<'de> for TypedData<'_, D> {
    type Error = D::Error;
    type Variant = Data<D>;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Data<D>), D::Error> {
        let event_type: StrDeserializer<'_, NoSuchVariant> = self.event_type.into_deserializer();
        let variant = seed.deserialize(event_type).map_err(|error| {
            self.unknown.set(true);
            D::Error::custom(error)
        })?;
        Ok((variant, Data(self.data)))
    }
}

/// The data of a variant that exists.
struct Data<D>(D);

impl<'de, D: Deserializer<'de>> VariantAccess<'de> for Data<D> {
    type Error = D::Error;

    /// A variant without fields does not care what came with the event.
    fn unit_variant(self) -> Result<(), D::Error> {
        IgnoredAny::deserialize(self.0).map(drop)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, D::Error> {
        seed.deserialize(self.0)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_tuple(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_struct("", fields, visitor)
    }
}

/// The only error there is while a variant's name is looked up; it costs nothing, because streams
/// are full of events a projection does not care about.
#[derive(Debug)]
struct NoSuchVariant;

impl fmt::Display for NoSuchVariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no variant of that name")
    }
}

impl std::error::Error for NoSuchVariant {}

impl de::Error for NoSuchVariant {
    fn custom<T: fmt::Display>(_: T) -> Self {
        NoSuchVariant
    }

    fn unknown_variant(_: &str, _: &'static [&'static str]) -> Self {
        NoSuchVariant
    }
}

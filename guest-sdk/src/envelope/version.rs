//! The number of an event among those of its aggregate, as senders write it.

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// As much of another value as a message shows, in characters.
const LONGEST_VALUE: usize = 100;

/// A number, also written as text. Whatever else stands there is no reason to reject an event as long as nobody asks
/// for its version.
#[derive(Debug)]
pub(super) enum Version {
    Number(i64),
    /// What stands there instead.
    Other(String),
}

impl<'de> Deserialize<'de> for Version {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(VersionVisitor)
    }
}

struct VersionVisitor;

impl<'de> Visitor<'de> for VersionVisitor {
    type Value = Version;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Version, E> {
        Ok(Version::Number(number))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Version, E> {
        Ok(i64::try_from(number)
            .map_or_else(|_| Version::Other(number.to_string()), Version::Number))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Version, E> {
        Ok(Version::Other(number.to_string()))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Version, E> {
        let shown = || format!("{:?}", text.chars().take(LONGEST_VALUE).collect::<String>());
        Ok(text
            .parse()
            .map_or_else(|_| Version::Other(shown()), Version::Number))
    }

    fn visit_bool<E: de::Error>(self, boolean: bool) -> Result<Version, E> {
        Ok(Version::Other(boolean.to_string()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Version, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Version::Other("a list".to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Version, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Version::Other("an object".to_owned()))
    }
}

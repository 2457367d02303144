//! Values that are more than a number or a text.

use std::fmt;
use std::net::SocketAddr;

use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

use crate::event::Sequence;
use crate::source::position::Start;

/// Reads an address to listen at.
pub(super) fn address(text: &str) -> Result<SocketAddr, &'static str> {
    text.parse()
        .map_err(|_| "no address to listen at; write IP:PORT, as in 127.0.0.1:7070 or 0.0.0.0:7070")
}

pub(super) fn listen<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(deserializer)?;
    address(&text).map_err(|reason| Error::custom(format!("listen = {text:?}: {reason}")))
}

/// Reads a [`Start`].
pub(super) fn start<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Start, D::Error> {
    struct AsStart;
    impl Visitor<'_> for AsStart {
        type Value = Start;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("\"beginning\", \"first\" or a sequence from 1 up")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Start, E> {
            match text {
                "beginning" => Ok(Start::Beginning),
                "first" => Ok(Start::First),
                other => Err(E::invalid_value(Unexpected::Str(other), &self)),
            }
        }

        fn visit_i64<E: Error>(self, number: i64) -> Result<Start, E> {
            match Sequence::try_from(number) {
                Ok(sequence @ 1..) => Ok(Start::Sequence(sequence)),
                _ => Err(E::invalid_value(Unexpected::Signed(number), &self)),
            }
        }
    }
    deserializer.deserialize_any(AsStart)
}

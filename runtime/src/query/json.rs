//! Rows as JSON: objects by column name, in the order of the columns.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;

use crate::definition::{Column, ColumnType};
use crate::value::Value;

/// One row, with the columns it was selected with.
pub(super) struct RowObject<'a> {
    pub(super) columns: &'a [&'a Column],
    pub(super) row: &'a [Value],
}

impl Serialize for RowObject<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(Some(self.row.len()))?;
        for (column, value) in self.columns.iter().zip(self.row) {
            object.serialize_entry(&column.name, &Cell(column.ty, value))?;
        }
        object.end()
    }
}

struct Cell<'a>(ColumnType, &'a Value);

impl Serialize for Cell<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.1 {
            Value::Null => serializer.serialize_unit(),
            Value::Boolean(v) => serializer.serialize_bool(*v),
            Value::Integer(v) => serializer.serialize_i64(*v),
            // JSON has no infinities: serde_json writes null for them.
            Value::Real(v) => serializer.serialize_f64(*v),
            Value::Blob(v) => serializer.serialize_str(&STANDARD.encode(v)),
            Value::Text(v) if self.0 == ColumnType::Json => json(v, serializer),
            Value::Text(v) => serializer.serialize_str(v),
        }
    }
}

/// A stored document goes out as it is. What not every reader of JSON takes goes out as text, rather than making the whole
/// answer unreadable: a module can store any text, numbers beyond all bounds, halves of characters, a thousand arrays in
/// each other.
fn json<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    let is_readable = serde_json::from_str::<serde_json::Value>(text).is_ok();
    match serde_json::from_str::<&RawValue>(text) {
        Ok(document) if is_readable => document.serialize(serializer),
        _ => serializer.serialize_str(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_not_every_reader_of_json_takes_goes_out_as_text() {
        let shown = |text: &str| {
            let value = Value::Text(text.into());
            serde_json::to_string(&Cell(ColumnType::Json, &value)).unwrap()
        };
        assert_eq!(shown("{\"a\": [1.50]}"), "{\"a\": [1.50]}");
        for text in ["no json", "1e999", "\"\\ud800\"", &"[".repeat(1_000)] {
            let expected = serde_json::to_string(text).unwrap();
            assert_eq!(shown(text), expected);
        }
    }
}

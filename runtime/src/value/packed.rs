//! Rows and keys packed in one piece, in the bytes that cross the boundary.
//!
//! A row of eight values is one allocation instead of six, is compared and hashed as bytes, and is read value by value
//! where it stands.

use std::cmp::Ordering;
use std::ops::Deref;

use foldline_row::{Field, Fields};

use super::Value;

/// A row or a key whose bytes were checked; equal rows are equal bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packed(Vec<u8>);

impl Packed {
    /// Takes bytes that hold whole values of one row, with no signed zero among them: the caller has looked.
    pub fn checked(row: &[u8]) -> Self {
        Self(row.to_vec())
    }

    /// The bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// Its values, owned.
    pub fn values(&self) -> Vec<Value> {
        fields(self).map(Value::from).collect()
    }
}

/// A real `-0.0` becomes `0.0`, because SQLite keeps no sign of zero: what a guest reads back must not depend
/// on whether a commit lay in between.
impl<T: AsRef<[Value]>> From<T> for Packed {
    fn from(values: T) -> Self {
        let mut row = Vec::new();
        for value in values.as_ref() {
            foldline_row::push(&mut row, without_sign_of_zero(value.into()));
        }
        Self(row)
    }
}

fn without_sign_of_zero(field: Field<'_>) -> Field<'_> {
    match field {
        // The sum of the two zeroes is the positive one; every other number stays what it is.
        Field::Real(real) => Field::Real(real + 0.0),
        other => other,
    }
}

impl Deref for Packed {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

/// The order of two keys: that of their values, one after the other.
pub fn compare(a: &[u8], b: &[u8]) -> Ordering {
    // No real number is part of a key; two that cannot be compared are equal only when their bytes are.
    let ordered = fields(a).partial_cmp(fields(b));
    ordered.unwrap_or_else(|| a.cmp(b))
}

/// Has bytes brought into the processor's cache, without waiting for them.
pub fn fetch(bytes: &[u8]) {
    const CACHE_LINE: usize = 64;
    let touched = bytes
        .iter()
        .step_by(CACHE_LINE)
        .fold(0, |all, byte| all ^ byte);
    std::hint::black_box(touched);
}

/// The values of a row that was checked.
pub fn fields(row: &[u8]) -> impl Iterator<Item = Field<'_>> {
    // Checked bytes have no errors among them.
    Fields::new(row).map_while(Result::ok)
}

impl<'v> From<&'v Value> for Field<'v> {
    fn from(value: &'v Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Boolean(v) => Self::Boolean(*v),
            Value::Integer(v) => Self::Integer(*v),
            Value::Real(v) => Self::Real(*v),
            Value::Text(v) => Self::Text(v.as_bytes()),
            Value::Blob(v) => Self::Blob(v),
        }
    }
}

impl From<Field<'_>> for Value {
    fn from(field: Field<'_>) -> Self {
        match field {
            Field::Null => Self::Null,
            Field::Boolean(v) => Self::Boolean(v),
            Field::Integer(v) => Self::Integer(v),
            Field::Real(v) => Self::Real(v),
            Field::Text(v) => Self::Text(String::from_utf8_lossy(v).into_owned()),
            Field::Blob(v) => Self::Blob(v.to_vec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::Text(text.into())
    }

    #[test]
    fn values_come_back_as_they_were_and_zero_without_its_sign() {
        let values = [
            Value::Null,
            text("ü"),
            Value::Integer(-1),
            Value::Blob(vec![0xff]),
        ];
        assert_eq!(Packed::from(&values).values(), values);
        let zero = Packed::from([Value::Real(-0.0)]);
        assert_eq!(zero, Packed::from([Value::Real(0.0)]));
    }

    #[test]
    fn keys_are_ordered_as_their_values_and_not_as_their_bytes() {
        let mut keys = [
            vec![text("b"), Value::Integer(-1)],
            vec![text("b"), Value::Integer(256)],
            vec![text("aa"), Value::Integer(7)],
            vec![text(""), Value::Integer(7)],
            vec![text("b"), Value::Integer(1)],
        ];
        let mut packed: Vec<_> = keys.iter().map(Packed::from).collect();
        keys.sort();
        packed.sort_by(|a, b| compare(a, b));
        let unpacked: Vec<Vec<_>> = packed.iter().map(Packed::values).collect();
        assert_eq!(unpacked, keys);
    }
}

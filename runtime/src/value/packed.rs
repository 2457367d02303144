//! Rows and keys as they are kept in memory: packed in one piece, in the bytes that cross the boundary.
//!
//! A row of eight values is one allocation instead of six, is compared and hashed as bytes, and goes to the
//! guest and to the store without being made over.

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::ops::Deref;
use std::sync::Arc;

use foldline_row::{Field, Fields};
use smallvec::SmallVec;

use super::Value;

/// A key of so many bytes needs no memory of its own: the text of a UUID does not, nor do two short texts.
const KEY_BYTES_IN_PLACE: usize = 48;

/// A row or a key whose bytes were checked. Cheap to clone; equal rows are equal bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Packed(Arc<[u8]>);

impl Packed {
    /// Takes bytes that hold whole values of one row, with no signed zero among them: the caller has looked.
    pub fn checked(row: &[u8]) -> Self {
        Self(row.into())
    }

    /// The bytes, for the guest.
    pub fn into_bytes(self) -> Arc<[u8]> {
        self.0
    }

    /// Has the bytes brought into the processor's cache, without waiting for them.
    pub fn fetch(&self) {
        const CACHE_LINE: usize = 64;
        let touched = self
            .iter()
            .step_by(CACHE_LINE)
            .fold(0, |all, byte| all ^ byte);
        std::hint::black_box(touched);
    }

    /// Its values, one by one.
    pub fn fields(&self) -> impl Iterator<Item = Field<'_>> {
        fields(self)
    }

    /// Its values, owned.
    pub fn values(&self) -> Vec<Value> {
        self.fields().map(Value::from).collect()
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
        Self(row.into())
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

impl Borrow<[u8]> for Packed {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

/// A key that is kept beside others: a short one stands in place, because following a pointer to each key that is
/// looked up or sorted costs more than the comparison.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PackedKey(SmallVec<[u8; KEY_BYTES_IN_PLACE]>);

impl PackedKey {
    /// Takes bytes that hold whole values of one key: the caller has looked.
    pub fn checked(key: &[u8]) -> Self {
        Self(key.into())
    }

    /// Bytes of memory that it takes beside itself.
    pub fn heap_bytes(key: &[u8]) -> usize {
        match key.len() <= KEY_BYTES_IN_PLACE {
            true => 0,
            false => key.len(),
        }
    }
}

impl<T: AsRef<[Value]>> From<T> for PackedKey {
    fn from(values: T) -> Self {
        Self::checked(&Packed::from(values))
    }
}

impl Deref for PackedKey {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Borrow<[u8]> for PackedKey {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

/// As the values compare, one after the other.
impl Ord for PackedKey {
    fn cmp(&self, other: &Self) -> Ordering {
        // No real number is part of a key; two that cannot be compared are equal only when their bytes are.
        let ordered = fields(self).partial_cmp(fields(other));
        ordered.unwrap_or_else(|| self.0.cmp(&other.0))
    }
}

impl PartialOrd for PackedKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
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
        let mut packed: Vec<_> = keys.iter().map(PackedKey::from).collect();
        keys.sort();
        packed.sort();
        let values = |key: &PackedKey| fields(key).map(Value::from).collect();
        let unpacked: Vec<Vec<_>> = packed.iter().map(values).collect();
        assert_eq!(unpacked, keys);
    }
}

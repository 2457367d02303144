//! Which Rust types a column can hold, and how they travel.

use std::borrow::Cow;

use crate::definition::ColumnType;
use crate::value::Value;

/// A type that can be a column of a [`Table`](crate::Table) as it is.
///
/// Implemented for `bool`, `i8` to `i64`, `u8` to `u32`, `f32`, `f64`, `String`, `Vec<u8>`,
/// [`serde_json::Value`], and `Option` of these for a column that may be null. Everything else that
/// serde can serialize becomes a JSON column with `#[json]` above the field.
///
/// Implement it for a type of your own to give it a column type of its own:
///
/// ```
/// use foldline_sdk::{ColumnType, ColumnValue, Value};
///
/// #[derive(Debug, PartialEq)]
/// struct Cents(i64);
///
/// impl ColumnValue for Cents {
///     const TYPE: ColumnType = ColumnType::Integer;
///
///     fn to_value(&self) -> Value<'_> {
///         Value::Integer(self.0)
///     }
///
///     fn from_value(value: Value<'static>) -> Result<Self, Value<'static>> {
///         i64::from_value(value).map(Cents)
///     }
/// }
/// # assert_eq!(Cents::from_value(Cents(7).to_value().into_owned()), Ok(Cents(7)));
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a column as it is",
    label = "not a column type",
    note = "columns hold bool, i8 to i64, u8 to u32, f32, f64, String, Vec<u8>, serde_json::Value, and Option of these",
    note = "write `#[json]` above the field to store any serde type as a JSON column"
)]
pub trait ColumnValue: Sized {
    /// What the column holds.
    const TYPE: ColumnType;
    /// Whether the column may be null. Only `Option` says so.
    const NULLABLE: bool = false;

    /// The value to store.
    fn to_value(&self) -> Value<'_>;

    /// Takes a stored value back.
    ///
    /// # Errors
    ///
    /// Gives the value back when it is not one of this type, or out of its range.
    fn from_value(value: Value<'static>) -> Result<Self, Value<'static>>;

    /// Takes a stored value back in the place of this one. Text and blobs use its memory again; there is no need to write
    /// this for a type of your own. It is not called `replace`, as a method of `str` is.
    ///
    /// # Errors
    ///
    /// As [`from_value`](Self::from_value); then this one may stay as it was.
    fn replace_value(&mut self, value: Value<'_>) -> Result<(), Value<'static>> {
        *self = Self::from_value(value.into_owned())?;
        Ok(())
    }
}

/// A type that can be part of a primary key: `bool`, integers, `String` and `Vec<u8>`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be part of a key",
    label = "not a key type",
    note = "keys hold bool, integers, String or Vec<u8>: the equality of reals and of JSON is a trap, and a key is never null",
    note = "put `#[key]` on another field, or store a String or an integer instead"
)]
pub trait KeyValue: ColumnValue {}

/// A type that can be part of an index: what a key can hold, or an `Option` of it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be part of an index",
    label = "not an index type",
    note = "indexes hold bool, integers, String, Vec<u8>, or Option of these: the equality of reals and of JSON is a trap",
    note = "remove the index, or store a String or an integer instead"
)]
pub trait IndexValue: ColumnValue {
    /// What to look for: the type itself, without `Option`.
    type Sought: KeyValue;
}

macro_rules! integer_columns {
    ($($integer:ty),*) => {$(
        #[diagnostic::do_not_recommend]
        impl ColumnValue for $integer {
            const TYPE: ColumnType = ColumnType::Integer;

            fn to_value(&self) -> Value<'_> {
                Value::Integer(i64::from(*self))
            }

            fn from_value(value: Value<'static>) -> Result<Self, Value<'static>> {
                match value {
                    Value::Integer(integer) => Self::try_from(integer).map_err(|_| value),
                    other => Err(other),
                }
            }
        }
    )*};
}

macro_rules! key_columns {
    ($($key:ty),*) => {$(
        #[diagnostic::do_not_recommend]
        impl KeyValue for $key {}

        #[diagnostic::do_not_recommend]
        impl IndexValue for $key {
            type Sought = Self;
        }
    )*};
}

#[diagnostic::do_not_recommend]
impl<K: KeyValue> IndexValue for Option<K> {
    type Sought = K;
}

integer_columns!(i8, i16, i32, i64, u8, u16, u32);
key_columns!(bool, i8, i16, i32, i64, u8, u16, u32, String, Vec<u8>);

#[diagnostic::do_not_recommend]
impl ColumnValue for bool {
    const TYPE: ColumnType = ColumnType::Boolean;

    fn to_value(&self) -> Value<'_> {
        Value::Boolean(*self)
    }

    fn from_value(value: Value<'static>) -> Result<Self, Value<'static>> {
        match value {
            Value::Boolean(boolean) => Ok(boolean),
            other => Err(other),
        }
    }
}

#[diagnostic::do_not_recommend]
impl ColumnValue for f64 {
    const TYPE: ColumnType = ColumnType::Real;

    fn to_value(&self) -> Value<'_> {
        Value::Real(*self)
    }

    fn from_value(value: Value<'static>) -> Result<Self, Value<'static>> {
        match value {
            Value::Real(real) => Ok(real),
            other => Err(other),
        }
    }
}

#[diagnostic::do_not_recommend]
impl ColumnValue for f32 {
    const TYPE: ColumnType = ColumnType::Real;

    fn to_value(&self) -> Value<'_> {
        Value::Real(f64::from(*self))
    }

    #[allow(
        clippy::cast_possible_truncation,
        reason = "the stored value was an f32 once"
    )]
    fn from_value(value: Value<'static>) -> Result<Self, Value<'static>> {
        f64::from_value(value).map(|real| real as f32)
    }
}

#[diagnostic::do_not_recommend]
impl ColumnValue for String {
    const TYPE: ColumnType = ColumnType::Text;

    fn to_value(&self) -> Value<'_> {
        Value::Text(Cow::Borrowed(self))
    }

    fn from_value(value: Value<'static>) -> Result<Self, Value<'static>> {
        match value {
            Value::Text(text) => Ok(text.into_owned()),
            other => Err(other),
        }
    }

    fn replace_value(&mut self, value: Value<'_>) -> Result<(), Value<'static>> {
        match value {
            Value::Text(text) => text.as_ref().clone_into(self),
            other => return Err(other.into_owned()),
        }
        Ok(())
    }
}

#[diagnostic::do_not_recommend]
impl ColumnValue for Vec<u8> {
    const TYPE: ColumnType = ColumnType::Blob;

    fn to_value(&self) -> Value<'_> {
        Value::Blob(Cow::Borrowed(self))
    }

    fn from_value(value: Value<'static>) -> Result<Self, Value<'static>> {
        match value {
            Value::Blob(bytes) => Ok(bytes.into_owned()),
            other => Err(other),
        }
    }

    fn replace_value(&mut self, value: Value<'_>) -> Result<(), Value<'static>> {
        match value {
            Value::Blob(bytes) => bytes.as_ref().clone_into(self),
            other => return Err(other.into_owned()),
        }
        Ok(())
    }
}

#[diagnostic::do_not_recommend]
impl ColumnValue for serde_json::Value {
    const TYPE: ColumnType = ColumnType::Json;

    fn to_value(&self) -> Value<'_> {
        Value::Text(Cow::Owned(self.to_string()))
    }

    fn from_value(value: Value<'static>) -> Result<Self, Value<'static>> {
        match &value {
            Value::Text(text) => serde_json::from_str(text).map_err(|_| value),
            _ => Err(value),
        }
    }
}

#[diagnostic::do_not_recommend]
impl<T: ColumnValue> ColumnValue for Option<T> {
    const TYPE: ColumnType = T::TYPE;
    const NULLABLE: bool = {
        assert!(!T::NULLABLE, "a column is null or not: write Option once");
        true
    };

    fn to_value(&self) -> Value<'_> {
        self.as_ref().map_or(Value::Null, T::to_value)
    }

    fn from_value(value: Value<'static>) -> Result<Self, Value<'static>> {
        match value {
            Value::Null => Ok(None),
            other => T::from_value(other).map(Some),
        }
    }

    fn replace_value(&mut self, value: Value<'_>) -> Result<(), Value<'static>> {
        match (self, value) {
            (this, Value::Null) => *this = None,
            (Some(inner), value) => inner.replace_value(value)?,
            (this, value) => *this = Self::from_value(value.into_owned())?,
        }
        Ok(())
    }
}

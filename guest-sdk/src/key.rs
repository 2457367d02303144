//! How a primary key or the columns of an index are written down: `"o-1"`, `&id`, `("o-1", 3)`.

use std::borrow::Cow;

use crate::column::KeyValue;
use crate::value::Value;

/// A value to look for in a key or index column of type `C`: the type itself, a reference to it,
/// and for text also `&str`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be looked for in a column of type `{C}`",
    label = "expected `{C}` or a reference to it",
    note = "text columns also take `&str`, blob columns `&[u8]`"
)]
pub trait KeyPart<C> {
    /// The value, borrowing what it can.
    fn into_value<'k>(self) -> Value<'k>
    where
        Self: 'k;
}

/// The whole primary key of a table, `K` being its columns: one value, or a tuple of as many values
/// as there are key columns, in the order of the fields.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a key of this table",
    label = "expected the key columns `{K}`",
    note = "a key of one column is written as one value, a key of several as a tuple in the order of the fields"
)]
pub trait Key<K> {
    /// The values in the order of the key columns.
    fn into_values<'k>(self) -> impl AsRef<[Value<'k>]>
    where
        Self: 'k;
}

/// A stored value that borrows from `key`. It goes out, so it never has to own what it points to.
fn borrowed<C: KeyValue>(key: &C) -> Value<'_> {
    key.to_value()
}

#[diagnostic::do_not_recommend]
impl<C: KeyValue> KeyPart<C> for &C {
    fn into_value<'k>(self) -> Value<'k>
    where
        Self: 'k,
    {
        borrowed(self)
    }
}

#[diagnostic::do_not_recommend]
impl<C: KeyValue> KeyPart<C> for C {
    fn into_value<'k>(self) -> Value<'k>
    where
        Self: 'k,
    {
        self.to_value().into_owned()
    }
}

#[diagnostic::do_not_recommend]
impl KeyPart<String> for &str {
    fn into_value<'k>(self) -> Value<'k>
    where
        Self: 'k,
    {
        Value::Text(Cow::Borrowed(self))
    }
}

#[diagnostic::do_not_recommend]
impl KeyPart<String> for &Cow<'_, str> {
    fn into_value<'k>(self) -> Value<'k>
    where
        Self: 'k,
    {
        Value::Text(Cow::Borrowed(self))
    }
}

#[diagnostic::do_not_recommend]
impl KeyPart<Vec<u8>> for &[u8] {
    fn into_value<'k>(self) -> Value<'k>
    where
        Self: 'k,
    {
        Value::Blob(Cow::Borrowed(self))
    }
}

#[diagnostic::do_not_recommend]
impl<A, QA: KeyPart<A>> Key<(A,)> for QA {
    fn into_values<'k>(self) -> impl AsRef<[Value<'k>]>
    where
        Self: 'k,
    {
        [self.into_value()]
    }
}

macro_rules! composite_keys {
    ($(($($column:ident $part:ident),+))*) => {$(
        #[diagnostic::do_not_recommend]
        impl<$($column,)+ $($part: KeyPart<$column>),+> Key<($($column,)+)> for ($($part,)+) {
            #[allow(non_snake_case, reason = "one name per part, for its type and its value")]
            fn into_values<'k>(self) -> impl AsRef<[Value<'k>]>
            where
                Self: 'k,
            {
                let ($($part,)+) = self;
                [$($part.into_value()),+]
            }
        }
    )*};
}

composite_keys! {
    (A QA, B QB)
    (A QA, B QB, C QC)
    (A QA, B QB, C QC, D QD)
    (A QA, B QB, C QC, D QD, E QE)
    (A QA, B QB, C QC, D QD, E QE, F QF)
}

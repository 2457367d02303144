//! What the code of `#[derive(Table)]` calls to put a row together and to take it apart.

use std::borrow::Cow;

use anyhow::{Context, anyhow, ensure};
use foldline_row::{Field, Fields, Malformed};
use serde::de::DeserializeOwned;

use crate::Result;
use crate::column::ColumnValue;
use crate::definition::TableDefinition;
use crate::table::Table;
use crate::value::Value;

mod pack;

pub use pack::Packer;
pub(crate) use pack::pack;

/// As much of a value as a message shows, in characters.
const LONGEST_VALUE: usize = 100;

/// The values of a stored row.
///
/// # Errors
///
/// When the bytes are no row.
pub(crate) fn values(row: &[u8]) -> Result<Vec<Value<'static>>> {
    let value = |field| value(field).map(Value::into_owned);
    Fields::new(row).map(value).collect()
}

/// Whether the columns of `row` at `positions` are those of `key`, one after the other.
pub(crate) fn has_key(row: &[u8], positions: &[u32], mut key: &[u8]) -> bool {
    for &position in positions {
        let mut fields = Fields::new(row);
        fields.by_ref().take(position as usize).for_each(drop);
        let start = fields.position();
        fields.next();
        match key.strip_prefix(&row[start..fields.position()]) {
            Some(rest) => key = rest,
            None => return false,
        }
    }
    key.is_empty()
}

fn value(field: Result<Field<'_>, Malformed>) -> Result<Value<'_>> {
    Ok(match field.context("these bytes are no row")? {
        Field::Null => Value::Null,
        Field::Boolean(boolean) => Value::Boolean(boolean),
        Field::Integer(integer) => Value::Integer(integer),
        Field::Real(real) => Value::Real(real),
        Field::Text(text) => {
            let text = std::str::from_utf8(text).context("these bytes are no row")?;
            Value::Text(Cow::Borrowed(text))
        }
        Field::Blob(bytes) => Value::Blob(Cow::Borrowed(bytes)),
    })
}

/// A stored row as its struct.
///
/// # Errors
///
/// When it does not fit.
pub(crate) fn read<T: Table>(row: Vec<u8>) -> Result<T> {
    unpack::<T, T>(row, T::unpack)
}

/// The same into a row that is not needed any more, whose memory is used again.
///
/// # Errors
///
/// When it does not fit. Then `old` is neither the one nor the other.
pub(crate) fn read_into<T: Table>(row: Vec<u8>, old: &mut T) -> Result<()> {
    unpack::<T, ()>(row, |columns| old.unpack_into(columns))
}

fn unpack<T: Table, R>(row: Vec<u8>, unpack: impl FnOnce(&mut Columns) -> Result<R>) -> Result<R> {
    let mut columns = Columns::new::<T>(row);
    let read = unpack(&mut columns);
    if read.is_err() || !columns.are_used_up() {
        // Of a row that was made for another table, its width says more than the first value that does not fit.
        columns.check_width()?;
    }
    read
}

/// The columns of a stored row, taken one by one.
#[derive(Debug)]
pub struct Columns {
    table: &'static TableDefinition,
    /// How many were taken.
    taken: usize,
    row: Vec<u8>,
    /// Where the next one begins.
    next: usize,
}

impl Columns {
    /// Stands before the first column.
    fn new<T: Table>(row: Vec<u8>) -> Self {
        Columns {
            table: const { &T::DEFINITION },
            taken: 0,
            row,
            next: 0,
        }
    }

    fn are_used_up(&self) -> bool {
        self.taken == self.table.columns.len() && self.next == self.row.len()
    }

    fn check_width(&self) -> Result<()> {
        let (name, expected) = (self.table.name, self.table.columns.len());
        let found = Fields::new(&self.row).count();
        ensure!(
            found == expected,
            "table `{name}` has {expected} columns, but a stored row has {found} values"
        );
        Ok(())
    }

    /// The next column's value as the type of its field.
    ///
    /// # Errors
    ///
    /// When the value is not one of that type, or out of its range.
    #[allow(clippy::should_implement_trait, reason = "every call has another type")]
    pub fn next<C: ColumnValue>(&mut self) -> Result<C> {
        let value = self.take().into_owned();
        C::from_value(value).map_err(|value| self.misfit(&value, std::any::type_name::<C>()))
    }

    /// Hands the next column's value to `replace`, which puts it into a field of type `C`.
    ///
    /// # Errors
    ///
    /// As [`next`](Self::next): when `replace` gives it back.
    pub fn next_into<C>(
        &mut self,
        replace: impl FnOnce(Value<'_>) -> Result<(), Value<'static>>,
    ) -> Result<()> {
        replace(self.take()).map_err(|value| self.misfit(&value, std::any::type_name::<C>()))
    }

    /// The next column's document as the type of its field.
    ///
    /// # Errors
    ///
    /// When the value is no JSON document of that type.
    pub fn next_json<C: DeserializeOwned>(&mut self) -> Result<C> {
        self.next_json_or_null()?
            .ok_or_else(|| self.misfit(&Value::Null, "a JSON document"))
    }

    /// The same for a field that may be null.
    ///
    /// # Errors
    ///
    /// When the value is neither null nor a JSON document of that type.
    pub fn next_json_or_null<C: DeserializeOwned>(&mut self) -> Result<Option<C>> {
        let value = self.take().into_owned();
        let document = match &value {
            Value::Null => return Ok(None),
            Value::Text(document) => document,
            _ => return Err(self.misfit(&value, "a JSON document")),
        };
        let read = serde_json::from_str(document);
        read.map(Some)
            .with_context(|| self.misfit(&value, std::any::type_name::<C>()).to_string())
    }

    fn take(&mut self) -> Value<'_> {
        let mut rest = Fields::new(&self.row[self.next..]);
        let Some(field) = rest.next() else {
            // There are fewer values than columns, and `are_used_up` will say so.
            return Value::Null;
        };
        self.taken += 1;
        self.next += rest.position();
        match value(field) {
            Ok(value) => value,
            // Then nothing that the host says can be relied on, so no projection may go on with it.
            Err(error) => panic!("the host sent a row that is none: {error:#}"),
        }
    }

    /// Says which stored value does not fit the field it was read into. Seen after a row type
    /// changed while the projection's version did not.
    fn misfit(&self, value: &Value<'_>, field: &str) -> anyhow::Error {
        let column = self.table.columns[self.taken.saturating_sub(1)].name;
        let (table, kind) = (self.table.name, value.kind());
        let value: String = value.to_string().chars().take(LONGEST_VALUE).collect();
        anyhow!(
            "column `{column}` of table `{table}` holds {kind} ({value}), which is not a valid \
             {field}; raise the projection's version when the meaning of a column changes"
        )
    }
}

/// Whether two tables have different names.
#[must_use]
pub const fn distinct<A: Table, B: Table>() -> bool {
    let (a, b) = (A::DEFINITION.name.as_bytes(), B::DEFINITION.name.as_bytes());
    let mut position = 0;
    while position < a.len() && position < b.len() {
        if a[position] != b[position] {
            return true;
        }
        position += 1;
    }
    a.len() != b.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_in_its_row_wherever_its_columns_stand() {
        let packed = |values: &[Value<'_>]| {
            let mut row = Vec::new();
            pack(values, &mut row);
            row
        };
        let [a, b] = ["a", "b"].map(|text| Value::Text(Cow::Borrowed(text)));
        let row = packed(&[a.clone(), Value::Integer(7), b.clone()]);
        assert!(has_key(&row, &[0], &packed(std::slice::from_ref(&a))));
        assert!(has_key(&row, &[2, 0], &packed(&[b.clone(), a.clone()])));
        assert!(!has_key(&row, &[0], &packed(std::slice::from_ref(&b))));
        assert!(!has_key(&row, &[0], &packed(&[a.clone(), b.clone()])));
        assert!(!has_key(&row, &[0, 2], &packed(&[a])));
    }

    #[test]
    fn bytes_that_are_no_row_are_an_error() {
        assert!(values(&[9]).is_err());
        assert!(values(&[5, 1, 0, 0, 0, 0xff]).is_err());
    }
}

//! What the code of `#[derive(Table)]` calls to put a row together and to take it apart.

use std::borrow::Cow;

use anyhow::{Context, anyhow, ensure};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Result;
use crate::column::ColumnValue;
use crate::definition::TableDefinition;
use crate::table::Table;
use crate::value::Value;

/// As much of a value as a message shows, in characters.
const LONGEST_VALUE: usize = 100;

/// A real column's value; SQL has no NaN and JSON no infinity, so neither is stored.
///
/// # Errors
///
/// When a number is not finite.
pub fn checked<'a, T: Table>(value: Value<'a>, column: &str) -> Result<Value<'a>> {
    if let Value::Real(real) = value {
        let table = T::DEFINITION.name;
        ensure!(
            real.is_finite(),
            "column `{column}` of table `{table}` cannot hold {real}: reals are finite numbers"
        );
    }
    Ok(value)
}

/// A field as the document of a JSON column.
///
/// # Errors
///
/// When the field cannot be written as JSON.
pub fn json<T: Table>(field: &impl Serialize, column: &str) -> Result<Value<'static>> {
    let document = serde_json::to_string(field).with_context(|| {
        format!(
            "column `{column}` of table `{}` cannot be written as JSON",
            T::DEFINITION.name
        )
    })?;
    Ok(Value::Text(Cow::Owned(document)))
}

/// The same for a field that may be null.
///
/// # Errors
///
/// When the field cannot be written as JSON.
pub fn json_or_null<T: Table>(
    field: Option<&impl Serialize>,
    column: &str,
) -> Result<Value<'static>> {
    field.map_or(Ok(Value::Null), |field| json::<T>(field, column))
}

/// The stored values of a row, taken column by column.
#[derive(Debug)]
pub struct Columns {
    table: TableDefinition,
    position: usize,
    values: std::vec::IntoIter<Value<'static>>,
}

impl Columns {
    /// Stands before the first column.
    ///
    /// # Errors
    ///
    /// When there are more or fewer values than columns.
    pub fn new<T: Table>(values: Vec<Value<'static>>) -> Result<Self> {
        let table = T::DEFINITION;
        let (name, expected, found) = (table.name, table.columns.len(), values.len());
        ensure!(
            found == expected,
            "table `{name}` has {expected} columns, but a stored row has {found} values"
        );
        Ok(Columns {
            table,
            position: 0,
            values: values.into_iter(),
        })
    }

    /// The next column's value as the type of its field.
    ///
    /// # Errors
    ///
    /// When the value is not one of that type, or out of its range.
    #[allow(clippy::should_implement_trait, reason = "every call has another type")]
    pub fn next<C: ColumnValue>(&mut self) -> Result<C> {
        let value = self.take();
        C::from_value(value).map_err(|value| self.misfit(&value, std::any::type_name::<C>()))
    }

    /// The next column's document as the type of its field.
    ///
    /// # Errors
    ///
    /// When the value is no JSON document of that type.
    pub fn next_json<C: DeserializeOwned>(&mut self) -> Result<C> {
        let value = self.take();
        let Value::Text(document) = &value else {
            return Err(self.misfit(&value, "a JSON document"));
        };
        serde_json::from_str(document)
            .with_context(|| self.misfit(&value, std::any::type_name::<C>()).to_string())
    }

    /// The same for a field that may be null.
    ///
    /// # Errors
    ///
    /// When the value is neither null nor a JSON document of that type.
    pub fn next_json_or_null<C: DeserializeOwned>(&mut self) -> Result<Option<C>> {
        if matches!(self.values.as_slice().first(), Some(Value::Null)) {
            self.take();
            return Ok(None);
        }
        self.next_json().map(Some)
    }

    fn take(&mut self) -> Value<'static> {
        self.position += 1;
        self.values.next().unwrap_or(Value::Null)
    }

    /// Says which stored value does not fit the field it was read into. Seen after a row type
    /// changed while the projection's version did not.
    fn misfit(&self, value: &Value<'_>, field: &str) -> anyhow::Error {
        let column = self.table.columns[self.position - 1].name;
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

//! Rows and keys on their way out, packed as the contract has them.

use anyhow::{Context, ensure};
use foldline_row::Field;
use serde::Serialize;

use crate::Result;
use crate::table::Table;
use crate::value::Value;

/// A row whose columns are appended one by one.
#[derive(Debug)]
pub struct Packer<'b> {
    row: &'b mut Vec<u8>,
}

impl<'b> Packer<'b> {
    /// Packs into `row` instead of what is there.
    pub(crate) fn new(row: &'b mut Vec<u8>) -> Self {
        row.clear();
        Packer { row }
    }

    /// Appends a column; SQL has no NaN and JSON no infinity, so neither is stored.
    ///
    /// # Errors
    ///
    /// When a number is not finite.
    pub fn value<T: Table>(&mut self, value: &Value<'_>, column: &str) -> Result<()> {
        if let Value::Real(real) = value {
            let table = T::DEFINITION.name;
            ensure!(
                real.is_finite(),
                "column `{column}` of table `{table}` cannot hold {real}: reals are finite numbers"
            );
        }
        foldline_row::push(self.row, value.into());
        Ok(())
    }

    /// Appends a field as the document of a JSON column, the members of objects sorted by name: a `HashMap` has another
    /// order each time, and the same events must give the same bytes.
    ///
    /// # Errors
    ///
    /// When the field cannot be written as JSON.
    pub fn json<T: Table>(&mut self, field: &impl Serialize, column: &str) -> Result<()> {
        let mut document = serde_json::to_value(field).with_context(|| {
            format!(
                "column `{column}` of table `{}` cannot be written as JSON",
                T::DEFINITION.name
            )
        })?;
        // Where a crate of the author's has switched on serde_json's `preserve_order`.
        document.sort_all_objects();
        foldline_row::push(self.row, Field::Text(document.to_string().as_bytes()));
        Ok(())
    }

    /// The same for a field that may be null.
    ///
    /// # Errors
    ///
    /// When the field cannot be written as JSON.
    pub fn json_or_null<T: Table>(
        &mut self,
        field: Option<&impl Serialize>,
        column: &str,
    ) -> Result<()> {
        match field {
            Some(field) => self.json::<T>(field, column),
            None => {
                foldline_row::push(self.row, Field::Null);
                Ok(())
            }
        }
    }
}

/// Packs the values of a row or a key into `row` instead of what is there.
pub(crate) fn pack(values: &[Value<'_>], row: &mut Vec<u8>) {
    row.clear();
    for value in values {
        foldline_row::push(row, value.into());
    }
}

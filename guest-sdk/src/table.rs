//! A row type and the table it belongs to.

use std::fmt;
use std::marker::PhantomData;

use crate::Result;
use crate::definition::TableDefinition;
use crate::row::{self, Columns, Packer};
use crate::value::Value;

/// A struct whose values are rows of one table. Write `#[derive(Table)]`, never this by hand.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a table",
    label = "not a row type",
    note = "write `#[derive(Table)]` above the struct and `#[key]` above its key field"
)]
pub trait Table: Sized + 'static {
    /// Name, columns, key and indexes.
    const DEFINITION: TableDefinition;

    /// The types of the key columns, as a tuple.
    type Key;

    /// Appends the row's columns to what goes to the read model.
    ///
    /// # Errors
    ///
    /// When a column cannot be stored; the text names table and column.
    #[doc(hidden)]
    fn pack(&self, row: &mut Packer<'_>) -> Result<()>;

    /// Builds the row from what comes from the read model.
    ///
    /// # Errors
    ///
    /// When a value does not fit its field; the text names table and column.
    #[doc(hidden)]
    fn unpack(columns: &mut Columns) -> Result<Self>;

    /// The same into a row that is not needed any more, whose memory is used again. After an error it is neither the one
    /// nor the other.
    ///
    /// # Errors
    ///
    /// As [`unpack`](Self::unpack).
    #[doc(hidden)]
    fn unpack_into(&mut self, columns: &mut Columns) -> Result<()>;

    /// The row's values in the order of the columns.
    ///
    /// # Errors
    ///
    /// When a column cannot be stored; the text names table and column.
    fn to_values(&self) -> Result<impl AsRef<[Value<'_>]>> {
        let mut packed = Vec::new();
        self.pack(&mut Packer::new(&mut packed))?;
        row::values(&packed)
    }

    /// Builds the row from its values.
    ///
    /// # Errors
    ///
    /// When a value does not fit its field; the text names table and column.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "values that became a row are not needed any more"
    )]
    fn from_values(values: Vec<Value<'static>>) -> Result<Self> {
        let mut packed = Vec::new();
        row::pack(&values, &mut packed);
        row::read(packed)
    }
}

/// A table that the projection lists, and its number there. `#[projection]` writes this.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a table of this projection",
    label = "not listed",
    note = "add it to the projection: `#[projection(..., tables = [..., {Self}])]`"
)]
pub trait Listed: Table {
    /// The table's position in the projection's definition.
    const NUMBER: u32;
}

/// What [`ReadModel::find`](crate::ReadModel::find) looks for: an index of `T` and the values of
/// its columns. The derive writes one function per index that makes it,
/// `Order::by_customer_id("c-1")`.
pub struct Find<'k, T> {
    pub(crate) index: u32,
    pub(crate) key: Vec<Value<'k>>,
    table: PhantomData<fn() -> T>,
}

impl<'k, T> Find<'k, T> {
    #[doc(hidden)]
    #[must_use]
    pub fn new(index: u32, key: Vec<Value<'k>>) -> Self {
        Find {
            index,
            key,
            table: PhantomData,
        }
    }
}

impl<T> fmt::Debug for Find<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Find")
            .field("index", &self.index)
            .field("key", &self.key)
            .finish()
    }
}

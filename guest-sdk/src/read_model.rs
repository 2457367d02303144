//! The read model as a projection sees it: tables of typed rows.

use std::any::Any;
use std::cell::Cell;
use std::fmt;

use anyhow::ensure;

use crate::Result;
use crate::key::Key;
use crate::row::{self, Packer};
use crate::table::{Find, Listed};
use crate::value::Value;

/// The projection's own tables, as of the events before the one being projected. Changes are
/// visible at once, and committed together with the checkpoint after the whole batch, or not at
/// all.
///
/// A key is written as plain values: `"o-1"`, `&order_id`, `7`, or a tuple `("o-1", 7)` for a table
/// with several `#[key]` fields.
pub struct ReadModel {
    tables: Box<dyn Tables>,
    /// The key and the row that were sent last, kept for their memory.
    key: Cell<Vec<u8>>,
    row: Vec<u8>,
    /// The row of each table that was changed last, kept for its memory, too; by the table's number.
    changed: Vec<Option<Box<dyn Any>>>,
}

/// What stands behind a [`ReadModel`]: the host, or the memory of the test kit. Both follow the
/// contract in `wit/projection.wit`, and rows and keys are packed as it says.
pub(crate) trait Tables {
    fn get(&self, table: u32, key: &[u8]) -> Option<Vec<u8>>;
    fn find(&self, table: u32, index: u32, key: &[u8], limit: u32) -> Vec<Vec<u8>>;
    fn put(&mut self, table: u32, row: &[u8]);
    fn delete(&mut self, table: u32, key: &[u8]);
}

impl ReadModel {
    pub(crate) fn new(tables: impl Tables + 'static) -> Self {
        ReadModel {
            tables: Box::new(tables),
            key: Cell::default(),
            row: Vec::new(),
            changed: Vec::new(),
        }
    }

    /// The row with this key, if there is one.
    ///
    /// # Errors
    ///
    /// When the stored row does not fit the struct.
    pub fn get<T: Listed>(&self, key: impl Key<T::Key>) -> Result<Option<T>> {
        let key = self.packed(key.into_values().as_ref());
        let row = self.tables.get(T::NUMBER, &key);
        self.key.set(key);
        row.map(row::read).transpose()
    }

    /// Rows of one index value, in the order of the primary key, at most `limit` of them, and at most as many as
    /// the host's `[limits] find_rows` says: 1,000 unless it was changed. The host's log warns when that left rows out.
    /// To go through more of them, change or delete what was found, so that it is not found again, until nothing is.
    ///
    /// ```
    /// # use foldline_sdk::{Event, ReadModel, Result, Table, projection};
    /// # #[derive(Table)]
    /// # struct Order { #[key] order_id: String, #[index] customer_id: String, status: String, items: i64 }
    /// # #[projection(name = "orders", version = 1, subjects = [">"], tables = [Order])]
    /// # fn orders(event: &Event, rows: &mut ReadModel) -> Result<()> {
    /// let orders = rows.find(Order::by_customer_id("c-1"), 100)?;
    /// # let _: Vec<Order> = orders;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// When a stored row does not fit the struct.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "reads as one sentence, and a search is used once"
    )]
    pub fn find<T: Listed>(&self, search: Find<'_, T>, limit: u32) -> Result<Vec<T>> {
        let key = self.packed(&search.key);
        let rows = self.tables.find(T::NUMBER, search.index, &key, limit);
        self.key.set(key);
        rows.into_iter().map(row::read).collect()
    }

    /// Inserts the row, or replaces the one with the same key.
    ///
    /// # Errors
    ///
    /// When a column cannot be stored: a real that is not finite, or a value that is no JSON.
    #[allow(
        clippy::needless_pass_by_value,
        reason = "a row that was put is out of the author's hands"
    )]
    pub fn put<T: Listed>(&mut self, row: T) -> Result<()> {
        row.pack(&mut Packer::new(&mut self.row))?;
        self.tables.put(T::NUMBER, &self.row);
        Ok(())
    }

    /// Changes the row with this key and says whether there was one.
    ///
    /// ```
    /// # use foldline_sdk::{Event, ReadModel, Result, Table, projection};
    /// # #[derive(Table)]
    /// # struct Order { #[key] order_id: String, #[index] customer_id: String, status: String, items: i64 }
    /// # #[projection(name = "orders", version = 1, subjects = [">"], tables = [Order])]
    /// # fn orders(event: &Event, rows: &mut ReadModel) -> Result<()> {
    /// let known = rows.update("o-1", |order: &mut Order| "paid".clone_into(&mut order.status))?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// `order.status = "paid".to_owned()` does the same and takes longer: `clone_into` writes into the memory that the field
    /// has, which is used again for each row.
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get) and [`put`](Self::put), and when `change` gives the row another key.
    pub fn update<T: Listed>(
        &mut self,
        key: impl Key<T::Key>,
        change: impl FnOnce(&mut T),
    ) -> Result<bool> {
        let key = self.packed(key.into_values().as_ref());
        let row = self.stored(&key)?;
        let found = row.is_some();
        if let Some(row) = row {
            self.change(&key, row, change)?;
        }
        self.key.set(key);
        Ok(found)
    }

    /// Changes the row with this key, starting from `initial` when there is none.
    ///
    /// ```
    /// # use foldline_sdk::{Event, ReadModel, Result, Table, projection};
    /// # #[derive(Table)]
    /// # struct Order { #[key] order_id: String, #[index] customer_id: String, status: String, items: i64 }
    /// # #[projection(name = "orders", version = 1, subjects = [">"], tables = [Order])]
    /// # fn orders(event: &Event, rows: &mut ReadModel) -> Result<()> {
    /// # let (order_id, customer_id) = ("o-1", "c-1");
    /// let new = || Order {
    ///     order_id: order_id.to_owned(),
    ///     customer_id: customer_id.to_owned(),
    ///     status: "placed".to_owned(),
    ///     items: 0,
    /// };
    /// rows.upsert(order_id, new, |order| order.items += 1)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`update`](Self::update).
    pub fn upsert<T: Listed>(
        &mut self,
        key: impl Key<T::Key>,
        initial: impl FnOnce() -> T,
        change: impl FnOnce(&mut T),
    ) -> Result<()> {
        let key = self.packed(key.into_values().as_ref());
        let row = self.stored(&key)?;
        let row = row.unwrap_or_else(|| Box::new(initial()));
        self.change(&key, row, change)?;
        self.key.set(key);
        Ok(())
    }

    /// Removes the row with this key; it need not exist.
    ///
    /// # Errors
    ///
    /// None today.
    pub fn delete<T: Listed>(&mut self, key: impl Key<T::Key>) -> Result<()> {
        let key = self.packed(key.into_values().as_ref());
        self.tables.delete(T::NUMBER, &key);
        self.key.set(key);
        Ok(())
    }

    /// The key, in the memory of the last one.
    fn packed(&self, key: &[Value<'_>]) -> Vec<u8> {
        let mut packed = self.key.take();
        row::pack(key, &mut packed);
        packed
    }

    /// The row with this key, in the memory of the one that was changed last.
    fn stored<T: Listed>(&mut self, key: &[u8]) -> Result<Option<Box<T>>> {
        let Some(stored) = self.tables.get(T::NUMBER, key) else {
            return Ok(None);
        };
        let last = self.changed.get_mut(T::NUMBER as usize);
        let last = last.and_then(Option::take).map(<Box<dyn Any>>::downcast);
        // A table's number belongs to one type, so that there is always one after the first time.
        let Some(Ok(mut row)) = last else {
            return Ok(Some(Box::new(row::read(stored)?)));
        };
        row::read_into(stored, &mut *row)?;
        Ok(Some(row))
    }

    fn change<T: Listed>(
        &mut self,
        key: &[u8],
        mut row: Box<T>,
        change: impl FnOnce(&mut T),
    ) -> Result<()> {
        change(&mut row);
        row.pack(&mut Packer::new(&mut self.row))?;
        let table = T::DEFINITION;
        ensure!(
            row::has_key(&self.row, table.key, key),
            "an update of table `{}` changed the row's key; delete the row and put a new one instead",
            table.name
        );
        self.tables.put(T::NUMBER, &self.row);
        let number = T::NUMBER as usize;
        if self.changed.len() <= number {
            self.changed.resize_with(number + 1, || None);
        }
        self.changed[number] = Some(row);
        Ok(())
    }
}

impl fmt::Debug for ReadModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadModel").finish_non_exhaustive()
    }
}

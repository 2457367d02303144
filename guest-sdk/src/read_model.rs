//! The read model as a projection sees it: tables of typed rows.

use std::fmt;

use anyhow::ensure;

use crate::Result;
use crate::key::Key;
use crate::table::{Find, Listed, Table};
use crate::value::Value;

/// The projection's own tables, as of the events before the one being projected. Changes are
/// visible at once, and committed together with the checkpoint after the whole batch, or not at
/// all.
///
/// A key is written as plain values: `"o-1"`, `&order_id`, `7`, or a tuple `("o-1", 7)` for a table
/// with several `#[key]` fields.
pub struct ReadModel {
    tables: Box<dyn Tables>,
}

/// What stands behind a [`ReadModel`]: the host, or the memory of the test kit. Both follow the
/// contract in `wit/projection.wit`.
pub(crate) trait Tables {
    fn get(&self, table: u32, key: &[Value<'_>]) -> Option<Vec<Value<'static>>>;
    fn find(
        &self,
        table: u32,
        index: u32,
        key: &[Value<'_>],
        limit: u32,
    ) -> Vec<Vec<Value<'static>>>;
    fn put(&mut self, table: u32, row: &[Value<'_>]);
    fn delete(&mut self, table: u32, key: &[Value<'_>]);
}

impl ReadModel {
    pub(crate) fn new(tables: impl Tables + 'static) -> Self {
        ReadModel {
            tables: Box::new(tables),
        }
    }

    /// The row with this key, if there is one.
    ///
    /// # Errors
    ///
    /// When the stored row does not fit the struct.
    pub fn get<T: Listed>(&self, key: impl Key<T::Key>) -> Result<Option<T>> {
        self.get_row(key.into_values().as_ref())
    }

    /// Rows of one index value, in the order of the primary key, at most `limit` of them. The host
    /// has a limit of its own above that.
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
        let rows = self
            .tables
            .find(T::NUMBER, search.index, &search.key, limit);
        rows.into_iter().map(T::from_values).collect()
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
        self.tables.put(T::NUMBER, row.to_values()?.as_ref());
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
    /// let known = rows.update("o-1", |order: &mut Order| order.status = "paid".to_owned())?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`get`](Self::get) and [`put`](Self::put), and when `change` gives the row another key.
    pub fn update<T: Listed>(
        &mut self,
        key: impl Key<T::Key>,
        change: impl FnOnce(&mut T),
    ) -> Result<bool> {
        let key = key.into_values();
        let Some(row) = self.get_row(key.as_ref())? else {
            return Ok(false);
        };
        self.change(key.as_ref(), row, change)?;
        Ok(true)
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
        let key = key.into_values();
        let row = self.get_row(key.as_ref())?.unwrap_or_else(initial);
        self.change(key.as_ref(), row, change)
    }

    /// Removes the row with this key; it need not exist.
    ///
    /// # Errors
    ///
    /// None today.
    pub fn delete<T: Listed>(&mut self, key: impl Key<T::Key>) -> Result<()> {
        self.tables.delete(T::NUMBER, key.into_values().as_ref());
        Ok(())
    }

    fn get_row<T: Listed>(&self, key: &[Value<'_>]) -> Result<Option<T>> {
        self.tables
            .get(T::NUMBER, key)
            .map(T::from_values)
            .transpose()
    }

    fn change<T: Listed>(
        &mut self,
        key: &[Value<'_>],
        mut row: T,
        change: impl FnOnce(&mut T),
    ) -> Result<()> {
        change(&mut row);
        let values = row.to_values()?;
        let same_key = key_of::<T>(values.as_ref()).eq(key);
        let table = T::DEFINITION.name;
        ensure!(
            same_key,
            "an update of table `{table}` changed the row's key; delete the row and put a new one instead"
        );
        self.tables.put(T::NUMBER, values.as_ref());
        Ok(())
    }
}

fn key_of<'v, T: Table>(values: &'v [Value<'v>]) -> impl Iterator<Item = &'v Value<'v>> {
    T::DEFINITION
        .key
        .iter()
        .map(|position| &values[*position as usize])
}

impl fmt::Debug for ReadModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadModel").finish_non_exhaustive()
    }
}

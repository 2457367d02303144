//! The host's side of the `read-model` interface: everything a guest asks is checked here.

use super::bindings::{read_model, row_from_guest, row_to_guest};
use super::instance::GuestState;
use super::limits::{GuestFault, GuestLimits};
use crate::changes::SharedRow;
use crate::definition::Table;
use crate::session::Session;
use crate::value::{Row, Value};

type GuestRow = Vec<super::bindings::foldline::projection::types::Value>;

impl super::bindings::foldline::projection::types::Host for GuestState {}

impl read_model::Host for GuestState {
    fn get(&mut self, table: u32, key: GuestRow) -> wasmtime::Result<Option<GuestRow>> {
        let row = self
            .read(table, &row_from_guest(key))
            .map_err(wasmtime::Error::new)?;
        Ok(row.map(|row| row_to_guest((*row).clone())))
    }

    fn find(
        &mut self,
        table: u32,
        index: u32,
        key: GuestRow,
        limit: u32,
    ) -> wasmtime::Result<Vec<GuestRow>> {
        let rows = self
            .search(table, index, &row_from_guest(key), limit)
            .map_err(wasmtime::Error::new)?;
        Ok(rows.into_iter().map(row_to_guest).collect())
    }

    fn put(&mut self, table: u32, row: GuestRow) -> wasmtime::Result<()> {
        self.replace(table, row_from_guest(row))
            .map_err(wasmtime::Error::new)
    }

    fn delete(&mut self, table: u32, key: GuestRow) -> wasmtime::Result<()> {
        self.remove(table, &row_from_guest(key))
            .map_err(wasmtime::Error::new)
    }
}

impl GuestState {
    fn read(&mut self, table: u32, key: &[Value]) -> Result<Option<SharedRow>, GuestFault> {
        let session = self.session()?;
        check_key(table_of(session, table)?, key)?;
        Ok(session.get(table as usize, key)?)
    }

    fn search(
        &mut self,
        table: u32,
        index: u32,
        key: &[Value],
        limit: u32,
    ) -> Result<Vec<Row>, GuestFault> {
        let limit = (limit as usize).min(self.limits.find_rows);
        let session = self.session()?;
        check_index(table_of(session, table)?, index as usize, key)?;
        Ok(session.find(table as usize, index as usize, key, limit)?)
    }

    fn replace(&mut self, table: u32, row: Row) -> Result<(), GuestFault> {
        let limits = self.limits;
        let session = self.session()?;
        let definition = table_of(session, table)?;
        let bytes = check_row(definition, &row, limits.row_bytes)?;
        let key_bytes = definition.key.iter().map(|&i| row[i].size()).sum::<usize>();
        count(session, bytes + key_bytes, &limits)?;
        session.put(table as usize, row);
        Ok(())
    }

    fn remove(&mut self, table: u32, key: &[Value]) -> Result<(), GuestFault> {
        let limits = self.limits;
        let session = self.session()?;
        check_key(table_of(session, table)?, key)?;
        count(session, key.iter().map(Value::size).sum(), &limits)?;
        session.delete(table as usize, key);
        Ok(())
    }
}

fn table_of(session: &Session, table: u32) -> Result<&Table, GuestFault> {
    let found = session.table(table as usize);
    found.ok_or_else(|| GuestFault::Misuse(format!("there is no table number {table}")))
}

/// One more change, of so many bytes.
fn count(session: &mut Session, bytes: usize, limits: &GuestLimits) -> Result<(), GuestFault> {
    session.asked.bytes += bytes;
    session.asked.changes += 1;
    if session.asked.changes > limits.changes {
        let limit = limits.changes;
        return Err(GuestFault::Changes { limit });
    }
    if session.asked.bytes > limits.change_bytes {
        let limit = limits.change_bytes;
        return Err(GuestFault::ChangeBytes { limit });
    }
    Ok(())
}

fn check_key(table: &Table, key: &[Value]) -> Result<(), GuestFault> {
    check_columns(table, &table.key, key)
}

fn check_index(table: &Table, index: usize, key: &[Value]) -> Result<(), GuestFault> {
    let columns = table.indexes.get(index).ok_or_else(|| {
        GuestFault::Misuse(format!("table {} has no index number {index}", table.name))
    })?;
    check_columns(table, columns, key)
}

fn check_columns(table: &Table, columns: &[usize], key: &[Value]) -> Result<(), GuestFault> {
    if key.len() != columns.len() {
        return Err(GuestFault::Misuse(format!(
            "a key of table {} has {} columns, {} given",
            table.name,
            columns.len(),
            key.len()
        )));
    }
    columns
        .iter()
        .zip(key)
        .try_for_each(|(&column, value)| check_value(table, column, value))
}

/// The row's size in bytes.
fn check_row(table: &Table, row: &[Value], limit: usize) -> Result<usize, GuestFault> {
    if row.len() != table.columns.len() {
        return Err(GuestFault::Misuse(format!(
            "table {} has {} columns, a row of {} given",
            table.name,
            table.columns.len(),
            row.len()
        )));
    }
    let bytes = row.iter().map(Value::size).sum();
    if bytes > limit {
        let table = table.name.clone();
        return Err(GuestFault::Row {
            table,
            bytes,
            limit,
        });
    }
    row.iter()
        .enumerate()
        .try_for_each(|(column, value)| check_value(table, column, value))?;
    Ok(bytes)
}

fn check_value(table: &Table, column: usize, value: &Value) -> Result<(), GuestFault> {
    let column = &table.columns[column];
    let wrong = if !column.accepts(value) {
        format!("does not take {}", value.describe())
    } else if matches!(value, Value::Real(real) if real.is_nan()) {
        "does not take NaN: no two databases agree on what it equals".into()
    } else {
        return Ok(());
    };
    let nullable = if column.nullable { ", nullable" } else { "" };
    Err(GuestFault::Misuse(format!(
        "column {}.{} ({}{nullable}) {wrong}",
        table.name, column.name, column.ty
    )))
}

#[cfg(test)]
mod tests;

//! The host's side of the `read-model` interface: everything a guest asks is checked here.

use wasmtime::StoreContextMut;
use wasmtime::component::Linker;

use super::bindings::READ_MODEL;
use super::instance::GuestState;
use super::limits::{GuestFault, GuestLimits};
use crate::changes::SharedRow;
use crate::definition::Table;
use crate::session::Session;
use crate::value::{Key, Row, Value};

type Guest<'a> = StoreContextMut<'a, GuestState>;

/// Offers the interface to guests. By hand and not by the generated trait, which would have each row copied into a
/// type of its own: wasmtime compares these types with the contract when a module is linked.
pub(super) fn add_to_linker(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    let mut read_model = linker.instance(READ_MODEL)?;
    read_model.func_wrap("get", |mut guest: Guest<'_>, (table, key): (u32, Key)| {
        answer(guest.data_mut().read(table, &key))
    })?;
    read_model.func_wrap(
        "find",
        |mut guest: Guest<'_>, search: (u32, u32, Key, u32)| {
            let (table, index, key, limit) = search;
            answer(guest.data_mut().search(table, index, &key, limit))
        },
    )?;
    read_model.func_wrap("put", |mut guest: Guest<'_>, (table, row): (u32, Row)| {
        Ok(guest.data_mut().replace(table, row)?)
    })?;
    read_model.func_wrap(
        "delete",
        |mut guest: Guest<'_>, (table, key): (u32, Key)| {
            Ok(guest.data_mut().remove(table, &key)?)
        },
    )
}

fn answer<T>(found: Result<T, GuestFault>) -> wasmtime::Result<(T,)> {
    found.map(|found| (found,)).map_err(wasmtime::Error::new)
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

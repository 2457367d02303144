//! The host's side of the `read-model` interface: everything a guest asks is checked here.

use foldline_row::{Field, Fields, Malformed};
use wasmtime::component::{Linker, WasmList};
use wasmtime::{AsContextMut as _, StoreContextMut};

use super::bindings::READ_MODEL;
use super::engine::TICK;
use super::instance::{GuestState, set_deadline};
use super::limits::{GuestFault, GuestLimits};
use crate::definition::{Column, Table};
use crate::session::Session;
use crate::store::FindLimit;
use crate::value::{Packed, Row, Value, fields};

mod calls;

pub use calls::GuestCalls;

type Guest<'a> = StoreContextMut<'a, GuestState>;

/// A row or a key where it stands in the guest's memory.
type Sent = WasmList<u8>;

/// Offers the interface to guests. By hand and not by the generated trait, which would have each row copied twice:
/// wasmtime compares these types with the contract when a module is linked.
pub(super) fn add_to_linker(linker: &mut Linker<GuestState>) -> wasmtime::Result<()> {
    let mut read_model = linker.instance(READ_MODEL)?;
    read_model.func_wrap("get", |guest: Guest<'_>, (table, key): (u32, Sent)| {
        let row = receive(guest, table, &key, |state, key| {
            Ok(state.read(table, key)?.map(<[u8]>::to_vec))
        })?;
        Ok((row,))
    })?;
    read_model.func_wrap(
        "find",
        |mut guest: Guest<'_>, sent: (u32, u32, Sent, u32)| {
            let (table, index, key, limit) = sent;
            let rows = receive(guest.as_context_mut(), table, &key, |state, key| {
                state.search(table, index, key, limit)
            })?;
            // The first search of a replay waits for all indexes, which may take longer than a call may.
            if std::mem::take(&mut guest.data_mut().session()?.asked.indexing) > TICK {
                set_deadline(&mut guest);
            }
            let packed = rows.iter().map(|row| Packed::from(row).into_bytes());
            Ok((packed.collect::<Vec<_>>(),))
        },
    )?;
    read_model.func_wrap("put", |guest: Guest<'_>, (table, row): (u32, Sent)| {
        receive(guest, table, &row, |state, row| state.replace(table, row))
    })?;
    read_model.func_wrap("delete", |guest: Guest<'_>, (table, key): (u32, Sent)| {
        receive(guest, table, &key, |state, key| state.remove(table, key))
    })
}

/// Copies what was sent out of the guest's memory, if it is not larger than any row may be, and answers.
fn receive<T>(
    mut guest: Guest<'_>,
    table: u32,
    sent: &Sent,
    answer: impl FnOnce(&mut GuestState, &mut [u8]) -> Result<T, GuestFault>,
) -> wasmtime::Result<T> {
    guest.data_mut().admit(table, sent.len())?;
    let mut received = std::mem::take(&mut guest.data_mut().received);
    received.clear();
    received.extend_from_slice(sent.as_le_slice(&guest));
    let answered = answer(guest.data_mut(), &mut received);
    guest.data_mut().received = received;
    Ok(answered?)
}

impl GuestState {
    /// Refuses what is too large before it is copied.
    fn admit(&mut self, table: u32, bytes: usize) -> Result<(), GuestFault> {
        let limit = self.limits.row_bytes;
        if bytes <= limit {
            return Ok(());
        }
        let table = table_of(self.session()?, table)?.name.clone();
        Err(GuestFault::Row {
            table,
            bytes,
            limit,
        })
    }

    fn read(&mut self, table: u32, key: &[u8]) -> Result<Option<&[u8]>, GuestFault> {
        let session = self.session()?;
        check_key(table_of(session, table)?, key)?;
        Ok(session.get(table as usize, key)?)
    }

    fn search(
        &mut self,
        table: u32,
        index: u32,
        key: &[u8],
        limit: u32,
    ) -> Result<Vec<Row>, GuestFault> {
        let most = self.limits.find_rows;
        // One more than is given away tells whether something was left out.
        let limit = FindLimit {
            rows: (limit as usize).min(most.saturating_add(1)),
            bytes: self.limits.find_bytes,
        };
        let session = self.session()?;
        let asked = table_of(session, table)?;
        check_index(asked, index as usize, key)?;
        let name = asked.name.clone();
        let key: Vec<_> = fields(key).map(Value::from).collect();
        let mut found = session.find(table as usize, index as usize, &key, limit)?;
        if found.len() > most {
            found.truncate(most);
            self.cut_searches += 1;
        }
        let bytes: usize = found.iter().flatten().map(Value::size).sum();
        match bytes <= limit.bytes {
            true => Ok(found),
            false => Err(GuestFault::Find {
                table: name,
                limit: limit.bytes,
            }),
        }
    }

    fn replace(&mut self, table: u32, row: &mut [u8]) -> Result<(), GuestFault> {
        let limits = self.limits;
        let session = self.session()?;
        check_row(table_of(session, table)?, row)?;
        count(session, row.len(), &limits)?;
        session.put(table as usize, row);
        Ok(())
    }

    fn remove(&mut self, table: u32, key: &[u8]) -> Result<(), GuestFault> {
        let limits = self.limits;
        let session = self.session()?;
        check_key(table_of(session, table)?, key)?;
        count(session, key.len(), &limits)?;
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

fn check_key(table: &Table, key: &[u8]) -> Result<(), GuestFault> {
    check_columns(table, &table.key, key)
}

fn check_index(table: &Table, index: usize, key: &[u8]) -> Result<(), GuestFault> {
    let columns = table.indexes.get(index).ok_or_else(|| {
        GuestFault::Misuse(format!("table {} has no index number {index}", table.name))
    })?;
    check_columns(table, columns, key)
}

fn check_columns(table: &Table, columns: &[usize], key: &[u8]) -> Result<(), GuestFault> {
    let mut given = Fields::new(key);
    for &column in columns {
        let Some(field) = given.next() else {
            return Err(other_key_width(table, columns, key));
        };
        let field = field.map_err(|malformed| no_row(table, malformed))?;
        check_field(table, &table.columns[column], field)?;
    }
    match given.next() {
        None => Ok(()),
        Some(_) => Err(other_key_width(table, columns, key)),
    }
}

fn other_key_width(table: &Table, columns: &[usize], key: &[u8]) -> GuestFault {
    let (name, columns, given) = (&table.name, columns.len(), Fields::new(key).count());
    GuestFault::Misuse(format!(
        "a key of table {name} has {columns} columns, {given} given"
    ))
}

/// Checks every value against its column, and takes the sign from every zero: SQLite keeps none, and what a guest
/// reads back must not depend on whether a commit lay in between.
fn check_row(table: &Table, row: &mut [u8]) -> Result<(), GuestFault> {
    let mut at = 0;
    for column in &table.columns {
        let mut rest = Fields::new(&row[at..]);
        let Some(field) = rest.next() else {
            return Err(other_width(table, row));
        };
        let field = field.map_err(|malformed| no_row(table, malformed))?;
        let end = at + rest.position();
        // Of a row that was made for another table, its width says more than the first value that does not fit.
        check_field(table, column, field).map_err(|misfit| {
            let same_width = Fields::new(row).count() == table.columns.len();
            if same_width {
                misfit
            } else {
                other_width(table, row)
            }
        })?;
        if matches!(field, Field::Real(real) if real == 0.0) {
            row[end - size_of::<f64>()..end].fill(0);
        }
        at = end;
    }
    match at == row.len() {
        true => Ok(()),
        false => Err(other_width(table, row)),
    }
}

fn other_width(table: &Table, row: &[u8]) -> GuestFault {
    let (name, columns, given) = (&table.name, table.columns.len(), Fields::new(row).count());
    GuestFault::Misuse(format!(
        "table {name} has {columns} columns, a row of {given} given"
    ))
}

fn no_row(table: &Table, malformed: Malformed) -> GuestFault {
    let name = &table.name;
    GuestFault::Misuse(format!(
        "what was sent for table {name} is no row: {malformed}"
    ))
}

fn check_field(table: &Table, column: &Column, field: Field<'_>) -> Result<(), GuestFault> {
    let wrong = match field {
        _ if !column.accepts(&field) => format!("does not take {}", Value::from(field).describe()),
        Field::Real(real) if real.is_nan() => {
            "does not take NaN: no two databases agree on what it equals".into()
        }
        Field::Text(text) if std::str::from_utf8(text).is_err() => {
            "does not take text that is not UTF-8".into()
        }
        _ => return Ok(()),
    };
    let nullable = if column.nullable { ", nullable" } else { "" };
    let (name, ty) = (&column.name, column.ty);
    let text = format!("column {}.{name} ({ty}{nullable}) {wrong}", table.name);
    Err(GuestFault::Misuse(text))
}

#[cfg(test)]
mod tests;

//! Values to SQLite and back.

use foldline_row::Field;
use rusqlite::types::{ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Error, Result, Statement};

use crate::definition::{Column, ColumnType};
use crate::value::{Row, Value, fields};

impl ToSql for Value {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Boolean(v) => ValueRef::Integer(i64::from(*v)),
            Self::Integer(v) => ValueRef::Integer(*v),
            Self::Real(v) => ValueRef::Real(*v),
            Self::Text(v) => ValueRef::Text(v.as_bytes()),
            Self::Blob(v) => ValueRef::Blob(v),
        }))
    }
}

/// Gives `values` to the statement's first parameters.
pub(super) fn bind(statement: &mut Statement<'_>, values: &[Value]) -> Result<()> {
    for (i, value) in values.iter().enumerate() {
        statement.raw_bind_parameter(i + 1, value)?;
    }
    Ok(())
}

/// The same for a row or a key as it is kept.
pub(super) fn bind_packed(statement: &mut Statement<'_>, values: &[u8]) -> Result<()> {
    for (i, field) in fields(values).enumerate() {
        let value = ToSqlOutput::Borrowed(match field {
            Field::Null => ValueRef::Null,
            Field::Boolean(v) => ValueRef::Integer(i64::from(v)),
            Field::Integer(v) => ValueRef::Integer(v),
            Field::Real(v) => ValueRef::Real(v),
            Field::Text(v) => ValueRef::Text(v),
            Field::Blob(v) => ValueRef::Blob(v),
        });
        statement.raw_bind_parameter(i + 1, value)?;
    }
    Ok(())
}

/// The current row of a statement that selects `columns`.
pub(super) fn read(row: &rusqlite::Row<'_>, columns: &[Column]) -> Result<Row> {
    let value = |(i, column)| read_value(row, i, column);
    columns.iter().enumerate().map(value).collect()
}

fn read_value(row: &rusqlite::Row<'_>, i: usize, column: &Column) -> Result<Value> {
    Ok(match (column.ty, row.get_ref(i)?) {
        (_, ValueRef::Null) => Value::Null,
        (ColumnType::Boolean, ValueRef::Integer(v)) => Value::Boolean(v != 0),
        (ColumnType::Integer, ValueRef::Integer(v)) => Value::Integer(v),
        (ColumnType::Real, ValueRef::Real(v)) => Value::Real(v),
        (ColumnType::Text | ColumnType::Json, ValueRef::Text(v)) => Value::Text(
            std::str::from_utf8(v)
                .map_err(|e| Error::Utf8Error(i, e))?
                .to_owned(),
        ),
        (ColumnType::Blob, ValueRef::Blob(v)) => Value::Blob(v.to_owned()),
        (_, other) => {
            let (name, found) = (column.name.clone(), other.data_type());
            return Err(Error::InvalidColumnType(i, name, found));
        }
    })
}

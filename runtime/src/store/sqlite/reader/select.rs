//! What to read, and the one place where it becomes SQL. Values are always bound, never written into the text.

use std::borrow::Cow;

use rusqlite::ToSql;
use rusqlite::types::{ToSqlOutput, ValueRef};

use crate::definition::{ColumnType, Table};
use crate::value::{Key, Row, Value};

/// Which rows and columns of a table. Columns are positions in the table's definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Select {
    /// The columns to answer, in this order; at least one.
    pub columns: Vec<usize>,
    /// All of them must hold.
    pub conditions: Vec<Condition>,
    /// Sorting, most important first. The primary key is always appended, so that the order is total.
    pub order: Vec<(usize, Direction)>,
    /// Most rows.
    pub limit: u32,
    /// Rows to pass over first.
    pub offset: u64,
}

/// One condition on one column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// The column.
    pub column: usize,
    /// What must hold of it. Nothing but [`Comparison::IsNull`] ever holds of null.
    pub comparison: Comparison,
}

/// What is asked of a column's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Comparison {
    /// Equal.
    Equal(Value),
    /// Not equal.
    NotEqual(Value),
    /// Greater.
    Greater(Value),
    /// Greater or equal.
    GreaterOrEqual(Value),
    /// Less.
    Less(Value),
    /// Less or equal.
    LessOrEqual(Value),
    /// Null.
    IsNull,
    /// Anything but null.
    IsNotNull,
}

/// Which way a column is sorted. Null comes before every value, ascending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Smallest first.
    Ascending,
    /// Largest first.
    Descending,
}

impl Comparison {
    fn operator(&self) -> &'static str {
        match self {
            Self::Equal(_) => " = ?",
            Self::NotEqual(_) => " <> ?",
            Self::Greater(_) => " > ?",
            Self::GreaterOrEqual(_) => " >= ?",
            Self::Less(_) => " < ?",
            Self::LessOrEqual(_) => " <= ?",
            Self::IsNull => " IS NULL",
            Self::IsNotNull => " IS NOT NULL",
        }
    }

    fn value(&self) -> Option<&Value> {
        match self {
            Self::Equal(value)
            | Self::NotEqual(value)
            | Self::Greater(value)
            | Self::GreaterOrEqual(value)
            | Self::Less(value)
            | Self::LessOrEqual(value) => Some(value),
            Self::IsNull | Self::IsNotNull => None,
        }
    }
}

impl Select {
    /// All columns of the row with this primary key.
    pub fn by_key(table: &Table, key: Key) -> Self {
        let conditions = table.key.iter().zip(key).map(|(&column, value)| Condition {
            column,
            comparison: Comparison::Equal(value),
        });
        Self {
            columns: (0..table.columns.len()).collect(),
            conditions: conditions.collect(),
            order: Vec::new(),
            limit: 1,
            offset: 0,
        }
    }

    pub(super) fn sql(&self, table: &Table) -> String {
        let column = |i: usize| quoted(&table.columns[i].name);
        let columns: Vec<_> = self.columns.iter().map(|&i| column(i)).collect();
        let mut sql = format!("SELECT {} FROM {}", columns.join(", "), quoted(&table.name));
        for (i, condition) in self.conditions.iter().enumerate() {
            sql += if i == 0 { " WHERE " } else { " AND " };
            sql += &column(condition.column);
            sql += condition.comparison.operator();
        }
        let order: Vec<_> = self
            .total_order(table)
            .map(|(i, direction)| match direction {
                Direction::Ascending => column(i),
                Direction::Descending => format!("{} DESC", column(i)),
            })
            .collect();
        // In the text, because the plan may depend on it: whether to sort, or to walk an index that is in order. What is
        // bound is not looked at (`file::prepare_once`).
        format!(
            "{sql} ORDER BY {} LIMIT {} OFFSET ?",
            order.join(", "),
            self.limit
        )
    }

    /// The order asked for, then the key's columns that are not in it.
    fn total_order<'a>(
        &'a self,
        table: &'a Table,
    ) -> impl Iterator<Item = (usize, Direction)> + 'a {
        let asked = |i: &usize| self.order.iter().any(|(column, _)| column == i);
        let key = table.key.iter().copied().filter(move |i| !asked(i));
        let key = key.map(|i| (i, Direction::Ascending));
        self.order.iter().copied().chain(key)
    }

    /// What stands for the question marks, in order.
    pub(super) fn parameters(&self) -> impl Iterator<Item = Bound<'_>> {
        let values = self.conditions.iter().map(|c| c.comparison.value());
        let offset = i64::try_from(self.offset).unwrap_or(i64::MAX);
        let values = values.flatten().map(Cow::Borrowed);
        let offset = Cow::Owned(Value::Integer(offset));
        values.chain([offset]).map(Bound)
    }

    pub(super) fn decode(
        &self,
        table: &Table,
        row: &rusqlite::Row<'_>,
    ) -> Result<Row, rusqlite::Error> {
        let columns = self.columns.iter().enumerate();
        columns
            .map(|(i, &column)| Ok(decode(table.columns[column].ty, row.get_ref(i)?)))
            .collect()
    }
}

/// A value on its way into a statement.
pub(super) struct Bound<'a>(Cow<'a, Value>);

impl ToSql for Bound<'_> {
    fn to_sql(&self) -> Result<ToSqlOutput<'_>, rusqlite::Error> {
        Ok(ToSqlOutput::Borrowed(match self.0.as_ref() {
            Value::Null => ValueRef::Null,
            Value::Boolean(v) => ValueRef::Integer(i64::from(*v)),
            Value::Integer(v) => ValueRef::Integer(*v),
            Value::Real(v) => ValueRef::Real(*v),
            Value::Text(v) => ValueRef::Text(v.as_bytes()),
            Value::Blob(v) => ValueRef::Blob(v),
        }))
    }
}

/// SQLite stores booleans as integers and whole reals as integers; everything else is told by its storage
/// class.
fn decode(ty: ColumnType, value: ValueRef<'_>) -> Value {
    match (ty, value) {
        (_, ValueRef::Null) => Value::Null,
        (ColumnType::Boolean, ValueRef::Integer(v)) => Value::Boolean(v != 0),
        (ColumnType::Real, ValueRef::Integer(v)) => Value::Real(v as f64),
        (_, ValueRef::Integer(v)) => Value::Integer(v),
        (_, ValueRef::Real(v)) => Value::Real(v),
        (_, ValueRef::Text(v)) => Value::Text(String::from_utf8_lossy(v).into_owned()),
        (_, ValueRef::Blob(v)) => Value::Blob(v.to_vec()),
    }
}

/// Names are checked when a module is loaded; quoting keeps SQL's own words usable as names.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

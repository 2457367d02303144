//! The query string of a read, checked completely before anything is read.

use std::time::Duration;

use super::HttpProblem;
use super::filter;
use super::target::{decoded, listed};
use crate::definition::{ColumnType, Table};
use crate::event::Sequence;
use crate::store::sqlite::reader::{Condition, Direction, Select};

/// Parameters that are not filters. A column of such a name is filtered as `column.NAME=op.value`, which
/// works for every column: no column name has a dot.
pub const RESERVED: [&str; 6] = [
    "select",
    "order",
    "limit",
    "offset",
    "min_sequence",
    "timeout",
];

/// What makes a parameter a filter whatever the column is called.
const COLUMN_PREFIX: &str = "column.";

/// Most conditions of one read: `SQLite` nests them, and refuses more than 1,000.
const CONDITIONS_MAX: usize = 200;

const LIMIT_DEFAULT: u32 = 100;
const LIMIT_MAX: u32 = 1_000;
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);
const TIMEOUT_MAX: Duration = Duration::from_secs(60);

/// How fresh the rows must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Freshness {
    /// The read model must contain this event's changes; 0 asks for nothing.
    pub(super) min_sequence: Sequence,
    /// How long to wait for it.
    pub(super) timeout: Duration,
}

/// A checked query string.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ReadQuery {
    pub(super) select: Select,
    pub(super) freshness: Freshness,
}

impl ReadQuery {
    fn new(table: &Table) -> Self {
        Self {
            select: Select {
                columns: (0..table.columns.len()).collect(),
                conditions: Vec::new(),
                order: Vec::new(),
                limit: LIMIT_DEFAULT,
                offset: 0,
            },
            freshness: Freshness {
                min_sequence: 0,
                timeout: TIMEOUT_DEFAULT,
            },
        }
    }

    /// For many rows: everything is allowed.
    pub(super) fn of_rows(table: &Table, query: Option<&str>) -> Result<Self, HttpProblem> {
        let mut read = Self::new(table);
        for (name, value) in pairs(query)? {
            if !read.common(table, &name, &value)? && !read.window(table, &name, &value)? {
                let condition = condition(table, &name, &value)?;
                read.and(condition)?;
            }
        }
        Ok(read)
    }

    /// For one row by its key: no filters, no order, no window.
    pub(super) fn of_row(table: &Table, query: Option<&str>) -> Result<Self, HttpProblem> {
        let mut read = Self::new(table);
        for (name, value) in pairs(query)? {
            if !read.common(table, &name, &value)? {
                return Err(HttpProblem::bad_request(format!(
                    "{name} has no meaning for a single row"
                ))
                .hint("there are select, min_sequence and timeout"));
            }
        }
        Ok(read)
    }

    fn and(&mut self, condition: Condition) -> Result<(), HttpProblem> {
        self.select.conditions.push(condition);
        if self.select.conditions.len() > CONDITIONS_MAX {
            let detail = format!("there are more than {CONDITIONS_MAX} conditions");
            return Err(HttpProblem::bad_request(detail).hint("ask with fewer, several times"));
        }
        Ok(())
    }

    /// Takes the parameters that every read has; false if it is none of them.
    fn common(&mut self, table: &Table, name: &str, value: &str) -> Result<bool, HttpProblem> {
        match name {
            "select" => self.select.columns = columns(table, value)?,
            "min_sequence" => self.freshness.min_sequence = number(table, name, value)?,
            "timeout" => self.freshness.timeout = timeout(value)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Takes the parameters that say which part of the rows; false if it is none of them.
    fn window(&mut self, table: &Table, name: &str, value: &str) -> Result<bool, HttpProblem> {
        match name {
            "order" => self.select.order = order(table, value)?,
            "limit" => self.select.limit = limit(table, value)?,
            "offset" => self.select.offset = number(table, name, value)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// The parameters of a query string, in order, decoded; `+` is a space.
fn pairs(query: Option<&str>) -> Result<Vec<(String, String)>, HttpProblem> {
    let parts = query.unwrap_or_default().split('&');
    let parts = parts.filter(|part| !part.is_empty());
    parts
        .map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let plain = |text: &str| decoded(&text.replace('+', " "));
            Ok((plain(name)?, plain(value)?))
        })
        .collect()
}

fn condition(table: &Table, name: &str, value: &str) -> Result<Condition, HttpProblem> {
    let column = position(table, name.strip_prefix(COLUMN_PREFIX).unwrap_or(name))?;
    Ok(Condition {
        column,
        comparison: filter::comparison(&table.columns[column], value)?,
    })
}

fn position(table: &Table, name: &str) -> Result<usize, HttpProblem> {
    table.column(name).ok_or_else(|| {
        let names = listed(table.columns.iter().map(|column| column.name.as_str()));
        let detail = format!("table {} has no column {name:?}", table.name);
        HttpProblem::bad_request(detail).hint(format!(
            "its columns: {names}; parameters that are no columns: {}",
            RESERVED.join(", ")
        ))
    })
}

fn columns(table: &Table, value: &str) -> Result<Vec<usize>, HttpProblem> {
    let mut columns = Vec::new();
    for name in value.split(',') {
        let column = position(table, name.trim())?;
        if columns.contains(&column) {
            let detail = format!("select names column {name} twice");
            return Err(HttpProblem::bad_request(detail).hint("name each column once"));
        }
        columns.push(column);
    }
    Ok(columns)
}

fn order(table: &Table, value: &str) -> Result<Vec<(usize, Direction)>, HttpProblem> {
    let mut order = Vec::new();
    for part in value.split(',') {
        let (column, direction) = order_by(table, part)?;
        // What comes second has nothing to decide, and `SQLite` takes only so many.
        if order.iter().any(|(earlier, _)| *earlier == column) {
            let name = &table.columns[column].name;
            let detail = format!("order names column {name} twice");
            return Err(HttpProblem::bad_request(detail).hint("name each column once"));
        }
        order.push((column, direction));
    }
    Ok(order)
}

fn order_by(table: &Table, part: &str) -> Result<(usize, Direction), HttpProblem> {
    let (name, direction) = part.trim().split_once('.').unwrap_or((part.trim(), "asc"));
    let column = position(table, name)?;
    if table.columns[column].ty == ColumnType::Json {
        let detail = format!("column {name} holds JSON, which has no order");
        return Err(HttpProblem::bad_request(detail).hint("sort by another column"));
    }
    match direction {
        "asc" => Ok((column, Direction::Ascending)),
        "desc" => Ok((column, Direction::Descending)),
        other => Err(
            HttpProblem::bad_request(format!("order={part}: {other:?} is no direction"))
                .hint("write order=COLUMN.asc or order=COLUMN.desc"),
        ),
    }
}

fn limit(table: &Table, value: &str) -> Result<u32, HttpProblem> {
    let limit = number(table, "limit", value)?;
    match u32::try_from(limit) {
        Ok(limit @ 1..=LIMIT_MAX) => Ok(limit),
        _ => Err(HttpProblem::bad_request(format!(
            "limit={limit} is outside 1 to {LIMIT_MAX}"
        ))
        .hint("page with order, limit and offset, or better with a filter on the key: KEY=gt.LAST")),
    }
}

fn number(table: &Table, name: &str, value: &str) -> Result<u64, HttpProblem> {
    value.parse().map_err(|_| {
        let problem = HttpProblem::bad_request(format!("{name}={value} is no whole number"));
        if table.column(name).is_some() {
            return problem.hint(format!(
                "to filter by the column of this name write {COLUMN_PREFIX}{name}=OPERATOR.VALUE"
            ));
        }
        let least = u8::from(name == "limit");
        problem.hint(format!("write {name}=N with N from {least} up"))
    })
}

/// How long a read may wait: `2s`, `500ms`, or a number of seconds; none where it is no such time, or above a minute.
pub fn read_timeout(value: &str) -> Option<Duration> {
    let seconds = match value.strip_suffix("ms") {
        Some(millis) => millis.parse().map(|millis: f64| millis / 1_000.0),
        None => value.strip_suffix('s').unwrap_or(value).parse(),
    };
    let timeout = seconds
        .ok()
        .and_then(|s| Duration::try_from_secs_f64(s).ok());
    timeout.filter(|t| *t <= TIMEOUT_MAX)
}

fn timeout(value: &str) -> Result<Duration, HttpProblem> {
    read_timeout(value).ok_or_else(|| {
        HttpProblem::bad_request(format!(
            "timeout={value} is no time from 0 to {TIMEOUT_MAX:?}"
        ))
        .hint("write for example timeout=2s, timeout=500ms or timeout=2")
    })
}

#[cfg(test)]
mod tests;

//! What a request's texts ask for, without a request: the way in for fuzzing.

use std::time::Duration;

use super::HttpProblem;
use super::params::ReadQuery;
use super::target;
use crate::definition::Table;
use crate::event::Sequence;
use crate::store::sqlite::reader::Select;

/// A read that passed every check.
#[derive(Debug)]
pub struct Asked {
    /// Which rows and columns.
    pub select: Select,
    /// How fresh they must be.
    pub min_sequence: Sequence,
    /// How long to wait for that.
    pub timeout: Duration,
}

impl From<ReadQuery> for Asked {
    fn from(query: ReadQuery) -> Self {
        Self {
            select: query.select,
            min_sequence: query.freshness.min_sequence,
            timeout: query.freshness.timeout,
        }
    }
}

/// What the query string of many rows asks for.
///
/// # Errors
/// What the client is told, as JSON.
pub fn asked_of_rows(table: &Table, query: &str) -> Result<Asked, String> {
    let query = ReadQuery::of_rows(table, Some(query));
    query.map(Asked::from).map_err(|problem| told(&problem))
}

/// What a path's last part and its query string ask of one row.
///
/// # Errors
/// What the client is told, as JSON.
pub fn asked_of_row(table: &Table, key: &str, query: &str) -> Result<Asked, String> {
    let asked = || {
        let mut query = ReadQuery::of_row(table, Some(query))?;
        query.select = Select {
            columns: query.select.columns,
            ..Select::by_key(table, target::key(table, key)?)
        };
        Ok(query.into())
    };
    asked().map_err(|problem: HttpProblem| told(&problem))
}

fn told(problem: &HttpProblem) -> String {
    serde_json::to_string(problem).unwrap_or_default()
}

//! What the catalog knows of a projection and of each of its generations.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, Type, ValueRef};
use rusqlite::{Connection, Row};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Catalog, CatalogError, Incident, Purpose};
use crate::definition::Definition;
use crate::event::Sequence;
use crate::projection::Problem;

/// Where a generation is in its life. See [`crate::catalog`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GenerationState {
    /// Replays the stream beside the live one.
    Building,
    /// Is served.
    Live,
    /// Was live before, and keeps advancing.
    Standby,
    /// Was building and cannot go on.
    Failed,
    /// Is no more.
    Retired,
}

impl GenerationState {
    /// As it is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Building => "building",
            Self::Live => "live",
            Self::Standby => "standby",
            Self::Failed => "failed",
            Self::Retired => "retired",
        }
    }

    /// Whether it has a file and may run.
    pub fn is_current(self) -> bool {
        matches!(self, Self::Building | Self::Live | Self::Standby)
    }
}

impl std::fmt::Display for GenerationState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

impl ToSql for GenerationState {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(self.as_str().into())
    }
}

impl FromSql for GenerationState {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_str()? {
            "building" => Ok(Self::Building),
            "live" => Ok(Self::Live),
            "standby" => Ok(Self::Standby),
            "failed" => Ok(Self::Failed),
            "retired" => Ok(Self::Retired),
            other => Err(FromSqlError::Other(format!("no state: {other:?}").into())),
        }
    }
}

/// One generation, as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct GenerationRecord {
    /// Counts up from 1 for each projection, and is never used again.
    pub number: u32,
    /// The version that built it.
    pub version: u32,
    /// Digest of the module that feeds it now: lower-case hexadecimal SHA-256.
    pub digest: String,
    /// Its file within the data folder, as in `order-summary/v2-3fa9c1d2.db`.
    pub file: String,
    /// The definition it was built by.
    pub definition: Definition,
    /// Where it is in its life.
    pub state: GenerationState,
    /// What it is built for.
    pub purpose: Purpose,
    /// The sequence its reading began with, where that was not the projection's usual start.
    pub started_from: Option<Sequence>,
    /// When it was made, RFC 3339.
    pub created: String,
    /// When it was made live last.
    pub promoted: Option<String>,
    /// When it was retired.
    pub retired: Option<String>,
    /// Why it failed; of one that is not building, that its file was found damaged.
    pub failure: Option<Problem>,
    /// Events per second of its last replay that was measured.
    pub replay_rate: Option<f64>,
    /// What it was begun for, if another one could not go on.
    pub incident: Option<Incident>,
}

impl GenerationRecord {
    /// Whether it was begun because that generation could not go on.
    pub fn is_begun_for(&self, number: u32) -> bool {
        let incident = self.incident.as_ref();
        incident.is_some_and(|incident| incident.generation == number)
    }
}

/// One projection, as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct ProjectionRecord {
    /// Its name.
    pub name: String,
    /// The file in the modules folder that it was given last.
    pub file: Option<String>,
    /// Whether an operator has paused it.
    pub paused: bool,
    /// Digest of a module that an operator has taken back: while it is what lies in `file`, nothing is built of it.
    pub declined: Option<String>,
    /// All generations that are not retired, oldest first.
    pub generations: Vec<GenerationRecord>,
}

impl Catalog {
    /// All projections with their current generations, by name.
    ///
    /// # Errors
    /// If the catalog cannot be read.
    pub fn projections(&self) -> Result<Vec<ProjectionRecord>, CatalogError> {
        self.read(|connection| {
            let sql = "SELECT name, file, paused, declined FROM projections ORDER BY name";
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map([], |row| {
                Ok(ProjectionRecord {
                    name: row.get(0)?,
                    file: row.get(1)?,
                    paused: row.get(2)?,
                    declined: row.get(3)?,
                    generations: Vec::new(),
                })
            })?;
            rows.map(|record| {
                let mut record = record?;
                record.generations = generations(connection, &record.name, "<> 'retired'")?;
                Ok(record)
            })
            .collect()
        })
    }

    /// One projection with its current generations; none if it is not known.
    ///
    /// # Errors
    /// If the catalog cannot be read.
    pub fn projection(&self, name: &str) -> Result<Option<ProjectionRecord>, CatalogError> {
        let all = self.projections()?;
        Ok(all.into_iter().find(|record| record.name == name))
    }

    /// What was retired of a projection, oldest first.
    ///
    /// # Errors
    /// If the catalog cannot be read.
    pub fn retired(&self, projection: &str) -> Result<Vec<GenerationRecord>, CatalogError> {
        self.read(|connection| generations(connection, projection, "= 'retired'"))
    }
}

fn generations(
    connection: &Connection,
    projection: &str,
    state: &str,
) -> rusqlite::Result<Vec<GenerationRecord>> {
    let sql = format!(
        "SELECT number, version, digest, file, definition, state, purpose, started_from, created, promoted, \
         retired, failure, replay_rate, incident FROM generations WHERE projection = ? AND state {state} ORDER BY number"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let records = statement.query_map([projection], record)?;
    records.collect()
}

fn record(row: &Row<'_>) -> rusqlite::Result<GenerationRecord> {
    let definition: String = row.get(4)?;
    let failure: Option<String> = row.get(11)?;
    let failure = failure.as_deref();
    let incident: Option<String> = row.get(13)?;
    let incident = incident.as_deref();
    Ok(GenerationRecord {
        number: row.get(0)?,
        version: row.get(1)?,
        digest: row.get(2)?,
        file: row.get(3)?,
        definition: parsed(4, &definition)?,
        state: row.get(5)?,
        purpose: row.get(6)?,
        started_from: row.get::<_, Option<i64>>(7)?.map(i64::cast_unsigned),
        created: row.get(8)?,
        promoted: row.get(9)?,
        retired: row.get(10)?,
        failure: failure.map(|json| parsed(11, json)).transpose()?,
        replay_rate: row.get(12)?,
        incident: incident.map(|json| parsed(13, json)).transpose()?,
    })
}

/// What stands as JSON in a column.
fn parsed<T: DeserializeOwned>(column: usize, json: &str) -> rusqlite::Result<T> {
    serde_json::from_str(json).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, error.into())
    })
}

//! How generations come, change and go: one transaction each.

use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension as _, params};
use serde::{Deserialize, Serialize};

use super::{Catalog, CatalogError, GenerationState, Incident, losses};
use crate::definition::Definition;
use crate::event::Sequence;
use crate::projection::Problem;
use crate::telemetry;

/// What a building generation is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// To take the live one's place.
    Promote,
    /// To be compared with the live one, and then be gone.
    Verify,
}

impl ToSql for Purpose {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Promote => "promote".into(),
            Self::Verify => "verify".into(),
        })
    }
}

impl FromSql for Purpose {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value.as_str()? {
            "promote" => Ok(Self::Promote),
            "verify" => Ok(Self::Verify),
            other => Err(FromSqlError::Other(format!("no purpose: {other:?}").into())),
        }
    }
}

/// A generation that does not exist yet.
#[derive(Debug, Clone)]
pub struct NewGeneration<'a> {
    /// What builds it.
    pub definition: &'a Definition,
    /// Digest of the module that builds it; the module must be stored.
    pub digest: &'a str,
    /// Its file within the data folder, which need not exist.
    pub file: &'a str,
    /// [`GenerationState::Live`] for a projection's first one, else [`GenerationState::Building`].
    pub state: GenerationState,
    /// What it is built for.
    pub purpose: Purpose,
    /// Where it starts, if not where the projection usually does.
    pub started_from: Option<Sequence>,
    /// What it answers, if the live one cannot go on.
    pub incident: Option<&'a Incident>,
}

impl Catalog {
    /// Enters a projection, or the module file that it was given last. A file belongs to one projection only.
    ///
    /// # Errors
    /// If the catalog cannot be written.
    pub fn set_module_file(&self, projection: &str, file: &str) -> Result<(), CatalogError> {
        self.write(|transaction| {
            let taken = "UPDATE projections SET file = NULL WHERE file = ?2 AND name <> ?1";
            transaction.execute(taken, [projection, file])?;
            let sql = "INSERT INTO projections (name, file) VALUES (?1, ?2)
                       ON CONFLICT (name) DO UPDATE SET file = ?2";
            transaction.execute(sql, [projection, file]).map(drop)
        })
    }

    /// Enters a generation; one that was building, or has failed, is retired for it. Gives its number. A later version that
    /// makes way for the live one is declined: its module file must not begin it again. It knows what the live one knows to be
    /// lost.
    ///
    /// # Errors
    /// If the catalog cannot be written.
    pub fn add(&self, new: &NewGeneration<'_>) -> Result<u32, CatalogError> {
        let definition = self.json(new.definition)?;
        let incident = new.incident.map(|incident| self.json(incident));
        let incident = incident.transpose()?;
        let projection = &new.definition.name;
        self.write(|transaction| {
            if let Some(later) = given_up_for(transaction, new)? {
                decline(transaction, projection, Some(&later))?;
            }
            retire(transaction, projection, "state IN ('building', 'failed')")?;
            let sql = "UPDATE projections SET generations = generations + 1 WHERE name = ?
                       RETURNING generations";
            let number: u32 = transaction.query_row(sql, [projection], |row| row.get(0))?;
            let now = telemetry::now();
            let promoted = (new.state == GenerationState::Live).then_some(&now);
            transaction.execute(
                "INSERT INTO generations (projection, number, version, digest, file, definition, state, purpose,
                 started_from, created, promoted, incident) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                params![
                    projection,
                    number,
                    new.definition.version,
                    new.digest,
                    new.file,
                    definition,
                    new.state,
                    new.purpose,
                    new.started_from.map(Sequence::cast_signed),
                    now,
                    promoted,
                    incident
                ],
            )?;
            losses::inherit(transaction, projection, number, new.started_from)?;
            Ok(number)
        })
    }

    /// Makes a generation the live one. The live one of now is on standby afterwards, or retired if
    /// `keep_standby` is false; another one on standby is retired, and so is what is being built of the version that
    /// was live: who rolls back does not want it to come back by itself. `declined` is the digest of the module that must
    /// not come back from here on, none if there is no such module.
    ///
    /// # Errors
    /// If the catalog cannot be written.
    pub fn make_live(
        &self,
        projection: &str,
        number: u32,
        keep_standby: bool,
        declined: Option<&str>,
    ) -> Result<(), CatalogError> {
        self.write(|transaction| {
            decline(transaction, projection, declined)?;
            // Out of the way first, since there is one of each state at any moment.
            let sql = "UPDATE generations SET state = 'switching' WHERE projection = ? AND number = ?";
            transaction.execute(sql, params![projection, number])?;
            retire(transaction, projection, "state = 'standby'")?;
            let of_live = "state IN ('building', 'failed') AND version = (SELECT live.version FROM generations live \
                           WHERE live.projection = generations.projection AND live.state = 'live')";
            retire(transaction, projection, of_live)?;
            if keep_standby {
                let sql = "UPDATE generations SET state = 'standby' WHERE projection = ? AND state = 'live'";
                transaction.execute(sql, [projection])?;
            } else {
                retire(transaction, projection, "state = 'live'")?;
            }
            let sql = "UPDATE generations SET state = 'live', promoted = ?, failure = NULL
                       WHERE projection = ? AND state = 'switching'";
            transaction.execute(sql, params![telemetry::now(), projection])?;
            Ok(())
        })
    }

    /// Says why a building generation cannot go on.
    ///
    /// # Errors
    /// If the catalog cannot be written.
    pub fn fail(&self, projection: &str, number: u32, why: &Problem) -> Result<(), CatalogError> {
        let why = self.json(why)?;
        self.write(|transaction| {
            let sql = "UPDATE generations SET state = 'failed', failure = ?
                       WHERE projection = ? AND number = ? AND state = 'building'";
            transaction
                .execute(sql, params![why, projection, number])
                .map(drop)
        })
    }

    /// Says something else of why a generation has failed.
    ///
    /// # Errors
    /// If the catalog cannot be written.
    pub fn explain(
        &self,
        projection: &str,
        number: u32,
        why: &Problem,
    ) -> Result<(), CatalogError> {
        let why = self.json(why)?;
        self.write(|transaction| {
            let sql = "UPDATE generations SET failure = ?
                       WHERE projection = ? AND number = ? AND state = 'failed'";
            let of = params![why, projection, number];
            transaction.execute(sql, of).map(drop)
        })
    }

    /// Retires what is being built, or has failed. A later version than the live one is declined: its module file must not
    /// begin it again.
    ///
    /// # Errors
    /// If the catalog cannot be written.
    pub fn cancel(&self, projection: &str, declined: Option<&str>) -> Result<(), CatalogError> {
        self.write(|transaction| {
            if declined.is_some() {
                decline(transaction, projection, declined)?;
            }
            retire(transaction, projection, "state IN ('building', 'failed')")
        })
    }

    /// Retires a generation that is not live.
    ///
    /// # Errors
    /// If the catalog cannot be written.
    pub fn retire(&self, projection: &str, number: u32) -> Result<(), CatalogError> {
        self.write(|transaction| {
            retire(
                transaction,
                projection,
                &format!("state <> 'live' AND number = {number}"),
            )
        })
    }

    /// Another module of the same definition feeds the live generation from here on. What is built to verify what
    /// the last module gave is retired.
    ///
    /// # Errors
    /// If the catalog cannot be written.
    pub fn reload(&self, projection: &str, number: u32, digest: &str) -> Result<(), CatalogError> {
        self.write(|transaction| {
            let sql = "UPDATE generations SET digest = ? WHERE projection = ? AND number = ?";
            transaction.execute(sql, params![digest, projection, number])?;
            let of_last = "state IN ('building', 'failed') AND purpose = 'verify'";
            retire(transaction, projection, of_last)
        })
    }

    /// Keeps how fast a generation was replayed: events per second.
    ///
    /// # Errors
    /// If the catalog cannot be written.
    pub fn replayed(&self, projection: &str, number: u32, rate: f64) -> Result<(), CatalogError> {
        self.write(|transaction| {
            let sql = "UPDATE generations SET replay_rate = ? WHERE projection = ? AND number = ?";
            transaction
                .execute(sql, params![rate, projection, number])
                .map(drop)
        })
    }

    /// A module must not be built again while it is the one that lies in the projection's file; none if any may.
    ///
    /// # Errors
    /// If the catalog cannot be written.
    pub fn decline(&self, projection: &str, digest: Option<&str>) -> Result<(), CatalogError> {
        self.write(|transaction| decline(transaction, projection, digest))
    }

    /// Pauses a projection, or lets it go on.
    ///
    /// # Errors
    /// If the catalog cannot be written.
    pub fn pause(&self, projection: &str, paused: bool) -> Result<(), CatalogError> {
        self.write(|transaction| {
            let sql = "UPDATE projections SET paused = ? WHERE name = ?";
            transaction
                .execute(sql, params![paused, projection])
                .map(drop)
        })
    }

    /// Forgets a projection with all its generations. Its modules stay.
    ///
    /// # Errors
    /// If the catalog cannot be written.
    pub fn remove(&self, projection: &str) -> Result<(), CatalogError> {
        self.write(|transaction| {
            let sql = "DELETE FROM projections WHERE name = ?";
            transaction.execute(sql, [projection]).map(drop)
        })
    }

    pub(super) fn json(&self, value: &impl Serialize) -> Result<String, CatalogError> {
        serde_json::to_string(value)
            .map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))
            .map_err(|source| super::error(&self.path, source))
    }
}

/// Digest of a later version that is given up for a generation of the live one.
fn given_up_for(
    connection: &Connection,
    new: &NewGeneration<'_>,
) -> rusqlite::Result<Option<String>> {
    let sql = "SELECT later.digest FROM generations later JOIN generations live USING (projection)
               WHERE projection = ?1 AND live.state = 'live' AND live.version = ?2
               AND later.state IN ('building', 'failed') AND later.version > ?2";
    let of = params![new.definition.name, new.definition.version];
    connection.query_row(sql, of, |row| row.get(0)).optional()
}

fn decline(
    connection: &Connection,
    projection: &str,
    digest: Option<&str>,
) -> rusqlite::Result<()> {
    let sql = "UPDATE projections SET declined = ? WHERE name = ?";
    connection
        .execute(sql, params![digest, projection])
        .map(drop)
}

fn retire(connection: &Connection, projection: &str, which: &str) -> rusqlite::Result<()> {
    let sql = format!(
        "UPDATE generations SET state = 'retired', retired = ? WHERE projection = ? AND state <> 'retired' AND {which}"
    );
    connection
        .execute(&sql, params![telemetry::now(), projection])
        .map(drop)
}

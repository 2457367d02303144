//! Every module that ran, by its digest: a file that is overwritten on disk can still be run.

use rusqlite::{OptionalExtension as _, params};

use super::{Catalog, CatalogError};
use crate::telemetry;

/// Modules kept for each projection beyond those that a generation needs; the oldest go first.
const UNUSED_MAX: u32 = 50;

impl Catalog {
    /// Keeps a module before it runs for the first time. `file` is where it came from, for people.
    ///
    /// # Errors
    /// If the catalog cannot be written.
    pub fn store_module(
        &self,
        projection: &str,
        digest: &str,
        file: &str,
        bytes: &[u8],
    ) -> Result<(), CatalogError> {
        self.write(|transaction| {
            let sql = "INSERT INTO modules (digest, projection, file, stored, bytes) VALUES (?, ?, ?, ?, ?)
                       ON CONFLICT (digest) DO NOTHING";
            let new = params![digest, projection, file, telemetry::now(), bytes];
            if transaction.execute(sql, new)? == 0 {
                return Ok(());
            }
            let sql = "DELETE FROM modules WHERE rowid IN (
                         SELECT rowid FROM modules WHERE projection = ?1 AND digest <> ?2
                         AND digest NOT IN (SELECT digest FROM generations WHERE state <> 'retired')
                         ORDER BY rowid DESC LIMIT -1 OFFSET ?3)";
            transaction
                .execute(sql, params![projection, digest, UNUSED_MAX])
                .map(drop)
        })
    }

    /// The digests of all modules that are kept.
    ///
    /// # Errors
    /// If the catalog cannot be read.
    pub fn module_digests(&self) -> Result<Vec<String>, CatalogError> {
        self.read(|connection| {
            let mut statement = connection.prepare("SELECT digest FROM modules")?;
            statement.query_map([], |row| row.get(0))?.collect()
        })
    }

    /// A module's bytes.
    ///
    /// # Errors
    /// [`CatalogError::NoModule`] if it was never stored; others if the catalog cannot be read.
    pub fn module(&self, digest: &str) -> Result<Vec<u8>, CatalogError> {
        let found = self.read(|connection| {
            let sql = "SELECT bytes FROM modules WHERE digest = ?";
            connection
                .query_row(sql, [digest], |row| row.get(0))
                .optional()
        })?;
        found.ok_or_else(|| CatalogError::NoModule {
            file: self.path.display().to_string(),
            digest: digest.to_owned(),
        })
    }
}

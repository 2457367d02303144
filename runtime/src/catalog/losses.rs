//! Events that generations have found to be lost, and those that were accepted to be: what their read models are built
//! without.

use rusqlite::params;

use super::{Catalog, CatalogError};
use crate::source::LostEvents;

/// Losses at most that are kept for a generation; older ones are forgotten.
const LOSSES_MAX: u32 = 100;

impl Catalog {
    /// A generation has found that events are lost, whether or not that is accepted. A server that is started again takes
    /// them for deleted.
    ///
    /// # Errors
    /// If the catalog cannot be written.
    pub fn add_loss(
        &self,
        projection: &str,
        number: u32,
        lost: LostEvents,
    ) -> Result<(), CatalogError> {
        if self.losses(projection, number)?.contains(&lost) {
            return Ok(());
        }
        self.write(|transaction| {
            let sql =
                "INSERT OR REPLACE INTO losses (projection, number, first, last) VALUES (?, ?, ?, ?)";
            let (first, last) = (lost.first.cast_signed(), lost.last.cast_signed());
            transaction.execute(sql, params![projection, number, first, last])?;
            let sql = "DELETE FROM losses WHERE projection = ?1 AND number = ?2 AND first NOT IN
                       (SELECT first FROM losses WHERE projection = ?1 AND number = ?2 ORDER BY first DESC LIMIT ?3)";
            let old = params![projection, number, LOSSES_MAX];
            transaction.execute(sql, old).map(drop)
        })
    }

    /// What was lost is there again.
    ///
    /// # Errors
    /// If the catalog cannot be written.
    pub fn remove_loss(
        &self,
        projection: &str,
        number: u32,
        lost: LostEvents,
    ) -> Result<(), CatalogError> {
        self.write(|transaction| {
            let sql = "DELETE FROM losses WHERE projection = ? AND number = ? AND first = ?";
            let of = params![projection, number, lost.first.cast_signed()];
            transaction.execute(sql, of).map(drop)
        })
    }

    /// What a generation has found to be lost, in the order of the stream.
    ///
    /// # Errors
    /// If the catalog cannot be read.
    pub fn losses(&self, projection: &str, number: u32) -> Result<Vec<LostEvents>, CatalogError> {
        self.read(|connection| {
            let sql =
                "SELECT first, last FROM losses WHERE projection = ? AND number = ? ORDER BY first";
            let mut statement = connection.prepare_cached(sql)?;
            let found = statement.query_map(params![projection, number], |row| {
                let (first, last): (i64, i64) = (row.get(0)?, row.get(1)?);
                let (first, last) = (first.cast_unsigned(), last.cast_unsigned());
                Ok(LostEvents { first, last })
            })?;
            found.collect()
        })
    }
}

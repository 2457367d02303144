//! Events that generations have found to be lost: one row for each, the last loss that was found.

use rusqlite::{OptionalExtension as _, params};

use super::{Catalog, CatalogError};
use crate::source::LostEvents;

impl Catalog {
    /// A generation has found that events are lost. A server that is started again takes them for deleted.
    ///
    /// # Errors
    /// If the catalog cannot be written.
    pub fn add_loss(
        &self,
        projection: &str,
        number: u32,
        lost: LostEvents,
    ) -> Result<(), CatalogError> {
        if self.loss(projection, number)? == Some(lost) {
            return Ok(());
        }
        self.write(|transaction| {
            let sql = "INSERT OR REPLACE INTO losses (projection, number, first, last) VALUES (?, ?, ?, ?)";
            let (first, last) = (lost.first.cast_signed(), lost.last.cast_signed());
            let new = params![projection, number, first, last];
            transaction.execute(sql, new).map(drop)
        })
    }

    /// What a generation has found to be lost last, whether or not that is passed by now.
    ///
    /// # Errors
    /// If the catalog cannot be read.
    pub fn loss(&self, projection: &str, number: u32) -> Result<Option<LostEvents>, CatalogError> {
        self.read(|connection| {
            let sql = "SELECT first, last FROM losses WHERE projection = ? AND number = ?";
            let mut statement = connection.prepare_cached(sql)?;
            let found = statement.query_row(params![projection, number], |row| {
                let (first, last): (i64, i64) = (row.get(0)?, row.get(1)?);
                let (first, last) = (first.cast_unsigned(), last.cast_unsigned());
                Ok(LostEvents { first, last })
            });
            found.optional()
        })
    }
}

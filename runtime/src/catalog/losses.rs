//! Events that generations have found to be lost, and those that were accepted to be: what their read models are built
//! without.

use rusqlite::{Connection, params};

use super::{Catalog, CatalogError};
use crate::event::Sequence;
use crate::source::LostEvents;

/// Losses at most that are kept for a generation; older ones are forgotten.
const LOSSES_MAX: u32 = 100;

/// Events that a generation knows to be lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownLoss {
    /// Which ones.
    pub lost: LostEvents,
    /// Whether it goes on, or has gone on, without them.
    pub accepted: bool,
}

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
        let known = self.losses(projection, number)?;
        if known.iter().any(|known| known.lost == lost) {
            return Ok(());
        }
        self.keep(projection, number, lost, false)
    }

    /// A generation goes on without these events.
    ///
    /// # Errors
    /// If the catalog cannot be written.
    pub fn accept_loss(
        &self,
        projection: &str,
        number: u32,
        lost: LostEvents,
    ) -> Result<(), CatalogError> {
        self.keep(projection, number, lost, true)
    }

    fn keep(
        &self,
        projection: &str,
        number: u32,
        lost: LostEvents,
        accepted: bool,
    ) -> Result<(), CatalogError> {
        self.write(|transaction| {
            let sql = "INSERT OR REPLACE INTO losses (projection, number, first, last, accepted)
                       VALUES (?, ?, ?, ?, ?)";
            let (first, last) = (lost.first.cast_signed(), lost.last.cast_signed());
            transaction.execute(sql, params![projection, number, first, last, accepted])?;
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
        first: Sequence,
    ) -> Result<(), CatalogError> {
        self.write(|transaction| {
            let sql = "DELETE FROM losses WHERE projection = ? AND number = ? AND first = ?";
            let of = params![projection, number, first.cast_signed()];
            transaction.execute(sql, of).map(drop)
        })
    }

    /// What a generation knows to be lost, in the order of the stream.
    ///
    /// # Errors
    /// If the catalog cannot be read.
    pub fn losses(&self, projection: &str, number: u32) -> Result<Vec<KnownLoss>, CatalogError> {
        self.read(|connection| {
            let sql = "SELECT first, last, accepted FROM losses WHERE projection = ? AND number = ?
                       ORDER BY first";
            let mut statement = connection.prepare_cached(sql)?;
            let found = statement.query_map(params![projection, number], |row| {
                let (first, last): (i64, i64) = (row.get(0)?, row.get(1)?);
                let (first, last) = (first.cast_unsigned(), last.cast_unsigned());
                Ok(KnownLoss {
                    lost: LostEvents { first, last },
                    accepted: row.get(2)?,
                })
            })?;
            found.collect()
        })
    }
}

/// A new generation begins with what the live one knows: it asks for nothing to be accepted that its projection is without
/// anyway, and is told of what a server has forgotten since.
pub(super) fn inherit(
    connection: &Connection,
    projection: &str,
    number: u32,
    started_from: Option<Sequence>,
) -> rusqlite::Result<()> {
    let sql = "INSERT INTO losses (projection, number, first, last, accepted)
               SELECT projection, ?2, first, last, accepted FROM losses JOIN generations USING (projection, number)
               WHERE projection = ?1 AND state = 'live' AND number <> ?2 AND last >= ?3";
    let start = started_from.unwrap_or(1).cast_signed();
    let to = params![projection, number, start];
    connection.execute(sql, to).map(drop)
}

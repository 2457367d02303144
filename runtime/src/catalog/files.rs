//! The files of generations: whether they were made, are damaged, or are to be deleted.

use rusqlite::{OptionalExtension as _, params};

use super::{Catalog, CatalogError};
use crate::projection::Problem;

/// Retired generations that are remembered for each projection; older ones are forgotten.
const RETIRED_MAX: u32 = 20;

/// What happened to a generation's file so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FileHistory {
    /// It was made: where it is not there any more, somebody has deleted it.
    pub made: bool,
    /// It was found damaged, and nobody has found it whole since.
    pub damaged: bool,
}

impl Catalog {
    /// What happened to the file of a generation.
    ///
    /// # Errors
    /// If the catalog cannot be read.
    pub fn file_history(&self, projection: &str, number: u32) -> Result<FileHistory, CatalogError> {
        self.read(|connection| {
            let sql = "SELECT made, failure IS NOT NULL FROM generations WHERE projection = ? AND number = ?";
            let mut statement = connection.prepare_cached(sql)?;
            let found = statement.query_row(params![projection, number], |row| {
                Ok(FileHistory {
                    made: row.get(0)?,
                    damaged: row.get(1)?,
                })
            });
            Ok(found.optional()?.unwrap_or_default())
        })
    }

    /// The file of a generation is there and was opened.
    ///
    /// # Errors
    /// If the catalog cannot be written.
    pub fn file_opened(&self, projection: &str, number: u32) -> Result<(), CatalogError> {
        self.write(|transaction| {
            let sql = "UPDATE generations SET made = 1, failure = NULL
                       WHERE projection = ? AND number = ? AND state <> 'failed'";
            transaction
                .execute(sql, params![projection, number])
                .map(drop)
        })
    }

    /// The file of a generation is damaged. It is not opened again before it was looked through.
    ///
    /// # Errors
    /// If the catalog cannot be written.
    pub fn file_damaged(
        &self,
        projection: &str,
        number: u32,
        why: &Problem,
    ) -> Result<(), CatalogError> {
        let why = self.json(why)?;
        self.write(|transaction| {
            let sql = "UPDATE generations SET failure = ? WHERE projection = ? AND number = ?";
            transaction
                .execute(sql, params![why, projection, number])
                .map(drop)
        })
    }

    /// Files of retired generations that are still to be deleted, with their projection and number.
    ///
    /// # Errors
    /// If the catalog cannot be read.
    pub fn files_to_delete(&self) -> Result<Vec<(String, u32, String)>, CatalogError> {
        self.read(|connection| {
            let sql = "SELECT projection, number, file FROM generations WHERE state = 'retired' AND NOT deleted";
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            rows.collect()
        })
    }

    /// Says that the file of a retired generation is gone.
    ///
    /// # Errors
    /// If the catalog cannot be written.
    pub fn file_deleted(&self, projection: &str, number: u32) -> Result<(), CatalogError> {
        self.write(|transaction| {
            let sql = "UPDATE generations SET deleted = 1 WHERE projection = ? AND number = ?";
            transaction.execute(sql, params![projection, number])?;
            let sql = "DELETE FROM generations WHERE projection = ?1 AND state = 'retired' AND deleted AND number <=
                       (SELECT generations FROM projections WHERE name = ?1) - ?2";
            transaction.execute(sql, params![projection, RETIRED_MAX]).map(drop)
        })
    }

    /// Whether a file's name is taken by a generation, retired ones included.
    ///
    /// # Errors
    /// If the catalog cannot be read.
    pub fn is_file_taken(&self, file: &str) -> Result<bool, CatalogError> {
        self.read(|connection| {
            let sql = "SELECT 1 FROM generations WHERE file = ?";
            let found = connection.query_row(sql, [file], |_| Ok(())).optional()?;
            Ok(found.is_some())
        })
    }
}

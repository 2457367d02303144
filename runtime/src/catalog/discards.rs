//! Events that operators have given up. Each is one row that somebody asked for, so there is no limit on them; they go
//! with their projection.

use std::sync::Arc;

use rusqlite::{Row, params};
use serde::{Deserialize, Serialize};

use super::{Catalog, CatalogError};
use crate::event::{EventRef, Sequence};
use crate::telemetry;

/// An event that was given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discard {
    /// Which one.
    #[serde(flatten)]
    pub event: EventRef,
    /// When it was given up, RFC 3339.
    pub discarded: String,
}

/// What was given up of one projection's events.
#[derive(Debug, Clone)]
pub struct Discards {
    catalog: Arc<Catalog>,
    projection: String,
}

impl Discards {
    /// Those of this projection.
    pub fn new(catalog: Arc<Catalog>, projection: &str) -> Self {
        Self {
            catalog,
            projection: projection.to_owned(),
        }
    }

    /// An event is given up: whatever is built later passes over it, too, where it fails.
    ///
    /// # Errors
    /// If the catalog cannot be written.
    pub fn add(&self, event: &EventRef) -> Result<(), CatalogError> {
        self.catalog.discard(&self.projection, event)
    }

    /// Whether an event was given up. One of another stream that has its sequence was not.
    ///
    /// # Errors
    /// If the catalog cannot be read.
    pub fn has(&self, event: &EventRef) -> Result<bool, CatalogError> {
        self.catalog.is_discarded(&self.projection, event)
    }
}

impl Catalog {
    /// An event of a projection is given up.
    ///
    /// # Errors
    /// If the catalog cannot be written.
    pub fn discard(&self, projection: &str, event: &EventRef) -> Result<(), CatalogError> {
        self.write(|transaction| {
            let sql =
                "INSERT OR REPLACE INTO discards (projection, sequence, time, subject, discarded)
                       VALUES (?, ?, ?, ?, ?)";
            let sequence = event.sequence.cast_signed();
            let now = telemetry::now();
            let new = params![projection, sequence, event.time, event.subject, now];
            transaction.execute(sql, new).map(drop)
        })
    }

    fn is_discarded(&self, projection: &str, event: &EventRef) -> Result<bool, CatalogError> {
        self.read(|connection| {
            let sql = "SELECT 1 FROM discards WHERE projection = ? AND sequence = ? AND time = ?";
            let of = params![projection, event.sequence.cast_signed(), event.time];
            connection.prepare_cached(sql)?.exists(of)
        })
    }

    /// The first events behind `after` that were given up, at most `limit`, in the order of their sequences; more where
    /// the last of them shares its sequence with events of other streams.
    ///
    /// # Errors
    /// If the catalog cannot be read.
    pub fn discards(
        &self,
        projection: &str,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<Discard>, CatalogError> {
        let after = i64::try_from(after).unwrap_or(i64::MAX);
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        self.read(|connection| {
            let mut select = connection.prepare(
                "SELECT sequence, time, subject, discarded FROM discards
                 WHERE projection = ?1 AND sequence > ?2 AND sequence <= (
                   SELECT max(sequence) FROM (SELECT sequence FROM discards
                   WHERE projection = ?1 AND sequence > ?2 ORDER BY sequence LIMIT ?3))
                 ORDER BY sequence, time",
            )?;
            let found = select.query_map(params![projection, after, limit], discard)?;
            found.collect()
        })
    }
}

fn discard(row: &Row<'_>) -> rusqlite::Result<Discard> {
    Ok(Discard {
        event: EventRef {
            sequence: row.get::<_, i64>(0)?.cast_unsigned(),
            time: row.get(1)?,
            subject: row.get(2)?,
        },
        discarded: row.get(3)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(sequence: Sequence, time: &str) -> EventRef {
        EventRef {
            sequence,
            time: time.to_owned(),
            subject: format!("orders.o-{sequence}.OrderPlaced"),
        }
    }

    fn opened(folder: &tempfile::TempDir) -> Arc<Catalog> {
        let catalog = Catalog::open(folder.path()).unwrap();
        catalog.set_module_file("orders", "orders.wasm").unwrap();
        catalog.into()
    }

    #[test]
    fn what_is_given_up_is_known_by_place_and_time_until_its_projection_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let catalog = opened(&folder);
        let (given_up, later) = (
            event(5, "2026-01-01T00:00:00Z"),
            event(7, "2026-01-02T00:00:00Z"),
        );
        let orders = Discards::new(Arc::clone(&catalog), "orders");
        for event in [&later, &given_up, &given_up] {
            orders.add(event).unwrap();
        }
        // Another stream may have the sequence, and another projection the event.
        assert!(!orders.has(&event(5, "2026-02-01T00:00:00Z")).unwrap());
        assert!(!Discards::new(catalog, "others").has(&given_up).unwrap());

        let catalog = opened(&folder);
        let orders = Discards::new(Arc::clone(&catalog), "orders");
        assert!(orders.has(&given_up).unwrap());
        let listed = |after, limit| {
            let found = catalog.discards("orders", after, limit).unwrap();
            found.into_iter().map(|one| one.event).collect::<Vec<_>>()
        };
        assert_eq!(listed(0, 9), [given_up.clone(), later.clone()]);
        assert_eq!(listed(0, 1), std::slice::from_ref(&given_up));
        assert_eq!(listed(5, 9), [later]);
        // A page ends behind all events of its last sequence.
        let of_another_stream = event(5, "2026-02-01T00:00:00Z");
        orders.add(&of_another_stream).unwrap();
        assert_eq!(listed(0, 1), [given_up.clone(), of_another_stream]);
        catalog.remove("orders").unwrap();
        assert!(!orders.has(&given_up).unwrap());
    }

    #[test]
    fn a_catalog_of_format_3_is_brought_up() {
        let folder = tempfile::tempdir().unwrap();
        let old = |connection: &rusqlite::Connection| {
            connection.execute_batch("DROP TABLE discards; PRAGMA user_version = 3;")
        };
        opened(&folder).read(old).unwrap();
        let given_up = event(5, "2026-01-01T00:00:00Z");
        let orders = Discards::new(opened(&folder), "orders");
        orders.add(&given_up).unwrap();
        assert!(orders.has(&given_up).unwrap());
    }
}

//! The read model of the hand-written services: the same table as that of the projection order-summary, the same
//! SQLite settings as the host's, and a checkpoint beside it.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use rusqlite::{CachedStatement, Connection, params};

use super::order::{Envelope, OrderPlaced, OrderShipped, PaymentProcessed};

const SCHEMA: &str = "
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
PRAGMA cache_size = -32768;
PRAGMA wal_autocheckpoint = 8192;
CREATE TABLE orders (
  order_id TEXT NOT NULL, customer_id TEXT NOT NULL, status TEXT NOT NULL, total REAL NOT NULL,
  item_count INTEGER NOT NULL, tracking_number TEXT, version INTEGER NOT NULL, updated_at TEXT NOT NULL,
  PRIMARY KEY (order_id)
) WITHOUT ROWID;
CREATE INDEX orders_by_customer_id ON orders (customer_id);
CREATE TABLE checkpoint (id INTEGER PRIMARY KEY, sequence INTEGER NOT NULL);
INSERT INTO checkpoint VALUES (1, 0);
";

const PLACE: &str = "INSERT INTO orders VALUES (?1, ?2, 'placed', ?3, ?4, NULL, ?5, ?6)
  ON CONFLICT DO UPDATE SET customer_id = excluded.customer_id, status = excluded.status,
    total = excluded.total, item_count = excluded.item_count, tracking_number = NULL,
    version = excluded.version, updated_at = excluded.updated_at";
const CHANGE: &str =
    "UPDATE orders SET status = ?2, version = ?3, updated_at = ?4 WHERE order_id = ?1";
const SHIP: &str =
    "UPDATE orders SET status = 'shipped', version = ?2, updated_at = ?3, tracking_number = ?4
  WHERE order_id = ?1";

/// Makes the file and the tables.
pub(super) fn create(path: &Path) -> Result<Connection> {
    let database = Connection::open(path).with_context(|| format!("opening {}", path.display()))?;
    database.execute_batch(SCHEMA)?;
    Ok(database)
}

/// The statements that events become, prepared once.
pub(super) struct Orders<'c> {
    place: CachedStatement<'c>,
    change: CachedStatement<'c>,
    ship: CachedStatement<'c>,
    checkpoint: CachedStatement<'c>,
    begin: CachedStatement<'c>,
    commit: CachedStatement<'c>,
}

impl<'c> Orders<'c> {
    pub(super) fn new(database: &'c Connection) -> Result<Self> {
        Ok(Self {
            place: database.prepare_cached(PLACE)?,
            change: database.prepare_cached(CHANGE)?,
            ship: database.prepare_cached(SHIP)?,
            checkpoint: database.prepare_cached("UPDATE checkpoint SET sequence = ?1")?,
            begin: database.prepare_cached("BEGIN IMMEDIATE")?,
            commit: database.prepare_cached("COMMIT")?,
        })
    }

    pub(super) fn begin(&mut self) -> Result<()> {
        self.begin.execute([])?;
        Ok(())
    }

    /// Commits everything since [`Self::begin`] together with the place it stands for.
    pub(super) fn commit(&mut self, sequence: u64) -> Result<()> {
        self.checkpoint.execute([i64::try_from(sequence)?])?;
        self.commit.execute([])?;
        Ok(())
    }

    /// Does to the table what one event says.
    pub(super) fn apply(&mut self, payload: &[u8]) -> Result<()> {
        let event: Envelope<'_> = serde_json::from_slice(payload)?;
        match event.event_type {
            "OrderPlaced" => self.placed(&event),
            "PaymentProcessed" => {
                let payment: PaymentProcessed<'_> = serde_json::from_str(event.payload.get())?;
                match &*payment.status {
                    "success" => self.changed(&event, "paid"),
                    "failed" => self.changed(&event, "payment_failed"),
                    other => bail!("a payment has the status {other}"),
                }
            }
            "OrderShipped" => self.shipped(&event),
            "OrderCancelled" => self.changed(&event, "cancelled"),
            _ => Ok(()),
        }
    }

    fn placed(&mut self, event: &Envelope<'_>) -> Result<()> {
        let order: OrderPlaced<'_> = serde_json::from_str(event.payload.get())?;
        let items: i64 = order.items.iter().map(|item| item.quantity).sum();
        let (id, customer) = (&*event.aggregate_id, &*order.customer_id);
        let values = params![
            id,
            customer,
            order.total_amount,
            items,
            event.version,
            &*event.timestamp
        ];
        self.place.execute(values)?;
        Ok(())
    }

    fn changed(&mut self, event: &Envelope<'_>, status: &str) -> Result<()> {
        let values = params![
            &*event.aggregate_id,
            status,
            event.version,
            &*event.timestamp
        ];
        self.change.execute(values)?;
        Ok(())
    }

    fn shipped(&mut self, event: &Envelope<'_>) -> Result<()> {
        let parcel: OrderShipped<'_> = serde_json::from_str(event.payload.get())?;
        let number = &*parcel.tracking_number;
        let values = params![
            &*event.aggregate_id,
            event.version,
            &*event.timestamp,
            number
        ];
        self.ship.execute(values)?;
        Ok(())
    }
}

"""What a good Pathway service does: its JetStream input, its expressions and reducers for the fold, its persistence.

Started by `cargo xtask bench`: prints `done` when event LAST is committed, and ends when stdin is closed. The stream
ends with LAST, because Pathway reads on as fast as it can, whatever its pipeline has use for.

Rows go to SQLite by `pw.io.subscribe`, one transaction for each of Pathway's minibatches. Its own SQLite output was
tried: it takes no settings, deletes a row before it writes it anew, and was slower.
"""

import asyncio
import os
import sqlite3
import sys

import nats
import pathway as pw
from nats.js.api import AckPolicy, ConsumerConfig

# Between two minibatches. Pathway's own value, 1,500, and others from 100 on make no difference that can be seen.
COMMIT_MS = 500

SCHEMA = """
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
"""
PUT = """INSERT INTO orders VALUES (:order_id, :customer_id, :status, :total, :items, :tracking_number, :version, :time)
  ON CONFLICT DO UPDATE SET customer_id = excluded.customer_id, status = excluded.status,
    total = excluded.total, item_count = excluded.item_count, tracking_number = excluded.tracking_number,
    version = excluded.version, updated_at = excluded.updated_at"""


class Event(pw.Schema, append_only=True):
    """Saying that events are never taken back lets reducers keep one value instead of all."""

    event_id: str
    kind: str
    order_id: str
    version: int
    time: str
    customer_id: str | None = pw.column_definition(default_value=None)
    total: float | None = pw.column_definition(default_value=None)
    items: pw.Json | None = pw.column_definition(default_value=None)
    payment: str | None = pw.column_definition(default_value=None)
    tracking_number: str | None = pw.column_definition(default_value=None)


PATHS = {
    "event_id": "/eventId",
    "kind": "/eventType",
    "order_id": "/aggregateId",
    "version": "/version",
    "time": "/timestamp",
    "customer_id": "/payload/customerId",
    "total": "/payload/totalAmount",
    "items": "/payload/items",
    "payment": "/payload/status",
    "tracking_number": "/payload/trackingNumber",
}


@pw.udf(deterministic=True, propagate_none=True)
def quantity(items: pw.Json) -> int:
    """Called for placed orders only, the one step of the fold in Python."""
    return sum(item["quantity"] for item in items.value)


def fold(events):
    """One row for each order: the newest change by its version, and what only one event of an order says."""
    paid = pw.if_else(pw.this.payment == "success", "paid", "payment_failed")
    ended = pw.if_else(pw.this.kind == "OrderCancelled", "cancelled", paid)
    moved = pw.if_else(pw.this.kind == "OrderShipped", "shipped", ended)
    status = pw.if_else(pw.this.kind == "OrderPlaced", "placed", moved)
    changes = events.select(
        pw.this.order_id,
        newest=pw.make_tuple(pw.this.version, status, pw.this.time, pw.this.event_id),
        # What is empty is less than anything an event says.
        placed=pw.make_tuple(
            pw.coalesce(pw.this.customer_id, ""),
            pw.coalesce(pw.this.total, 0.0),
            pw.coalesce(quantity(pw.this.items), 0),
        ),
        tracking_number=pw.coalesce(pw.this.tracking_number, ""),
    )
    orders = changes.groupby(pw.this.order_id).reduce(
        pw.this.order_id,
        newest=pw.reducers.max(pw.this.newest),
        placed=pw.reducers.max(pw.this.placed),
        tracking_number=pw.reducers.max(pw.this.tracking_number),
    )
    return orders.select(
        pw.this.order_id,
        customer_id=pw.this.placed[0],
        status=pw.this.newest[1],
        total=pw.this.placed[1],
        items=pw.this.placed[2],
        tracking_number=pw.if_else(pw.this.tracking_number == "", None, pw.this.tracking_number),
        version=pw.this.newest[0],
        time=pw.this.newest[2],
        event_id=pw.this.newest[3],
    )


class Orders:
    """Writes what Pathway found changed, and ends the program behind the last event."""

    def __init__(self, path, last):
        # Pathway calls from a thread of its own, always the same one.
        self.database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.database.executescript(SCHEMA)
        self.last = f"evt-{last:010}"
        self.rows = []

    def change(self, key, row, time, is_addition):
        """Part of a minibatch. A row that changes is taken away and added; the addition says all."""
        if is_addition:
            self.rows.append(row)

    def commit(self, time):
        """The end of a minibatch."""
        if not self.rows:
            return
        self.database.execute("BEGIN IMMEDIATE")
        self.database.executemany(PUT, self.rows)
        self.database.execute("COMMIT")
        # Every event changes its order, and events are read in order: all up to the newest one are committed.
        newest = max(row["event_id"] for row in self.rows)
        self.rows.clear()
        if newest == self.last:
            print("done", flush=True)
            sys.stdin.read()
            # `pw.run` reads a stream for ever.
            os._exit(0)


async def make_consumer(url, stream, name):
    """A durable one, as a service has. Pathway acknowledges each event once its own checkpoint covers it."""
    client = await nats.connect(url)
    config = ConsumerConfig(
        durable_name=name, ack_policy=AckPolicy.EXPLICIT, max_ack_pending=-1, inactive_threshold=10
    )
    await client.jetstream().add_consumer(stream, config)
    await client.close()


def replay(url, last, path):
    stream, consumer = f"FIRST_{last}", f"pathway-{os.getpid()}"
    asyncio.run(make_consumer(url, stream, consumer))
    events = pw.io.nats.read(
        url,
        f"first.{last}.>",
        format="json",
        schema=Event,
        json_field_paths=PATHS,
        jetstream_stream_name=stream,
        durable_consumer_name=consumer,
        autocommit_duration_ms=COMMIT_MS,
    )
    orders = Orders(path, last)
    pw.io.subscribe(fold(events), on_change=orders.change, on_time_end=orders.commit)
    checkpoints = pw.persistence.Backend.filesystem("checkpoints")
    persistence = pw.persistence.Config(checkpoints, snapshot_interval_ms=1_000)
    pw.run(monitoring_level=pw.MonitoringLevel.NONE, persistence_config=persistence)


if __name__ == "__main__":
    replay(sys.argv[1], int(sys.argv[2]), sys.argv[3])

"""What a good Python service does: nats-py, batches of 500, one SQLite transaction for each with the checkpoint in it.

Started by `cargo xtask bench`: prints `done` when event LAST is committed, and ends when stdin is closed.
"""

import asyncio
import json
import os
import sqlite3
import sys

import nats
from nats.js.api import AckPolicy, ConsumerConfig

BATCH = 500

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
CREATE TABLE checkpoint (id INTEGER PRIMARY KEY, sequence INTEGER NOT NULL);
INSERT INTO checkpoint VALUES (1, 0);
"""
PLACE = """INSERT INTO orders VALUES (?, ?, 'placed', ?, ?, NULL, ?, ?)
  ON CONFLICT DO UPDATE SET customer_id = excluded.customer_id, status = excluded.status,
    total = excluded.total, item_count = excluded.item_count, tracking_number = NULL,
    version = excluded.version, updated_at = excluded.updated_at"""
CHANGE = "UPDATE orders SET status = ?, version = ?, updated_at = ? WHERE order_id = ?"
SHIP = "UPDATE orders SET status = 'shipped', version = ?, updated_at = ?, tracking_number = ? WHERE order_id = ?"
PAYMENT = {"success": "paid", "failed": "payment_failed"}


def apply(database, event):
    """Does to the table what one event says."""
    kind, order, data = event["eventType"], event["aggregateId"], event["payload"]
    version, time = event["version"], event["timestamp"]
    if kind == "OrderPlaced":
        items = sum(item["quantity"] for item in data["items"])
        database.execute(PLACE, (order, data["customerId"], data["totalAmount"], items, version, time))
    elif kind == "PaymentProcessed":
        database.execute(CHANGE, (PAYMENT[data["status"]], version, time, order))
    elif kind == "OrderShipped":
        database.execute(SHIP, (version, time, data["trackingNumber"], order))
    elif kind == "OrderCancelled":
        database.execute(CHANGE, ("cancelled", version, time, order))


async def replay(url, last, path):
    database = sqlite3.connect(path, isolation_level=None)
    database.executescript(SCHEMA)
    client = await nats.connect(url)
    # With explicit acknowledgements a fetch that times out loses nothing; one for each batch is enough.
    config = ConsumerConfig(ack_policy=AckPolicy.ALL, max_ack_pending=2 * BATCH, inactive_threshold=10)
    # A durable one, as a service has; one for each run, because the server remembers how far it got.
    consumer = await client.jetstream().pull_subscribe("orders.>", f"python-{os.getpid()}", config=config)
    sequence = 0
    while sequence < last:
        messages = await consumer.fetch(min(BATCH, last - sequence), timeout=5)
        database.execute("BEGIN IMMEDIATE")
        for message in messages:
            apply(database, json.loads(message.data))
        sequence = messages[-1].metadata.sequence.stream
        database.execute("UPDATE checkpoint SET sequence = ?", (sequence,))
        database.execute("COMMIT")
        await messages[-1].ack()
    print("done", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    asyncio.run(replay(sys.argv[1], int(sys.argv[2]), sys.argv[3]))

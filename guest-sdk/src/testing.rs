//! Tests a projection in plain `cargo test`: no Wasm, no NATS, no host.
//!
//! ```
//! use foldline_sdk::testing::{envelope, given, json};
//! use foldline_sdk::{Event, ReadModel, Result, Table, projection};
//! use serde::Deserialize;
//!
//! #[derive(Table)]
//! struct Order {
//!     #[key]
//!     order_id: String,
//!     status: String,
//! }
//!
//! #[derive(Deserialize)]
//! enum OrderEvent {
//!     OrderPlaced,
//!     OrderCancelled,
//! }
//!
//! #[projection(name = "orders", version = 1, subjects = ["orders.>"], tables = [Order])]
//! fn orders(event: &Event, rows: &mut ReadModel) -> Result<()> {
//!     let Some((envelope, order)) = event.decode()? else { return Ok(()) };
//!     let status = match order {
//!         OrderEvent::OrderPlaced => "placed",
//!         OrderEvent::OrderCancelled => "cancelled",
//!     };
//!     rows.put(Order { order_id: envelope.aggregate_id()?.to_owned(), status: status.to_owned() })
//! }
//!
//! given::<orders>([
//!     envelope("OrderPlaced", json!({})).aggregate("o-1").on("orders.o-1.OrderPlaced"),
//!     envelope("OrderCancelled", json!({})).aggregate("o-1").on("orders.o-1.OrderCancelled"),
//! ])
//! .then([Order { order_id: "o-1".to_owned(), status: "cancelled".to_owned() }]);
//! ```
//!
//! The events are projected again and again, cut into batches in other places each time, and every
//! batch on a thread of its own: whatever the host does, the rows must be the same. Where they are
//! not, the test fails and names the first difference. A fresh instance of a module has fresh
//! memory, and here each batch has fresh `thread_local!`s; a `static` however cannot be reset
//! natively, so a projection that keeps something in one passes here and goes wrong in the host.
//! Keep in tables what has to last beyond one event.

mod batching;
mod difference;
mod event;
mod memory;

use std::fmt;
use std::marker::PhantomData;

pub use serde_json::json;

use self::batching::Run;
#[cfg(test)]
pub(crate) use self::event::batch;
pub use self::event::{TestEnvelope, TestEvent, envelope, event};
use crate::table::{Listed, Table};
use crate::{Projection, Result};

/// Projects the events, in all batchings.
///
/// # Panics
///
/// When an event's subject is not one the projection asked for, when the projection panics, and
/// when the rows depend on how the events are cut into batches.
#[must_use = "say what the rows are: `.then([…])`"]
#[track_caller]
pub fn given<P: Projection>(events: impl IntoIterator<Item = TestEvent>) -> Outcome<P> {
    let events: Vec<TestEvent> = events.into_iter().collect();
    batching::check_subjects::<P>(&events);
    Outcome {
        run: batching::run_all::<P>(&events),
        events: events.len(),
        projection: PhantomData,
    }
}

/// What became of the events. Every check fails its test by a panic that says what differs.
pub struct Outcome<P> {
    run: Run,
    events: usize,
    projection: PhantomData<P>,
}

impl<P: Projection> Outcome<P> {
    /// The events were applied, and the table of `T` holds exactly these rows, in any order. For no
    /// rows at all write `.then::<Order>([])`.
    ///
    /// # Panics
    ///
    /// When an event was rejected or the rows differ.
    #[track_caller]
    pub fn then<T: Listed>(self, rows: impl IntoIterator<Item = T>) -> Self {
        if let Some(rejected) = &self.run.rejected {
            panic!("{rejected}");
        }
        self.and(rows)
    }

    /// And the table of `T` holds exactly these rows.
    ///
    /// # Panics
    ///
    /// When the rows differ.
    #[track_caller]
    pub fn and<T: Listed>(self, rows: impl IntoIterator<Item = T>) -> Self {
        let expected = memory::rows_of(&T::DEFINITION, rows)
            .unwrap_or_else(|error| panic!("an expected row: {error:#}"));
        let found = self.run.tables.rows_of::<T>();
        if let Some(difference) = difference::first(&T::DEFINITION, &expected, found) {
            panic!("{difference}");
        }
        self
    }

    /// The last event was rejected with a reason that contains this text; those before it were
    /// applied.
    ///
    /// # Panics
    ///
    /// When it was not.
    #[track_caller]
    pub fn then_rejects(self, reason: &str) -> Self {
        match &self.run.rejected {
            None => {
                panic!("the last event should have been rejected ({reason}), but all were applied")
            }
            Some(rejected) if rejected.event + 1 < self.events => {
                panic!("not the last event: {rejected}")
            }
            Some(rejected) if !rejected.reason.contains(reason) => {
                panic!("the reason does not contain {reason:?}: {rejected}")
            }
            Some(_) => self,
        }
    }

    /// The rows of the table of `T` in the order of its key, for checks of another kind.
    ///
    /// # Errors
    ///
    /// When a stored row does not fit the struct.
    pub fn rows<T: Listed>(&self) -> Result<Vec<T>> {
        self.run
            .tables
            .rows_of::<T>()
            .values()
            .cloned()
            .map(<T as Table>::from_values)
            .collect()
    }
}

impl<P> fmt::Debug for Outcome<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outcome")
            .field("run", &self.run)
            .finish_non_exhaustive()
    }
}

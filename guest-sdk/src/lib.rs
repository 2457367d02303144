//! Write a Foldline projection: a struct for the rows, an enum for the events, and one function.
//!
//! ```
//! use foldline_sdk::{Event, ReadModel, Result, Table, projection};
//! use serde::Deserialize;
//!
//! #[derive(Table)]
//! struct Customer {
//!     #[key]
//!     customer_id: String,
//!     orders: i64,
//!     spent: f64,
//! }
//!
//! #[derive(Deserialize)]
//! #[serde(rename_all_fields = "camelCase")]
//! enum OrderEvent {
//!     OrderPlaced { customer_id: String, total_amount: f64 },
//! }
//!
//! #[projection(name = "customers", version = 1, subjects = ["orders.>"], tables = [Customer])]
//! fn customers(event: &Event, rows: &mut ReadModel) -> Result<()> {
//!     let Some((_, OrderEvent::OrderPlaced { customer_id, total_amount })) = event.decode()? else {
//!         return Ok(()); // every other type of event
//!     };
//!     let new = || Customer { customer_id: customer_id.clone(), orders: 0, spent: 0.0 };
//!     rows.upsert(&customer_id, new, |customer| {
//!         customer.orders += 1;
//!         customer.spent += total_amount;
//!     })
//! }
//! ```
//!
//! In a crate with `crate-type = ["cdylib", "rlib"]`, `cargo build --release --target
//! wasm32-unknown-unknown` makes the module to drop into the host's folder, and `cargo test` tests the
//! function as it is, with [`testing`].
//!
//! A projection sees events in the order of the stream, each counted once: its changes are committed
//! together with the checkpoint. The same events must always give the same rows, so there is no clock,
//! no randomness, no file and no network, and memory lasts for one batch at most: what has to be
//! remembered belongs in a table.
//!
//! The modules in reading order: [`Event`] and its [`Envelope`] come in, [`ReadModel`] changes rows of a
//! [`Table`], whose columns are [`ColumnValue`]s found by [`Key`]; an [`Error`] rejects the event, with
//! [`bail!`], [`ensure!`] and `?`. [`log`]'s macros write to the host's log.
#![deny(missing_docs)]

// The generated bindings name this crate by its name.
#[cfg(target_arch = "wasm32")]
extern crate self as foldline_sdk;

mod column;
mod definition;
mod envelope;
mod event;
mod key;
mod projection;
mod read_model;
#[doc(hidden)]
pub mod row;
mod table;
mod value;

#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod guest;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;

pub use anyhow::{Context, Error, Result, bail, ensure};
pub use foldline_sdk_macros::{Table, projection};
pub use log;

pub use self::column::{ColumnValue, IndexValue, KeyValue};
pub use self::definition::{ColumnDefinition, ColumnType, Definition, EventKey, TableDefinition};
pub use self::envelope::{Envelope, Metadata};
pub use self::event::{Event, Headers, Timestamp};
pub use self::key::{Key, KeyPart};
pub use self::projection::Projection;
pub use self::read_model::ReadModel;
pub use self::table::{Find, Listed, Table};
pub use self::value::Value;

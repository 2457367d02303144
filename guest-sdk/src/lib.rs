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
//!     let Some((_, order)) = event.decode()? else {
//!         return Ok(()); // every other type of event
//!     };
//!     let OrderEvent::OrderPlaced { customer_id, total_amount } = order;
//!     let new = || Customer { customer_id: customer_id.clone(), orders: 0, spent: 0.0 };
//!     rows.upsert(&customer_id, new, |customer| {
//!         customer.orders += 1;
//!         customer.spent += total_amount;
//!     })
//! }
//! ```
//!
//! In a crate with `crate-type = ["cdylib", "rlib"]`, `cargo build --release --target
//! wasm32-unknown-unknown` makes the module to drop into the host's folder, and `cargo test` tests
//! the function as it is, with [`testing`].
//!
//! A replay spends much of its time in the module, so it pays to build it well. With these settings a
//! call of the example order-summary took 1.48 µs for an event instead of 2.16:
//!
//! ```toml
//! # Cargo.toml of the crate, or of its workspace
//! [profile.release]
//! lto = "fat"
//! codegen-units = 1
//! overflow-checks = true # a sum that overflows fails as in `cargo test`, instead of wrapping; costs 4 %
//! ```
//!
//! ```toml
//! # .cargo/config.toml beside it
//! [target.wasm32-unknown-unknown]
//! rustflags = ["-Ctarget-feature=+simd128", "-Cllvm-args=-inline-threshold=2000"]
//! ```
//!
//! A projection sees events in the order of the stream, each counted once: its changes are
//! committed together with the checkpoint. The same events must always give the same rows, so there
//! is no clock, no randomness, no file and no network, and memory lasts for one batch at most: what
//! has to be remembered belongs in a table. The order of a `HashMap` is not the same each time: where
//! order matters, as in a sum of `f64`, use a `BTreeMap`.
//!
//! The modules in reading order: [`Event`] and its [`Envelope`] come in, [`ReadModel`] changes rows
//! of a [`Table`], whose columns are [`ColumnValue`]s found by [`Key`]; an [`Error`] rejects the
//! event, with [`bail!`], [`ensure!`] and `?`. [`log`]'s macros write to the host's log, and so do
//! those of `tracing` with its feature `log`.
#![deny(missing_docs)]

// The generated bindings name this crate by its name.
#[cfg(target_arch = "wasm32")]
extern crate self as foldline_sdk;

mod column;
#[cfg(not(target_arch = "wasm32"))]
#[doc(hidden)]
pub mod columns;
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
/// A row type and its table. Field types without an attribute are those of [`ColumnValue`];
/// `Option` makes a column nullable.
///
/// ```
/// use foldline_sdk::Table;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Table)]
/// #[table(name = "order_lines", index(product_id, shipped))]
/// struct OrderLine {
///     #[key]
///     order_id: String,
///     #[key]
///     line: u32,
///     #[index]
///     product_id: String,
///     shipped: bool,
///     #[column(name = "remark")]
///     note: Option<String>,
///     #[json]
///     discounts: Vec<Discount>,
/// }
///
/// #[derive(Serialize, Deserialize)]
/// struct Discount {
///     reason: String,
///     percent: f64,
/// }
///
/// let search = OrderLine::by_product_id_and_shipped("p-1", false);
/// # let _ = (search, OrderLine::by_product_id("p-1"));
/// ```
///
/// On the struct:
/// - `#[table(name = "…")]`: the table's name. Without it, the struct's name in snake case and an
///   `s`.
/// - `#[table(index(a, b))]`: an index over several fields, and the function `by_a_and_b` to search
///   it.
///
/// On a field:
/// - `#[key]`: part of the primary key, in the order of the fields. At least one, at most six.
/// - `#[index]`: an index over this field, and the function `by_<field>` to search it.
/// - `#[json]`: stored as a JSON column, for any type that serde can serialize and deserialize. Objects are written with
///   their members sorted. Use `BTreeSet` instead of `HashSet`, whose order is another one each time; a number that is
///   not finite becomes `null`. A nullable column needs `Option` by that name, not by an alias.
/// - `#[column(name = "…")]`: the column's name, where the field's name will not do.
pub use foldline_sdk_macros::Table;
/// A function as a projection: it is called with every event of the stream that matches `subjects`,
/// in order, and changes the rows of its tables.
///
/// ```
/// # use foldline_sdk::{Event, ReadModel, Result, Table, projection};
/// # #[derive(Table)]
/// # struct Order { #[key] order_id: String }
/// #[projection(
///     name = "order-summary",
///     version = 1,
///     subjects = ["orders.>"],
///     key = subject_token(1),
///     tables = [Order],
/// )]
/// fn order_summary(event: &Event, rows: &mut ReadModel) -> Result<()> {
///     // …
/// #   Ok(())
/// }
/// ```
///
/// - `name`: `[a-z][a-z0-9-]*`, at most 63 characters.
/// - `version`: counts up from 1. The same version goes on where the module before it stopped; a
///   read model belongs to the version that built it.
/// - `subjects`: NATS subject filters; `*` stands for one token, a last `>` for one or more.
/// - `key`: which events belong together, `subject_token(N)` counted from 0 or `header("Name")`.
///   Order is kept per key when events have to be held back. Without it, order is kept for the
///   stream as a whole.
/// - `tables`: the row types the projection uses, from the same crate. Others cannot be put or got.
///
/// The function stays a function. Beside it, its name also becomes a type that implements
/// [`Projection`], for the test kit: `given::<order_summary>([…])`. A crate holds one projection:
/// for `wasm32` the module's exports are written too. They contain `unsafe` code, so a crate that
/// forbids it does so natively: `#![cfg_attr(not(target_arch = "wasm32"), forbid(unsafe_code))]`.
pub use foldline_sdk_macros::projection;
pub use {log, serde_json};

pub use self::column::{ColumnValue, IndexValue, KeyValue};
pub use self::definition::{ColumnDefinition, ColumnType, Definition, EventKey, TableDefinition};
pub use self::envelope::{Envelope, Metadata};
pub use self::event::{Event, Headers, Timestamp};
pub use self::key::{Key, KeyPart};
pub use self::projection::Projection;
pub use self::read_model::ReadModel;
pub use self::table::{Find, Listed, Table};
pub use self::value::Value;

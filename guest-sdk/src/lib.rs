//! Placeholder.
#![deny(missing_docs)]

// What the macros and the generated bindings write names this crate by its name.
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

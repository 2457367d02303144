//! What must hold of any bytes that come from outside: from a guest, a stream, a client, a file.
//!
//! Each module has one function `holds` that takes any bytes and panics where its property does not hold. The
//! fuzz targets in `fuzz/` call them with what a fuzzer comes up with; `tests/corpus.rs` calls them with the
//! inputs that fuzzing found worth keeping, in every run of the tests.
//!
//! - [`row`]: one packed row, as a guest sends it
//! - [`guest_calls`]: everything a guest may ask of its read model, beside a plain map
//! - [`definition`]: what `describe` may say
//! - [`event_batch`]: events in columns, from the host's packing to the guest's reading
//! - [`query`]: paths and query strings, and whether SQLite finds the rows that were asked for
//! - [`config`]: `foldline.toml`
//! - [`guest_module`]: a module's file, up to its `describe`

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "this is test code: a panic is how a property fails"
)]

pub mod config;
pub mod definition;
pub mod event_batch;
pub mod guest_calls;
pub mod guest_module;
mod memory;
pub mod query;
pub mod row;
mod tables;

pub use memory::PEAK;

/// The name of each property, and the property.
pub const ALL: [(&str, fn(&[u8])); 7] = [
    ("row", row::holds),
    ("guest_calls", guest_calls::holds),
    ("definition", definition::holds),
    ("event_batch", event_batch::holds),
    ("query", query::holds),
    ("config", config::holds),
    ("guest_module", guest_module::holds),
];

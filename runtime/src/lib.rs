//! Foldline: a projection runtime for NATS JetStream.
//!
//! The modules in the order in which an event passes through them:
//!
//! | module | what it holds |
//! |---|---|
//! | [`event`], [`subject`] | plain data: one event, sequences, subjects and filters |
//! | [`source`] | **seam**: where events come from (JetStream, or memory), and the shared readers |
//! | [`batch`] | events in order, packed in columns |
//! | [`guest`] | projection modules: loaded, checked, sandboxed, called, watched |
//! | [`value`], [`definition`], [`changes`] | what a guest says of its tables, and what it asks for |
//! | [`session`] | rows in memory with what was asked for on top, and when they go to the store |
//! | [`store`] | **seam**: rows and checkpoint in one commit (SQLite, or memory) |
//! | [`projection`] | the loop that joins the above; what people see of it |
//! | [`supervisor`] | one task per projection: start, restart, reload, drain |
//! | [`query`] | HTTP over the committed read models |
//! | [`host`] | the only place that wires everything |
//!
//! Nothing on a later line calls back to an earlier one: the store does not know guests, a guest does not
//! know NATS, and the query side only reads the store.

pub mod batch;
pub mod catalog;
pub mod changes;
pub mod config;
pub mod definition;
pub mod event;
pub mod guest;
pub mod host;
pub mod projection;
pub mod query;
pub mod session;
pub mod source;
pub mod store;
pub mod subject;
pub mod supervisor;
pub mod telemetry;
pub mod value;

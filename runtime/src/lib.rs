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
//! | [`catalog`] | which generations there are, and what state each is in |
//! | [`supervisor`] | one loop over messages: modules that come and go, commands, runs that end |
//! | [`query`] | HTTP over the committed read models, and the commands of operators |
//! | [`config`], [`telemetry`] | the settings, and the log |
//! | [`host`] | the only place that wires everything |
//!
//! Data goes down the table and nothing is called back: the store does not know guests, a guest does not know NATS, and
//! the query side reads the store and hands commands to the supervisor.

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

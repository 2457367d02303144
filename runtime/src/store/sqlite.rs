//! Being written.

pub mod reader;

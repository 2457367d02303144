//! What tests of several crates share.
//!
//! It does not depend on the `foldline` library, so that the library's own tests can use it.

#![allow(
    clippy::expect_used,
    reason = "this is test code: a panic is how a test fails"
)]

pub mod nats;

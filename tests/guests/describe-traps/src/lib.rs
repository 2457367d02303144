//! A module that cannot even say what it is. The SDK cannot be made to do this, so it is written without.

#![cfg(target_arch = "wasm32")]

#[allow(
    missing_docs,
    unsafe_code,
    clippy::all,
    clippy::pedantic,
    reason = "wit-bindgen writes this; projection.wit documents every item"
)]
mod bindings {
    wit_bindgen::generate!({
        path: "../../../guest-sdk/wit",
        world: "projection",
        default_bindings_module: "crate::bindings",
    });

    export!(Trapping);

    use super::Trapping;
}

use bindings::{Definition, EventBatch, Guest, Rejection};

struct Trapping;

impl Guest for Trapping {
    fn describe() -> Definition {
        unreachable!("describe")
    }

    fn project(_events: EventBatch) -> Result<(), Rejection> {
        Ok(())
    }
}

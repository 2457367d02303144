//! Generated from `wit/projection.wit`, the file the host is generated from too.
#![allow(
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    unsafe_code,
    clippy::all,
    clippy::pedantic,
    reason = "wit-bindgen writes this; the contract's documentation is in the WIT file"
)]

wit_bindgen::generate!({
    world: "projection",
    path: "wit",
    // What a module sends is borrowed from its rows, what it gets it owns.
    ownership: Borrowing { duplicate_if_necessary: true },
    runtime_path: "::foldline_sdk::guest::wit_bindgen::rt",
    pub_export_macro: true,
    default_bindings_module: "foldline_sdk::guest::bindings",
});

//! The example `order-summary` with one word changed; `build.rs` makes it.

include!(concat!(env!("OUT_DIR"), "/projection.rs"));

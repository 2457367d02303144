//! What the single steps of a replay cost. `cargo xtask bench --micro` builds the module and runs them.
//!
//! | file | step |
//! |---|---|
//! | `packing` | events into columns, and matching their subjects |
//! | `guest` | one call of a module, with its rows going in and out |
//! | `commit` | 1,000 rows and the checkpoint into SQLite |

#![allow(
    missing_docs,
    reason = "a program; divan's attribute makes items public"
)]
#![allow(
    clippy::unwrap_used,
    reason = "a benchmark that cannot go on has nothing to say"
)]

mod commit;
mod events;
mod guest;
mod packing;

fn main() {
    divan::main();
}

//! Projection modules: loaded, checked, sandboxed, called.
//!
//! A module is untrusted code. What it may reach is exactly the world in `guest-sdk/wit/projection.wit`;
//! what it may use up is in [`limits`]; what it returns is checked before it is kept.

pub mod bindings;
mod bounds;
pub mod compiler;
pub mod engine;
pub mod folder;
pub mod instance;
pub mod limits;
pub mod load;
mod rows;
pub mod watch;

pub use compiler::{CompileLimits, Compiler};
pub use engine::Engine;
pub use instance::GuestInstance;
pub use limits::{GuestFault, GuestLimits};
pub use load::{GuestModule, LoadError};
#[doc(hidden)]
pub use rows::GuestCalls;

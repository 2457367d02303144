//! Programs that run as long as the demo or the benchmark needs them, and no longer: a [`Child`], and a [`NatsServer`]
//! of one's own.

mod child;
mod nats_server;

pub use child::Child;
pub use nats_server::NatsServer;

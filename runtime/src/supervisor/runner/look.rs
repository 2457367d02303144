//! Measures a loop from outside while it runs.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use super::{Runner, blocking};

/// How often the rate is measured: often enough to say after the first tenth of a few seconds how long the rest takes.
const LOOK: Duration = Duration::from_millis(250);

impl Runner {
    /// Measures the rate, for as long as it is polled.
    pub(super) async fn look(&self) -> Infallible {
        let mut replay_rate = self.progress.replay_rate();
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            look.tick().await;
            self.progress.look();
            let measured = self.progress.replay_rate();
            if measured != replay_rate {
                replay_rate = measured;
                self.keep_replay_rate(measured).await;
            }
        }
    }

    /// For the next who asks how long a rebuild takes.
    async fn keep_replay_rate(&self, rate: Option<f64>) {
        let Some(rate) = rate else { return };
        let (shared, name) = (Arc::clone(&self.shared), self.name.clone());
        let number = self.record.number;
        let kept = blocking(move || shared.catalog.replayed(&name, number, rate)).await;
        if let Ok(Err(error)) = kept {
            tracing::warn!(projection = self.name, "{error}");
        }
    }
}

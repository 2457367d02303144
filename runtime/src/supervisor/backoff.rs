//! How long a generation that failed waits before it is tried again.

use std::time::Duration;

use super::runner::LATER;
use crate::config::Config;
use crate::projection::recovery::Retry;

/// Doubles from the shortest to the longest wait, with jitter so that projections do not knock together.
pub(super) struct Backoff {
    min: Duration,
    max: Duration,
    next: Duration,
}

impl Backoff {
    pub(super) fn new(config: &Config) -> Self {
        let (min, max) = (config.recovery.restart_min(), config.recovery.restart_max());
        Self {
            min,
            max,
            next: min,
        }
    }

    /// How long to wait after a failure; none: until somebody does something.
    pub(super) fn after(&mut self, retry: Retry) -> Option<Duration> {
        match retry {
            Retry::Soon => Some(self.double()),
            Retry::Later => Some(LATER),
            Retry::Never => None,
        }
    }

    fn double(&mut self) -> Duration {
        let wait = self.next;
        self.next = (wait * 2).min(self.max);
        wait.mul_f64(rand::random_range(0.5..=1.0))
    }

    /// Starts again at the shortest wait: it ran for a while, or something has changed.
    pub(super) fn reset(&mut self) {
        self.next = self.min;
    }
}

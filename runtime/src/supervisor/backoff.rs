//! How long a generation that failed waits before it is tried again.

use std::time::Duration;

use super::runner::LATER;
use crate::config::Config;
use crate::event::Sequence;
use crate::projection::recovery::Retry;

/// Attempts at an event that reaches the time limit: a machine that stood still is over by then.
const FEW: u32 = 3;

/// Doubles from the shortest to the longest wait, with jitter so that projections do not knock together.
pub(super) struct Backoff {
    min: Duration,
    max: Duration,
    next: Duration,
    /// Attempts of those that are given up after [`FEW`], at the event behind `stuck_at`.
    few: u32,
    stuck_at: Sequence,
}

impl Backoff {
    pub(super) fn new(config: &Config) -> Self {
        let (min, max) = (config.recovery.restart_min(), config.recovery.restart_max());
        Self {
            min,
            max,
            next: min,
            few: 0,
            stuck_at: 0,
        }
    }

    /// How long to wait after a failure at this checkpoint; none: until somebody does something.
    pub(super) fn after(&mut self, retry: Retry, checkpoint: Sequence) -> Option<Duration> {
        match retry {
            Retry::Soon => Some(self.double()),
            Retry::AFewTimes => {
                if std::mem::replace(&mut self.stuck_at, checkpoint) != checkpoint {
                    self.few = 0;
                }
                self.few += 1;
                (self.few < FEW).then(|| self.double())
            }
            Retry::Later => Some(LATER),
            Retry::Never => None,
        }
    }

    fn double(&mut self) -> Duration {
        let wait = self.next;
        self.next = (wait * 2).min(self.max);
        wait.mul_f64(rand::random_range(0.5..=1.0))
    }

    /// Starts again at the shortest wait: it ran for a while. Attempts at one event still count, since tracing a
    /// failure to it takes a while, too.
    pub(super) fn shorten(&mut self) {
        self.next = self.min;
    }

    /// Forgets every attempt: something has changed.
    pub(super) fn reset(&mut self) {
        self.shorten();
        self.few = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_at_one_event_are_counted_however_long_each_takes() {
        let mut backoff = Backoff::new(&Config::default());
        let mut tried = |checkpoint| {
            backoff.shorten();
            backoff.after(Retry::AFewTimes, checkpoint).is_some()
        };
        assert_eq!([7, 7, 7].map(&mut tried), [true, true, false]);
        assert_eq!([8, 8, 8].map(&mut tried), [true, true, false]);
        backoff.reset();
        assert!(backoff.after(Retry::AFewTimes, 8).is_some());
    }
}

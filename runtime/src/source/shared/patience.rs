//! How long others still wait for one subscriber.

use std::time::Duration;

use tokio::time::Instant;

/// What one member of a group has left of the time for which it may keep others without work.
///
/// Projections of nearly the same speed share a reader although each waits for the other now and then. What is
/// counted is each one's own: of ten that take turns with two processors somebody always waits for somebody, but
/// nobody is to blame for more than its part. One that is to blame for more than a fifth of the time uses its
/// patience up and is detached.
#[derive(Debug)]
pub(super) struct Patience {
    left: Duration,
    /// When it was last looked at.
    seen: Instant,
    /// Whether others have been waiting for this one since then.
    waited_for: bool,
}

impl Patience {
    /// Most of it at the stream's end: what a live projection may notice of another that is stuck, once.
    pub(super) const LIVE: Duration = Duration::from_millis(100);
    /// Most of it in a replay, for each member: the more there are, the longer one is without a processor.
    const REPLAY_EACH: Duration = Duration::from_millis(50);
    const REPLAY_MOST: Duration = Duration::from_secs(1);

    /// Most of it in a replay with so many members.
    pub(super) fn in_replay(members: usize) -> Duration {
        let members = u32::try_from(members).unwrap_or(u32::MAX);
        Self::REPLAY_EACH
            .saturating_mul(members)
            .min(Self::REPLAY_MOST)
    }

    pub(super) fn new(now: Instant) -> Self {
        Self {
            left: Self::REPLAY_MOST,
            seen: now,
            waited_for: false,
        }
    }

    /// What is left of it, where this much is the most, now that others wait for this one, or do not.
    pub(super) fn left(&mut self, most: Duration, now: Instant, waited_for: bool) -> Duration {
        let passed = now.saturating_duration_since(self.seen);
        self.left = match self.waited_for {
            true => most.min(self.left).saturating_sub(passed),
            false => most.min(self.left + passed / 5),
        };
        (self.seen, self.waited_for) = (now, waited_for);
        self.left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_of_the_time_may_be_kept_for_ever_and_more_may_not() {
        let most = Patience::LIVE;
        let left_after = |waited: Duration, rounds: u32| {
            let begin = Instant::now();
            let mut patience = Patience::new(begin);
            for round in 0..rounds {
                let now = begin + most * round;
                patience.left(most, now, true);
                patience.left(most, now + waited, false);
            }
            patience.left(most, begin + most * rounds, true)
        };
        assert!(left_after(most / 10, 1_000) > most / 2);
        assert!(left_after(most / 7, 1_000) > most / 2);
        assert!(left_after(most / 5, 1_000) < most / 2);
        assert!(left_after(most / 5, 1) > most / 2);
    }
}

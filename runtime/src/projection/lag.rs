//! How far behind its stream a generation is in time, whether that grows, and whether it stalls.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::event::{Sequence, Timestamp};

/// Rates nearer to each other than this share of the larger one are taken for equal: they are measured, and commits come
/// in steps.
const NOISE: f64 = 0.05;

/// The same in events per second, for streams with hardly any.
const NOISE_MIN: f64 = 0.5;

/// Whether events come to the stream faster than they are applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trend {
    /// The lag shrinks.
    Falling,
    /// It stays about what it is, or there is none.
    #[default]
    Steady,
    /// It grows.
    Rising,
}

impl std::fmt::Display for Trend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Falling => "falling",
            Self::Steady => "steady",
            Self::Rising => "rising",
        })
    }
}

impl Trend {
    /// Of a lag of so many events, with events applied and events that come to the stream per second.
    pub fn of(lag: u64, applied: f64, arriving: f64) -> Self {
        let noise = NOISE_MIN.max(NOISE * applied.max(arriving));
        match arriving - applied {
            _ if lag == 0 => Self::Steady,
            growth if growth > noise => Self::Rising,
            growth if growth < -noise => Self::Falling,
            _ => Self::Steady,
        }
    }
}

/// How far behind a generation is, as it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Behind {
    /// How long the oldest of the events that wait has waited, at most, in seconds, by the clocks of host and server; none
    /// while that is not known.
    pub lag_seconds: Option<f64>,
    /// Whether more and more events wait.
    pub lag_trend: Trend,
    /// Whether nothing was applied for longer than the stall limit while events wait.
    pub stalled: bool,
}

/// Since when events wait, and since when the checkpoint does not move.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Waiting {
    /// When the last applied event was stored, where that is known.
    applied: Option<Timestamp>,
    /// When nothing waited last, since the host started.
    clear: Option<Instant>,
    /// When the checkpoint moved last, or events began to wait.
    moved: Option<Instant>,
    /// It may be so long without progress while events wait; there is no limit if none is given.
    stall: Option<Duration>,
}

impl Waiting {
    /// That of a generation that stalls after this time without progress.
    pub fn new(stall: Option<Duration>) -> Self {
        Self {
            stall,
            ..Self::default()
        }
    }

    /// The checkpoint, whose event was stored at `stored`, moved or was found to be `moved`; `lag` events wait behind it.
    pub fn at(&mut self, now: Instant, stored: Timestamp, moved: bool, lag: u64) {
        // An event that was never read has no time.
        self.applied = (stored != 0).then_some(stored);
        if moved {
            self.moved = Some(now);
        }
        self.seen(now, lag);
    }

    /// So many events wait.
    pub fn seen(&mut self, now: Instant, lag: u64) {
        self.moved.get_or_insert(now);
        if lag == 0 {
            self.clear = Some(now);
            self.moved = Some(now);
        }
    }

    /// How long the oldest of the events that wait has waited, at most, in seconds: no longer than since nothing waited, and
    /// no longer than since the last applied one was stored, by the clocks of host and server. None if neither is known.
    pub fn seconds(&self, now: Instant, lag: u64) -> Option<f64> {
        if lag == 0 {
            return Some(0.0);
        }
        let clear = self.clear.map(|clear| now.duration_since(clear));
        let applied = self.applied.map(since);
        let waited = match (clear, applied) {
            (Some(clear), Some(applied)) => clear.min(applied),
            (clear, applied) => clear.or(applied)?,
        };
        Some(waited.as_secs_f64())
    }

    /// For how long nothing was applied although events wait, once that is longer than the limit.
    pub fn stalled(&self, now: Instant, lag: u64) -> Option<Duration> {
        let silent = now.duration_since(self.moved?);
        (lag > 0 && silent > self.stall?).then_some(silent)
    }
}

/// The time that has passed since; none for a time to come, by a server's clock that is ahead.
fn since(stored: Timestamp) -> Duration {
    let stored = UNIX_EPOCH + Duration::from_nanos(u64::try_from(stored).unwrap_or_default());
    SystemTime::now().duration_since(stored).unwrap_or_default()
}

/// What a projection that stalls says: how long, and where.
pub fn what_stalls(silent: Duration, checkpoint: Sequence, last: Sequence) -> String {
    let seconds = silent.as_secs();
    let waiting = last.saturating_sub(checkpoint);
    let next = checkpoint + 1;
    format!(
        "nothing was applied for {seconds} s while {waiting} events wait (sequences {next} to {last})"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Nanoseconds since the epoch, so many seconds ago.
    fn ago(seconds: u64) -> Timestamp {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.expect("the clock is right").as_nanos() as Timestamp;
        now - 1_000_000_000 * seconds as Timestamp
    }

    #[test]
    fn after_a_quiet_hour_one_event_that_waits_has_not_waited_an_hour() {
        let mut waiting = Waiting::default();
        let start = Instant::now();
        waiting.at(start, ago(3_600), true, 0);
        assert_eq!(waiting.seconds(start, 0), Some(0.0));
        let quiet = start + seconds(3_600);
        waiting.seen(quiet, 0);
        waiting.seen(quiet + seconds(1), 1);
        let behind = waiting.seconds(quiet + seconds(3), 1);
        assert_eq!(behind, Some(3.0), "since nothing waited");
    }

    #[test]
    fn a_projection_that_never_had_caught_up_is_as_old_as_its_last_event() {
        let mut waiting = Waiting::default();
        assert_eq!(waiting.seconds(Instant::now(), 9), None, "not known");
        waiting.at(Instant::now(), ago(500), true, 9);
        let behind = waiting.seconds(Instant::now(), 9).expect("it is known");
        assert!((499.0..502.0).contains(&behind), "{behind}");
    }

    #[test]
    fn it_stalls_when_events_wait_and_nothing_moves_and_not_on_a_quiet_stream() {
        let mut waiting = Waiting::new(Some(seconds(60)));
        let start = Instant::now();
        waiting.at(start, 0, false, 5);
        let stalled = |waiting: &Waiting, after, lag| {
            let now = start + seconds(after);
            waiting.stalled(now, lag).map(|time| time.as_secs())
        };
        assert_eq!(stalled(&waiting, 60, 5), None);
        assert_eq!(stalled(&waiting, 61, 5), Some(61));
        waiting.at(start + seconds(61), 0, false, 5);
        assert_eq!(
            stalled(&waiting, 62, 5),
            Some(62),
            "a restart is no progress"
        );
        waiting.at(start + seconds(62), 0, true, 4);
        assert_eq!(stalled(&waiting, 63, 4), None);
        waiting.at(start + seconds(64), 0, true, 0);
        waiting.seen(start + seconds(1_000), 0);
        assert_eq!(stalled(&waiting, 1_001, 1), None, "one has just come");
        assert_eq!(stalled(&waiting, 1_061, 1), Some(61));
        let mut unlimited = Waiting::new(None);
        unlimited.seen(start, 1);
        assert_eq!(unlimited.stalled(start + seconds(9_999), 1), None);
    }

    #[test]
    fn the_trend_tells_growth_from_noise() {
        assert_eq!(Trend::of(0, 0.0, 100.0), Trend::Steady, "nothing waits");
        assert_eq!(Trend::of(9, 1_000.0, 1_020.0), Trend::Steady);
        assert_eq!(Trend::of(9, 1_000.0, 1_100.0), Trend::Rising);
        assert_eq!(Trend::of(9, 1_000.0, 100.0), Trend::Falling);
        assert_eq!(Trend::of(9, 0.0, 0.1), Trend::Steady);
        assert_eq!(Trend::of(9, 0.0, 1.0), Trend::Rising);
    }
}

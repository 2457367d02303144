//! How fast a projection reads, how fast its stream grows, and how long the rest takes.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::event::Sequence;

/// The rate is that of the last few seconds: long enough not to flicker, short enough to follow a change.
const WINDOW: Duration = Duration::from_secs(5);

/// Moves nearer to each other than this count as one: bounds how many are remembered.
const STEP: Duration = Duration::from_millis(50);

/// After so long without a move the time since then counts, too.
const SILENCE: Duration = Duration::from_secs(1);

/// A replay of fewer events says nothing about how fast a longer one is.
const REPLAY_MIN: u64 = 1_000;

/// The pace of one generation.
#[derive(Debug, Default)]
pub struct Pace {
    replay: Option<Replay>,
    read: Rate,
    arriving: Rate,
}

/// What was missed is being read since then, from there.
#[derive(Debug, Clone, Copy)]
struct Replay {
    since: Instant,
    from: Sequence,
}

impl Pace {
    /// A run begins to read behind `from`.
    pub fn begin(&mut self, now: Instant, from: Sequence) {
        let replay = Some(Replay { since: now, from });
        *self = Self {
            replay,
            ..Self::default()
        };
    }

    /// The checkpoint and the stream's last sequence are these now.
    pub fn moved(&mut self, now: Instant, checkpoint: Sequence, last: Sequence) {
        self.read.moved(now, checkpoint);
        self.arriving.moved(now, last);
    }

    /// Nothing is left to read; events per second of the replay, if that was one worth measuring.
    pub fn caught_up(&mut self, now: Instant, checkpoint: Sequence) -> Option<f64> {
        let Replay { since, from } = self.replay.take()?;
        let events = checkpoint.saturating_sub(from);
        let seconds = now.duration_since(since).as_secs_f64();
        (events >= REPLAY_MIN && seconds > 0.0).then(|| events as f64 / seconds)
    }

    /// Events read, and events that came to the stream, per second.
    pub fn rates(&mut self, now: Instant) -> (f64, f64) {
        (self.read.at(now), self.arriving.at(now))
    }
}

/// How long so many events take at these rates per second, with those that arrive meanwhile; none if it has no end.
pub fn seconds_left(lag: u64, read: f64, arriving: f64) -> Option<f64> {
    let nearer = read - arriving;
    (lag > 0 && nearer > 0.0).then(|| lag as f64 / nearer)
}

/// How fast a sequence rises.
#[derive(Debug, Default)]
struct Rate {
    /// When it was where, over the last seconds.
    moves: VecDeque<(Instant, Sequence)>,
}

impl Rate {
    fn moved(&mut self, now: Instant, to: Sequence) {
        if self.moves.back().is_some_and(|&(_, at)| at == to) {
            return;
        }
        if let Some(&(until, at)) = self.moves.back()
            && now.duration_since(until) > SILENCE
        {
            // It begins anew, and not as slow as it was silent long.
            let begun = (now - SILENCE, at);
            self.moves = VecDeque::from([begun]);
        }
        let before_last = self.moves.len().checked_sub(2);
        let before_last = before_last.map(|index| self.moves[index].0);
        if before_last.is_some_and(|before| now.duration_since(before) < STEP) {
            self.moves.pop_back();
        }
        self.moves.push_back((now, to));
    }

    /// Per second. Time before the first move does not count, since it is not known what was waited for.
    fn at(&mut self, now: Instant) -> f64 {
        while self.moves.len() > 1 && now.duration_since(self.moves[1].0) >= WINDOW {
            self.moves.pop_front();
        }
        let (Some(&(since, from)), Some(&(until, to))) = (self.moves.front(), self.moves.back())
        else {
            return 0.0;
        };
        let silent = now.duration_since(until) >= SILENCE;
        let seconds = (if silent { now } else { until }).duration_since(since);
        let risen = to.saturating_sub(from);
        if risen == 0 || seconds.is_zero() {
            return 0.0;
        }
        risen as f64 / seconds.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    #[test]
    fn the_rate_follows_the_last_seconds_and_falls_to_zero_when_nothing_comes() {
        let start = Instant::now();
        let mut rate = Rate::default();
        assert_eq!(rate.at(start), 0.0);
        rate.moved(start, 0);
        rate.moved(start + seconds(1.0), 100);
        assert_eq!(rate.at(start + seconds(1.0)), 100.0);
        assert_eq!(rate.at(start + seconds(1.5)), 100.0, "the next may come");
        assert_eq!(rate.at(start + seconds(4.0)), 25.0, "nothing came");
        assert_eq!(rate.at(start + seconds(20.0)), 0.0);
        rate.moved(start + seconds(20.0), 200);
        rate.moved(start + seconds(21.0), 250);
        rate.moved(start + seconds(22.0), 300);
        let now = rate.at(start + seconds(22.0));
        assert!(
            (50.0..80.0).contains(&now),
            "{now}: the silence does not count"
        );
    }

    #[test]
    fn many_small_moves_are_remembered_as_few() {
        let start = Instant::now();
        let mut rate = Rate::default();
        for event in 0..50_000 {
            rate.moved(start + Duration::from_micros(100 * event), event);
        }
        let now = rate.at(start + seconds(5.0));
        assert!((9_990.0..10_010.0).contains(&now), "{now}");
        assert!(rate.moves.len() <= 202, "{}", rate.moves.len());
    }

    /// A build of some seconds on a stream that grows all the time; commits come in steps.
    #[test]
    fn the_expected_time_is_right_within_a_third_after_the_first_tenth() {
        const READ: f64 = 20_000.0;
        const ARRIVING: f64 = 3_000.0;
        const STORED: f64 = 100_000.0;
        let (begin, took) = (Instant::now(), STORED / (READ - ARRIVING));
        let (mut pace, mut said, mut done) = (Pace::default(), 0, 0.0);
        pace.begin(begin, 0);
        for step in 1..=(took * 100.0) as u32 {
            let (time, now) = (
                f64::from(step) / 100.0,
                begin + Duration::from_millis(10) * step,
            );
            let last = STORED + ARRIVING * time;
            if step % 20 == 10 {
                // Each commit holds what was read in a fifth of a second; the first events needed a moment.
                done = READ * (time - 0.05);
                pace.moved(now, done as u64, last as u64);
            }
            let truth = took + 0.05 * READ / (READ - ARRIVING) - time;
            // In the end the age of the last commit is more than a third of what is left.
            if time < took / 10.0 || truth < took / 6.0 {
                continue;
            }
            let (read, arriving) = pace.rates(now);
            let left = seconds_left((last - done) as u64, read, arriving);
            let left = left.expect("it has an end");
            assert!(
                (left - truth).abs() < 0.3 * truth,
                "{left} at {time}, not {truth}"
            );
            said += 1;
        }
        assert!(said > 100);
    }

    #[test]
    fn a_replay_is_measured_from_its_beginning_to_its_end() {
        let start = Instant::now();
        let mut pace = Pace::default();
        pace.begin(start, 500);
        let now = start + seconds(2.0);
        assert_eq!(pace.caught_up(now, 10_500), Some(5_000.0));
        assert_eq!(pace.caught_up(now, 20_500), None, "that was the end");
        pace.begin(start, 500);
        assert_eq!(pace.caught_up(now, 600), None, "too few");
    }
}

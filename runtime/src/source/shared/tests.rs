//! Over a source in memory; the places, speeds and faults are the tests'. The clock stands while anybody works and
//! goes on when all wait, so that a slow machine makes nobody slower than the test wants.

use std::time::Duration;

use super::*;
use crate::event::Sequence;
use crate::source::Lane;
use crate::source::conformance::soon;
use crate::source::memory::MemorySource;

mod random;
mod replaced;

const STREAM: &str = "ORDERS";
const LIMITS: BatchLimits = BatchLimits {
    events: 100,
    bytes: 1 << 20,
};

struct Bench {
    source: MemorySource,
    readers: Arc<SharedReaders>,
}

impl Bench {
    fn with_events(count: u64) -> Self {
        let source = MemorySource::new();
        source.create_stream(STREAM, &["orders.>"]).unwrap();
        let readers = SharedReaders::new(Arc::new(source.clone()), LIMITS);
        let bench = Self {
            source,
            readers: Arc::new(readers),
        };
        bench.publish(count);
        bench
    }

    fn publish(&self, count: u64) {
        for _ in 0..count {
            self.source.publish(STREAM, "orders.1", b"", b"x");
        }
    }

    async fn subscribe(&self, after: Sequence) -> Subscriber {
        self.try_subscribe(after).await.unwrap()
    }

    async fn try_subscribe(&self, after: Sequence) -> Result<Subscriber, SourceError> {
        let time = match self.source.event_time(STREAM, after).await {
            Ok(Some(time)) => time,
            _ => 0,
        };
        let place = Position {
            sequence: after,
            time,
        };
        self.subscribe_at(place).await
    }

    async fn subscribe_at(&self, place: Position) -> Result<Subscriber, SourceError> {
        let subscription = soon(self.readers.subscribe(STREAM, place)).await?;
        Ok(Subscriber {
            subscription,
            at: place.sequence,
        })
    }

    /// Why reading from there ends, at the latest after what the stream holds.
    async fn first_error(&self, after: Sequence) -> SourceError {
        let mut subscriber = match self.try_subscribe(after).await {
            Ok(subscriber) => subscriber,
            Err(error) => return error,
        };
        loop {
            if let Err(error) = subscriber.next().await {
                return error;
            }
        }
    }

    /// The lanes of all readers opened so far.
    fn lanes(&self) -> Vec<Lane> {
        let openings = self.source.openings(STREAM);
        openings.iter().map(|opening| opening.lane).collect()
    }

    /// Waits until as many readers are open.
    async fn until_readers(&self, count: usize) {
        let reached = async {
            while self.source.readers(STREAM) != count {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        soon(reached).await;
    }
}

/// A subscription that accepts no gap and no repetition.
struct Subscriber {
    subscription: Subscription,
    at: Sequence,
}

impl Subscriber {
    async fn next(&mut self) -> Result<(), SourceError> {
        let batch = soon(self.subscription.next()).await?;
        self.check(&batch);
        Ok(())
    }

    fn check(&mut self, batch: &Batch) {
        for &sequence in batch.sequences() {
            assert_eq!(sequence, self.at + 1, "a gap or a repetition");
            self.at = sequence;
        }
        assert_eq!(batch.through().sequence, self.at);
    }

    /// Reads up to `sequence`.
    async fn read_to(&mut self, sequence: Sequence) {
        while self.at < sequence {
            self.next().await.unwrap();
        }
        assert_eq!(self.at, sequence);
    }
}

#[tokio::test(start_paused = true)]
async fn subscribers_at_the_same_place_share_one_reader() {
    let bench = Bench::with_events(3_000);
    let subscribing = [0, 0, 700, 2_999].map(|after| bench.subscribe(after));
    let mut subscribers = futures::future::join_all(subscribing).await;
    let reading = subscribers.iter_mut().map(|one| one.read_to(3_000));
    futures::future::join_all(reading).await;
    let openings = bench.source.openings(STREAM);
    assert_eq!(openings.len(), 1);
    assert_eq!(openings[0].after, 0);
}

#[tokio::test(start_paused = true)]
async fn a_later_subscriber_joins_a_reader_that_has_not_passed_it() {
    let bench = Bench::with_events(500);
    let mut first = bench.subscribe(0).await;
    first.read_to(500).await;
    let mut later = bench.subscribe(500).await;
    bench.publish(1);
    later.read_to(501).await;
    first.read_to(501).await;
    assert_eq!(bench.source.openings(STREAM).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_who_starts_behind_catches_up_alone_and_then_shares_again() {
    let bench = Bench::with_events(2_000);
    let mut first = bench.subscribe(2_000).await;
    let mut behind = bench.subscribe(0).await;
    behind.read_to(2_000).await;
    bench.until_readers(1).await;
    bench.publish(50);
    first.read_to(2_050).await;
    behind.read_to(2_050).await;
    assert_eq!(bench.lanes(), [Lane::Live, Lane::Live]);
}

#[tokio::test(start_paused = true)]
async fn a_slow_subscriber_holds_nobody_back_and_comes_back_later() {
    let bench = Bench::with_events(20_000);
    let (mut slow, mut fast) = tokio::join!(bench.subscribe(0), bench.subscribe(0));
    slow.next().await.unwrap();
    fast.read_to(20_000).await;
    bench.publish(5);
    fast.read_to(20_005).await;
    slow.read_to(20_005).await;
    bench.until_readers(1).await;
    bench.publish(5);
    fast.read_to(20_010).await;
    slow.read_to(20_010).await;
    assert_eq!(bench.source.readers(STREAM), 1);
}

/// Two subscribers in four stretches, in each of which one soon has nothing left while the other's queue is
/// full, since the other begins later; the lanes of the readers it took. The clock stands while they work.
async fn lanes_when_one_begins_later_by(delay: Duration) -> Vec<Lane> {
    let bench = Bench::with_events(60_000);
    let (mut one, mut other) = tokio::join!(bench.subscribe(0), bench.subscribe(0));
    for place in (15_000..=60_000).step_by(15_000) {
        let later = async {
            tokio::time::sleep(delay).await;
            other.read_to(place).await;
        };
        tokio::join!(one.read_to(place), later);
    }
    bench.lanes()
}

#[tokio::test(start_paused = true)]
async fn subscribers_that_starve_each_other_a_little_keep_sharing() {
    let lanes = lanes_when_one_begins_later_by(Duration::from_millis(20)).await;
    assert_eq!(lanes, [Lane::Replay, Lane::Live]);
}

#[tokio::test(start_paused = true)]
async fn subscribers_that_starve_each_other_for_long_stop_sharing() {
    let lanes = lanes_when_one_begins_later_by(Duration::from_millis(150)).await;
    assert!(lanes.len() > 2, "{lanes:?}");
}

/// As ten builds do on two processors: somebody is always behind, but never the same one for long.
#[tokio::test(start_paused = true)]
async fn subscribers_that_pause_in_turn_keep_sharing() {
    let bench = Bench::with_events(75_000);
    let subscribing = (0..5).map(|_| bench.subscribe(0));
    let mut subscribers = futures::future::join_all(subscribing).await;
    for (paused, place) in (15_000..=75_000).step_by(15_000).enumerate() {
        let reading = subscribers
            .iter_mut()
            .enumerate()
            .map(|(i, one)| async move {
                if i == paused {
                    tokio::time::sleep(Duration::from_millis(60)).await;
                }
                one.read_to(place).await;
            });
        futures::future::join_all(reading).await;
    }
    assert_eq!(bench.lanes(), [Lane::Replay, Lane::Live]);
}

#[tokio::test(start_paused = true)]
async fn history_is_read_on_the_replay_lane_and_the_end_on_the_live_lane() {
    let bench = Bench::with_events(30_000);
    let mut only = bench.subscribe(0).await;
    only.read_to(30_000).await;
    bench.publish(1);
    only.read_to(30_001).await;
    assert_eq!(bench.lanes(), [Lane::Replay, Lane::Live]);
}

#[tokio::test(start_paused = true)]
async fn a_stream_with_few_events_left_is_read_without_reopening_for_ever() {
    let bench = Bench::with_events(50_000);
    bench.source.purge_before(STREAM, 49_990);
    let mut only = Subscriber {
        at: 49_989,
        ..bench.subscribe(1).await
    };
    only.read_to(50_000).await;
    assert!(bench.source.openings(STREAM).len() <= 2);
}

#[tokio::test(start_paused = true)]
async fn an_error_reaches_everyone_behind_what_was_read() {
    let bench = Bench::with_events(300);
    let subscribing = [0, 0, 300].map(|after| bench.subscribe(after));
    let mut subscribers = futures::future::join_all(subscribing).await;
    subscribers[0].read_to(300).await;
    bench.source.interrupt();
    for subscriber in &mut subscribers {
        let error = loop {
            if let Err(error) = subscriber.next().await {
                break error;
            }
        };
        assert!(matches!(error, SourceError::Interrupted { .. }), "{error}");
        assert_eq!(subscriber.at, 300);
    }
    let mut again = bench.subscribe(300).await;
    bench.publish(1);
    again.read_to(301).await;
}

#[tokio::test(start_paused = true)]
async fn lost_events_are_lost_only_to_those_who_have_not_read_them() {
    let bench = Bench::with_events(1_000);
    let dropping = async { bench.source.purge_before(STREAM, 500) };
    let (behind, within, ahead, ()) = tokio::join!(
        bench.first_error(0),
        bench.first_error(300),
        bench.first_error(499),
        dropping
    );
    let lost = |first| SourceError::EventsLost {
        stream: STREAM.into(),
        first,
        last: 499,
    };
    assert_eq!(behind, lost(1));
    assert_eq!(within, lost(301));
    assert!(matches!(ahead, SourceError::Interrupted { .. }), "{ahead}");
    bench.subscribe(499).await.read_to(1_000).await;
}

#[tokio::test(start_paused = true)]
async fn a_start_at_the_oldest_event_does_not_hide_what_another_loses() {
    let bench = Bench::with_events(1_000);
    let oldest = Position {
        sequence: 300,
        time: 0,
    };
    let dropping = async { bench.source.purge_before(STREAM, 500) };
    let (starting, losing, ()) =
        tokio::join!(bench.subscribe_at(oldest), bench.first_error(310), dropping);
    assert!(
        matches!(losing, SourceError::EventsLost { first: 311, .. }),
        "{losing}"
    );
    let mut starting = Subscriber {
        at: 499,
        ..starting.unwrap()
    };
    starting.read_to(1_000).await;
}

#[tokio::test(start_paused = true)]
async fn subscribing_says_why_it_cannot_begin() {
    let bench = Bench::with_events(1);
    bench.source.go_out_of_reach("nobody answers");
    let error = bench.try_subscribe(0).await.err().unwrap();
    assert!(matches!(error, SourceError::Unreachable { .. }), "{error}");
    bench.source.return_to_reach();
    bench.source.delete_stream(STREAM);
    let error = bench.try_subscribe(0).await.err().unwrap();
    assert!(
        matches!(error, SourceError::StreamMissing { .. }),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn reading_stops_when_nobody_is_left() {
    let bench = Bench::with_events(10);
    let mut subscribers = vec![bench.subscribe(0).await, bench.subscribe(10).await];
    subscribers[0].read_to(10).await;
    subscribers.pop();
    bench.publish(1);
    subscribers[0].read_to(11).await;
    drop(subscribers);
    bench.until_readers(0).await;
}

#[tokio::test(start_paused = true)]
async fn a_reader_nobody_takes_from_is_given_up_and_opened_again() {
    let bench = Bench::with_events(30_000);
    let mut stuck = bench.subscribe(0).await;
    stuck.next().await.unwrap();
    bench.until_readers(0).await;
    stuck.read_to(30_000).await;
    bench.publish(1);
    stuck.read_to(30_001).await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_was_replaced_meanwhile_is_not_read_on() {
    let bench = Bench::with_events(30_000);
    let mut stuck = bench.subscribe(0).await;
    stuck.next().await.unwrap();
    bench.until_readers(0).await;
    bench.source.create_stream(STREAM, &["orders.>"]).unwrap();
    bench.publish(40_000);
    let error = loop {
        if let Err(error) = stuck.next().await {
            break error;
        }
    };
    assert!(
        matches!(error, SourceError::StreamReplaced { .. }),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_dropped_wait_loses_nothing() {
    let bench = Bench::with_events(0);
    let mut only = bench.subscribe(0).await;
    for sequence in 1..=200 {
        let abandoned = futures::poll!(std::pin::pin!(only.subscription.next()));
        assert!(abandoned.is_pending());
        bench.publish(1);
        tokio::task::yield_now().await;
        if let Some(batch) = only.subscription.try_next() {
            only.check(&batch.unwrap());
        }
        only.read_to(sequence).await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_that_was_deleted_is_passed_over_and_keeps_the_time_of_the_last_event() {
    let bench = Bench::with_events(8);
    for deleted in 6..=8 {
        bench.source.delete_event(STREAM, deleted);
    }
    let mut subscriber = bench.subscribe(0).await;
    subscriber.read_to(5).await;
    let time = bench.source.event_time(STREAM, 5).await.unwrap();
    let end = Position {
        sequence: 8,
        time: time.unwrap(),
    };
    let nothing = soon(subscriber.subscription.next()).await.unwrap();
    assert_eq!((nothing.len(), nothing.through()), (0, end));
    // Whoever stands there joins the one that has passed it, and both go on.
    let mut later = bench.subscribe_at(end).await.unwrap();
    bench.publish(1);
    subscriber.at = 8;
    subscriber.read_to(9).await;
    later.read_to(9).await;
    // The first reader knew nothing of what was passed over, and would have called it lost one day.
    assert_eq!(bench.source.openings(STREAM).len(), 2);
}

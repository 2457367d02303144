//! What every event source promises: one suite, run for each of them.

use std::future::Future;
use std::time::Duration;

use tokio::time::timeout;

use super::{EventReader, EventSource, Lane, ReadFrom, SourceError};
use crate::batch::{Batch, BatchLimits};
use crate::event::{Event, Sequence};

mod streams;

pub(super) use streams::*;

/// Upper bound of every wait; reached only when the promise is broken.
pub(super) const SOON: Duration = Duration::from_secs(30);
pub(super) const LIMITS: BatchLimits = BatchLimits {
    events: 1_000,
    bytes: 1 << 20,
};
/// The stream of a [`Fixture`], with the subjects `orders.>`.
pub(super) const STREAM: &str = "ORDERS";

/// A source and the means to put something into it.
pub(super) trait Fixture {
    fn source(&self) -> &dyn EventSource;
    fn publish(
        &self,
        subject: &str,
        headers: &[(&str, &str)],
        payload: &[u8],
    ) -> impl Future<Output = Sequence>;
    fn create_stream(&self, name: &str, subjects: &[&str]) -> impl Future<Output = ()>;
    /// A stream that deletes what was read.
    fn create_work_queue(&self, name: &str) -> impl Future<Output = ()>;
    fn purge_before(&self, sequence: Sequence) -> impl Future<Output = ()>;
    fn delete_event(&self, sequence: Sequence) -> impl Future<Output = ()>;
    /// A fault that ends the readers of [`STREAM`].
    fn interrupt(&self) -> impl Future<Output = ()>;

    /// Events with the payloads 1, 2, …
    async fn publish_numbers(&self, count: usize) {
        for number in 1..=count {
            let payload = number.to_string();
            self.publish(&format!("orders.{}", number % 7), &[], payload.as_bytes())
                .await;
        }
    }

    async fn read_from(&self, from: ReadFrom) -> EventReader {
        let reading = self.source().read(STREAM, from, Lane::Replay, LIMITS);
        soon(reading).await.expect("the reader opens")
    }

    async fn read(&self, after: Sequence) -> EventReader {
        self.read_from(ReadFrom::After(after)).await
    }
}

pub(super) async fn soon<T>(waiting: impl Future<Output = T>) -> T {
    timeout(SOON, waiting).await.expect("nothing happened")
}

pub(super) async fn next(reader: &mut EventReader) -> Result<Batch, SourceError> {
    soon(reader.batches.recv())
        .await
        .expect("an end without an error")
}

/// Events as plain data.
pub(super) fn events(batch: &Batch) -> Vec<Event> {
    let event = |i| Event {
        sequence: batch.sequences()[i],
        time: batch.timestamps()[i],
        subject: batch.subject(i).to_owned(),
        headers: batch.headers().get(i).to_vec().into(),
        payload: batch.payloads().get(i).to_vec().into(),
    };
    (0..batch.len()).map(event).collect()
}

/// The next `count` events, however they are batched.
pub(super) async fn take(reader: &mut EventReader, count: usize) -> Vec<Event> {
    let mut taken = Vec::new();
    while taken.len() < count {
        taken.extend(events(&next(reader).await.expect("no error")));
    }
    assert_eq!(taken.len(), count, "more events than were published");
    taken
}

fn sequences(events: &[Event]) -> Vec<Sequence> {
    events.iter().map(|event| event.sequence).collect()
}

pub(super) async fn events_come_complete_and_in_order(fixture: impl Fixture) {
    fixture.publish_numbers(2_500).await;
    let events = take(&mut fixture.read(0).await, 2_500).await;
    assert_eq!(sequences(&events), (1..=2_500).collect::<Vec<_>>());
    for event in events {
        assert_eq!(event.payload, event.sequence.to_string());
        assert_eq!(event.subject, format!("orders.{}", event.sequence % 7));
    }
}

pub(super) async fn reading_starts_behind_the_given_sequence(fixture: impl Fixture) {
    fixture.publish_numbers(20).await;
    let mut reader = fixture.read(15).await;
    assert_eq!(reader.pending, 5);
    assert_eq!(sequences(&take(&mut reader, 5).await), [16, 17, 18, 19, 20]);
}

pub(super) async fn a_reader_at_the_end_waits_for_the_next_event(fixture: impl Fixture) {
    fixture.publish_numbers(3).await;
    let mut reader = fixture.read(3).await;
    assert_eq!(reader.pending, 0);
    assert!(reader.batches.try_recv().is_err());
    fixture.publish("orders.4", &[], b"4").await;
    assert_eq!(sequences(&take(&mut reader, 1).await), [4]);
}

pub(super) async fn live_events_come_one_by_one_with_nothing_pending(fixture: impl Fixture) {
    let mut reader = fixture.read(0).await;
    for number in 1..=20 {
        fixture.publish("orders.1", &[], b"live").await;
        let batch = next(&mut reader).await.unwrap();
        assert_eq!((batch.len(), batch.pending()), (1, 0));
        assert_eq!(batch.through(), batch.position(0));
        assert_eq!(batch.through().sequence, number);
    }
}

pub(super) async fn pending_counts_what_waits_behind_a_batch(fixture: impl Fixture) {
    fixture.publish_numbers(1_500).await;
    let mut reader = fixture.read(0).await;
    let mut seen = 0;
    while seen < 1_500 {
        let batch = next(&mut reader).await.unwrap();
        seen += batch.len() as u64;
        assert_eq!(batch.pending(), 1_500 - seen);
    }
}

/// Together more than any window of bytes, so that flow control is passed too.
pub(super) async fn large_and_empty_payloads_arrive_unchanged(fixture: impl Fixture) {
    let large: Vec<u8> = (0..900_000_u32).map(|i| (i % 251) as u8).collect();
    for _ in 0..40 {
        fixture.publish("orders.large", &[], &large).await;
        fixture.publish("orders.empty", &[], b"").await;
    }
    for (i, event) in take(&mut fixture.read(0).await, 80)
        .await
        .iter()
        .enumerate()
    {
        let expected: &[u8] = if i % 2 == 0 { &large } else { b"" };
        assert!(event.payload == expected, "event {i} was changed");
    }
}

pub(super) async fn headers_come_as_lines_sorted_by_name(fixture: impl Fixture) {
    let headers = [("Type", "b"), ("Trace", "x y"), ("Type", "a")];
    fixture.publish("orders.1", &headers, b"with").await;
    fixture.publish("orders.1", &[], b"without").await;
    let events = take(&mut fixture.read(0).await, 2).await;
    assert_eq!(events[0].headers, "Trace: x y\r\nType: b\r\nType: a\r\n");
    assert_eq!(events[1].headers, "");
}

pub(super) async fn batches_keep_to_both_limits(fixture: impl Fixture) {
    for _ in 0..50 {
        fixture.publish("orders.1", &[], &[7; 1_000]).await;
    }
    for limits in [(7, 1 << 20), (1_000, 5_000), (1_000, 10)] {
        let (events, bytes) = limits;
        let limits = BatchLimits { events, bytes };
        let reading = fixture
            .source()
            .read(STREAM, ReadFrom::After(0), Lane::Live, limits);
        let mut reader = soon(reading).await.unwrap();
        let mut seen = 0;
        while seen < 50 {
            let batch = next(&mut reader).await.unwrap();
            assert!(batch.len() <= events);
            assert!(batch.len() == 1 || batch.bytes() <= bytes);
            seen += batch.len();
        }
    }
}

pub(super) async fn deleted_events_are_passed_over(fixture: impl Fixture) {
    fixture.publish_numbers(100).await;
    fixture.purge_before(4).await;
    let left = || (4..=100).filter(|sequence| sequence % 3 != 2);
    for deleted in (5..=100).step_by(3) {
        fixture.delete_event(deleted).await;
    }
    let mut reader = fixture.read(3).await;
    let events = take(&mut reader, left().count()).await;
    assert_eq!(sequences(&events), left().collect::<Vec<_>>());
    fixture.publish("orders.1", &[], b"").await;
    fixture.delete_event(101).await;
    fixture.publish("orders.1", &[], b"").await;
    while next(&mut reader).await.unwrap().through().sequence != 102 {}
}

pub(super) async fn dropping_what_was_read_is_no_loss(fixture: impl Fixture) {
    fixture.publish_numbers(5).await;
    let mut reader = fixture.read(0).await;
    take(&mut reader, 5).await;
    fixture.purge_before(6).await;
    fixture.publish("orders.1", &[], b"6").await;
    assert_eq!(sequences(&take(&mut reader, 1).await), [6]);
}

fn lost(first: Sequence, last: Sequence) -> SourceError {
    SourceError::EventsLost {
        stream: STREAM.into(),
        first,
        last,
    }
}

pub(super) async fn a_stream_without_its_beginning_is_read_only_from_its_oldest_event(
    fixture: impl Fixture,
) {
    fixture.publish_numbers(10).await;
    fixture.purge_before(6).await;
    let error = next(&mut fixture.read(2).await).await.unwrap_err();
    assert_eq!(error, lost(3, 5));
    let mut reader = fixture.read_from(ReadFrom::OldestAfter(2)).await;
    assert_eq!(sequences(&take(&mut reader, 5).await), [6, 7, 8, 9, 10]);
}

/// Together far more than is read ahead, so that the reader stands in the middle while nobody takes from it.
pub(super) async fn events_dropped_under_a_reader_are_named_behind_those_it_read(
    fixture: impl Fixture,
) {
    for _ in 0..80 {
        fixture.publish("orders.1", &[], &vec![7; 900_000]).await;
    }
    let mut reader = fixture.read(0).await;
    let mut read = take(&mut reader, 1).await.len() as Sequence;
    fixture.purge_before(79).await;
    let error = loop {
        match next(&mut reader).await {
            Ok(batch) => {
                assert_eq!(batch.sequences()[0], read + 1, "a gap");
                read += batch.len() as Sequence;
                assert_eq!(batch.through().sequence, read, "a gap");
            }
            Err(error) => break error,
        }
    };
    assert_eq!(error, lost(read + 1, 78));
    assert!(soon(reader.batches.recv()).await.is_none());
}

pub(super) async fn events_dropped_under_a_reader_are_named_although_nothing_follows(
    fixture: impl Fixture,
) {
    for _ in 0..80 {
        fixture.publish("orders.1", &[], &vec![7; 900_000]).await;
    }
    let mut reader = fixture.read(0).await;
    take(&mut reader, 1).await;
    fixture.purge_before(81).await;
    let mut read = 1;
    let error = loop {
        match next(&mut reader).await {
            Ok(batch) => read = batch.through().sequence,
            Err(error) => break error,
        }
    };
    assert_eq!(error, lost(read + 1, 80));
}

pub(super) async fn an_interrupted_reader_ends_with_an_error(fixture: impl Fixture) {
    fixture.publish_numbers(5).await;
    let mut reader = fixture.read(0).await;
    take(&mut reader, 5).await;
    fixture.interrupt().await;
    let error = next(&mut reader).await.unwrap_err();
    assert!(matches!(error, SourceError::Interrupted { .. }), "{error}");
    assert!(soon(reader.batches.recv()).await.is_none());
    let mut again = fixture.read(5).await;
    fixture.publish("orders.1", &[], b"6").await;
    assert_eq!(sequences(&take(&mut again, 1).await), [6]);
}

/// Makes a test of each promise; `$fixture` is an async function that makes a [`Fixture`].
macro_rules! event_source_conformance {
    ($fixture:path) => {
        event_source_conformance! { $fixture:
            events_come_complete_and_in_order,
            reading_starts_behind_the_given_sequence,
            a_reader_at_the_end_waits_for_the_next_event,
            live_events_come_one_by_one_with_nothing_pending,
            pending_counts_what_waits_behind_a_batch,
            large_and_empty_payloads_arrive_unchanged,
            headers_come_as_lines_sorted_by_name,
            batches_keep_to_both_limits,
            deleted_events_are_passed_over,
            an_end_that_was_deleted_is_told_from_one_that_was_lost,
            dropping_what_was_read_is_no_loss,
            a_stream_without_its_beginning_is_read_only_from_its_oldest_event,
            events_dropped_under_a_reader_are_named_behind_those_it_read,
            events_dropped_under_a_reader_are_named_although_nothing_follows,
            the_state_tells_first_and_last_sequence,
            the_state_tells_when_the_oldest_event_was_stored,
            an_event_that_is_read_alone_is_the_one_that_comes_with_others,
            the_time_of_an_event_is_the_one_it_is_read_with,
            the_next_event_is_the_first_that_is_left,
            a_time_is_the_sequence_of_the_first_event_from_then_on,
            the_stream_is_found_by_its_subjects,
            a_stream_that_is_not_there_is_named,
            streams_that_do_not_keep_events_are_refused,
            an_interrupted_reader_ends_with_an_error,
        }
    };
    ($fixture:path: $($promise:ident,)*) => {
        $(
            #[tokio::test]
            async fn $promise() {
                $crate::source::conformance::$promise($fixture().await).await;
            }
        )*
    };
}
pub(super) use event_source_conformance;

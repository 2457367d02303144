//! A stream that is replaced between the question whether it is the same one and the reading of it.

use futures::FutureExt as _;
use futures::future::BoxFuture;

use super::*;
use crate::event::{Event, Timestamp};
use crate::source::{EventReader, ReadFrom, StreamState};
use crate::subject::SubjectFilter;

struct ReplacedWhenRead(MemorySource);

impl EventSource for ReplacedWhenRead {
    fn find_stream<'a>(
        &'a self,
        filters: &'a [SubjectFilter],
    ) -> BoxFuture<'a, Result<String, SourceError>> {
        self.0.find_stream(filters)
    }

    fn stream_state<'a>(
        &'a self,
        stream: &'a str,
    ) -> BoxFuture<'a, Result<StreamState, SourceError>> {
        self.0.stream_state(stream)
    }

    fn event<'a>(
        &'a self,
        stream: &'a str,
        sequence: Sequence,
    ) -> BoxFuture<'a, Result<Option<Event>, SourceError>> {
        self.0.event(stream, sequence)
    }

    fn next_sequence<'a>(
        &'a self,
        stream: &'a str,
        after: Sequence,
    ) -> BoxFuture<'a, Result<Option<Sequence>, SourceError>> {
        self.0.next_sequence(stream, after)
    }

    fn end_behind<'a>(
        &'a self,
        stream: &'a str,
        from: ReadFrom,
    ) -> BoxFuture<'a, Result<Option<Sequence>, SourceError>> {
        self.0.end_behind(stream, from)
    }

    fn sequence_at<'a>(
        &'a self,
        stream: &'a str,
        time: Timestamp,
    ) -> BoxFuture<'a, Result<Sequence, SourceError>> {
        self.0.sequence_at(stream, time)
    }

    fn read<'a>(
        &'a self,
        stream: &'a str,
        from: ReadFrom,
        lane: Lane,
        limits: BatchLimits,
    ) -> BoxFuture<'a, Result<EventReader, SourceError>> {
        async move {
            self.0.create_stream(stream, &["orders.>"]).unwrap();
            for _ in 0..10 {
                self.0.publish(stream, "orders.1", b"", b"another");
            }
            self.0.read(stream, from, lane, limits).await
        }
        .boxed()
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_replaced_as_reading_begins_is_not_read() {
    let mut bench = Bench::with_events(5);
    let source = Arc::new(ReplacedWhenRead(bench.source.clone()));
    bench.readers = Arc::new(SharedReaders::new(source, LIMITS));
    let error = bench.try_subscribe(3).await.map(drop).unwrap_err();
    assert!(
        matches!(error, SourceError::StreamReplaced { .. }),
        "{error}"
    );
}

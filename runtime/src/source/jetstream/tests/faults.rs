//! Faults of a real server: whatever happens, each event is read once and in order, or reading stops with the
//! reason.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::jetstream::message::PublishMessage;
use tokio::sync::watch;
use tokio::time::timeout;

use super::*;
use crate::batch::Batch;
use crate::event::Position;
use crate::source::conformance::{LIMITS, next, soon, take};
use crate::source::position::{self, Resume};
use crate::source::shared::SharedReaders;

/// How long the first event of a new reader may take once the server is back. It takes well under 3 s where
/// nothing else runs; on a busy machine the bound only tells "soon" from "after some timeout".
const BACK_WITHIN: Duration = Duration::from_secs(10);

#[allow(
    clippy::print_stderr,
    reason = "the real time is of interest even where the bound holds"
)]
fn assert_soon_after(back: Instant) {
    let took = back.elapsed();
    eprintln!("the first event came {took:?} after the server was back");
    assert!(took < BACK_WITHIN, "{took:?}");
}

/// Where reading goes on after `at`, as soon as the server can say.
async fn resume(source: &JetStreamSource, at: Position) -> Resume {
    loop {
        match position::resume(source, STREAM, at).await {
            Ok(resume) => return resume,
            Err(error) => assert!(error.may_pass(), "{error}"),
        }
    }
}

#[tokio::test]
async fn a_restart_while_idle_after_a_resume_repeats_nothing() {
    let mut server = Server::start().await;
    server.publish_numbers(1_000).await;
    let at = server.position(1_000).await;
    let mut idle = server.read(at.sequence).await;
    server.restart().await;
    let back = Instant::now();
    let error = next(&mut idle).await.unwrap_err();
    assert!(matches!(error, SourceError::Interrupted { .. }), "{error}");
    assert_eq!(soon(resume(&server.source, at)).await.after, 1_000);
    let mut again = server.read(at.sequence).await;
    server.publish("orders.1", &[], b"1001").await;
    assert_eq!(take(&mut again, 1).await[0].sequence, 1_001);
    assert_soon_after(back);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_killed_five_times_costs_no_event_and_no_order() {
    const BEFORE: u64 = 75_000;
    let mut server = Server::start().await;
    server.publish_quickly(1..=BEFORE).await;
    let (enough, stop) = watch::channel(false);
    let publishing = tokio::spawn(publish_through_faults(server.nats.url(), BEFORE, stop));
    let mut follower = Follower::start(&server.nats.url());
    for place in [10_000, 30_000, 50_000] {
        follower.read_to(place).await;
        // Further than anything is buffered, so that a reader must work again to get there.
        server.kill_under(&mut follower, 20_000).await;
    }
    for place in [2_000, 5_000] {
        follower.read_live_to(BEFORE + place).await;
        server.kill_under(&mut follower, 1_000).await;
    }
    enough.send_replace(true);
    let last = soon(publishing).await.unwrap();
    follower.read_live_to(last).await;
    assert_eq!(follower.at.borrow().sequence, last);
}

/// Publishes the numbers after `after` one by one until told to stop, whatever the server does: it recognises
/// repetitions by their id. Gives the last one.
async fn publish_through_faults(url: String, after: u64, stop: watch::Receiver<bool>) -> u64 {
    let client = async_nats::ConnectOptions::new()
        .reconnect_delay_callback(|_| Duration::from_millis(50))
        .connect(url)
        .await
        .unwrap();
    let context = async_nats::jetstream::new(client);
    let mut number = after;
    while !*stop.borrow() {
        number += 1;
        let publish = async || {
            let text = number.to_string();
            let message = PublishMessage::build()
                .message_id(&text)
                .payload(text.into());
            context.send_publish("orders.1", message).await?.await
        };
        let given_up = Duration::from_millis(500);
        while !matches!(timeout(given_up, publish()).await, Ok(Ok(_))) {}
    }
    number
}

/// A projection's way of reading: checks, subscribes, reads, and starts again after an error.
struct Follower {
    task: tokio::task::JoinHandle<()>,
    /// It reads no further than the batch in which this lies.
    limit: watch::Sender<Sequence>,
    at: watch::Receiver<Position>,
    /// Subscriptions that have given an event.
    begun: watch::Receiver<u64>,
}

impl Follower {
    fn start(url: &str) -> Self {
        let (limit, limited) = watch::channel(0);
        let (progress, at) = watch::channel(Position::default());
        let (beginnings, begun) = watch::channel(0);
        let source = Arc::new(source(url));
        Self {
            task: tokio::spawn(Self::follow(source, limited, progress, beginnings)),
            limit,
            at,
            begun,
        }
    }

    async fn follow(
        source: Arc<JetStreamSource>,
        mut limit: watch::Receiver<Sequence>,
        progress: watch::Sender<Position>,
        beginnings: watch::Sender<u64>,
    ) {
        let readers = SharedReaders::new(source.clone(), LIMITS);
        let mut at = Position::default();
        loop {
            if at.sequence > 0 {
                resume(&source, at).await;
            }
            let Ok(mut subscription) = readers.subscribe(STREAM, at).await else {
                continue;
            };
            let mut begun = false;
            while let Ok(batch) = subscription.next().await {
                if !std::mem::replace(&mut begun, true) {
                    beginnings.send_modify(|count| *count += 1);
                }
                assert_continues(&batch, at);
                at = batch.through();
                progress.send_replace(at);
                limit.wait_for(|&limit| limit > at.sequence).await.unwrap();
            }
        }
    }

    async fn read_to(&mut self, place: Sequence) {
        self.limit.send_replace(place);
        self.until(place).await;
    }

    /// Reads without a limit, so that nothing gathers in buffers.
    async fn read_live_to(&mut self, place: Sequence) {
        self.limit.send_replace(Sequence::MAX);
        self.until(place).await;
    }

    /// Waits for the first event of a further subscription than the first `count`.
    async fn until_begun_again(&mut self, count: u64) {
        let begun = soon(self.begun.wait_for(|&begun| begun > count)).await;
        assert!(begun.is_ok(), "a wrong event");
    }

    async fn until(&mut self, place: Sequence) {
        let reached = soon(self.at.wait_for(|at| at.sequence >= place)).await;
        assert!(reached.is_ok(), "a wrong event");
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Every payload is its sequence, so an event that is lost, repeated or out of place shows.
fn assert_continues(batch: &Batch, at: Position) {
    for i in 0..batch.len() {
        let expected = at.sequence + 1 + i as u64;
        assert_eq!(batch.sequences()[i], expected);
        assert_eq!(batch.payloads().get(i), expected.to_string().as_bytes());
    }
}

impl Server {
    /// Publishes without waiting for each acknowledgement.
    async fn publish_quickly(&self, numbers: RangeInclusive<u64>) {
        let mut acks = VecDeque::new();
        for number in numbers {
            let payload = number.to_string().into();
            acks.push_back(self.context.publish("orders.1", payload).await.unwrap());
            if acks.len() > 1_000 {
                acks.pop_front().unwrap().await.unwrap();
            }
        }
        for ack in acks {
            ack.await.unwrap();
        }
    }

    /// Kills the server while it is read, brings it back and waits until `count` more events are read.
    async fn kill_under(&mut self, follower: &mut Follower, count: u64) {
        self.nats.kill();
        let place = follower.at.borrow().sequence + count;
        let before = *follower.begun.borrow();
        self.nats.restart();
        let back = Instant::now();
        let limit = place.max(*follower.limit.borrow());
        follower.limit.send_replace(limit);
        follower.until_begun_again(before).await;
        assert_soon_after(back);
        follower.until(place).await;
    }

    async fn position(&self, sequence: Sequence) -> Position {
        let time = self.source.event_time(STREAM, sequence).await.unwrap();
        let time = time.unwrap();
        Position { sequence, time }
    }
}

#[tokio::test]
async fn a_stream_deleted_and_made_again_is_recognised_however_long_it_is() {
    for count in [5, 10, 20] {
        let server = Server::start().await;
        server.publish_numbers(10).await;
        let at = server.position(10).await;
        let mut reader = server.read(10).await;
        server.context.delete_stream(STREAM).await.unwrap();
        server.create_stream(STREAM, &["orders.>"]).await;
        server.publish_numbers(count).await;
        let error = next(&mut reader).await.unwrap_err();
        assert!(matches!(error, SourceError::Interrupted { .. }), "{error}");
        let error = position::resume(&server.source, STREAM, at)
            .await
            .unwrap_err();
        match count {
            5 => assert!(
                matches!(error, SourceError::StreamWentBack { last: 5, .. }),
                "{error}"
            ),
            _ => assert!(
                matches!(error, SourceError::StreamReplaced { .. }),
                "{error}"
            ),
        }
    }
}

#[tokio::test]
async fn a_stream_restored_from_an_old_copy_is_recognised_even_when_it_grew_again() {
    let mut server = Server::start().await;
    server.publish_numbers(10).await;
    let (store, copy) = (server.nats.store(), tempfile::tempdir().unwrap());
    server.nats.kill();
    copy_folder(&store, copy.path());
    server.restart().await;
    server.publish_numbers(10).await;
    let at = server.position(20).await;
    server.nats.kill();
    std::fs::remove_dir_all(&store).unwrap();
    copy_folder(copy.path(), &store);
    server.restart().await;
    let error = position::resume(&server.source, STREAM, at)
        .await
        .unwrap_err();
    assert!(
        matches!(error, SourceError::StreamWentBack { last: 10, .. }),
        "{error}"
    );
    server.publish_numbers(20).await;
    let error = position::resume(&server.source, STREAM, at)
        .await
        .unwrap_err();
    assert!(
        matches!(error, SourceError::StreamReplaced { .. }),
        "{error}"
    );
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy_folder(&entry.path(), &target),
            false => drop(std::fs::copy(entry.path(), target).unwrap()),
        }
    }
}

#[tokio::test]
async fn events_that_are_gone_before_they_were_read_are_named() {
    let server = Server::start().await;
    server.publish_numbers(10).await;
    let at = server.position(4).await;
    let lost = async || match position::resume(&server.source, STREAM, at).await {
        Err(SourceError::EventsLost { first, last, .. }) => Some((first, last)),
        Ok(_) => None,
        Err(error) => panic!("{error}"),
    };
    server.purge_before(5).await;
    assert_eq!(lost().await, None, "the next event is still there");
    server.purge_before(8).await;
    assert_eq!(lost().await, Some((5, 7)));
    server.purge_before(11).await;
    assert_eq!(lost().await, Some((5, 10)));
}

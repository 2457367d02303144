//! A reader as a projection is one, and a publisher that goes on through faults.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_nats::jetstream::message::PublishMessage;
use tokio::sync::watch;
use tokio::time::timeout;

use super::*;
use crate::batch::Batch;
use crate::event::Position;
use crate::source::conformance::{LIMITS, soon};
use crate::source::position::{self, Resume};
use crate::source::shared::SharedReaders;

/// How long the first event of a new reader may take once the server is back. It takes well under 3 s where
/// nothing else runs; on a busy machine the bound only tells "soon" from "after some timeout".
const BACK_WITHIN: Duration = Duration::from_secs(10);

#[allow(
    clippy::print_stderr,
    reason = "the real time is of interest even where the bound holds"
)]
pub(super) fn assert_soon_after(back: Instant) {
    let took = back.elapsed();
    eprintln!("the first event came {took:?} after the server was back");
    assert!(took < BACK_WITHIN, "{took:?}");
}

/// Where reading goes on after `at`, as soon as the server can say.
pub(super) async fn resume(source: &JetStreamSource, at: Position) -> Resume {
    loop {
        match position::resume(source, STREAM, at).await {
            Ok(resume) => return resume,
            Err(error) => assert!(error.may_pass(), "{error}"),
        }
    }
}

/// Publishes the numbers after `after` one by one until told to stop, whatever the server does: it recognises
/// repetitions by their id. Gives the last one.
pub(super) async fn publish_through_faults(
    url: String,
    after: u64,
    stop: watch::Receiver<bool>,
) -> u64 {
    let client = async_nats::ConnectOptions::new()
        .reconnect_delay_callback(|_| Duration::from_millis(50))
        // The first fault may come before the first connection.
        .retry_on_initial_connect()
        .connect(&url.split(',').collect::<Vec<_>>()[..])
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
pub(super) struct Follower {
    task: tokio::task::JoinHandle<()>,
    /// It reads no further than the batch in which this lies.
    pub(super) limit: watch::Sender<Sequence>,
    pub(super) at: watch::Receiver<Position>,
    /// Subscriptions that have given an event.
    pub(super) begun: watch::Receiver<u64>,
}

impl Follower {
    pub(super) fn start(url: &str) -> Self {
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

    pub(super) async fn read_to(&mut self, place: Sequence) {
        self.limit.send_replace(place);
        self.until(place).await;
    }

    /// Reads without a limit, so that nothing gathers in buffers.
    pub(super) async fn read_live_to(&mut self, place: Sequence) {
        self.limit.send_replace(Sequence::MAX);
        self.until(place).await;
    }

    /// Waits for the first event of a further subscription than the first `count`.
    pub(super) async fn until_begun_again(&self, count: u64) {
        let mut begun = self.begun.clone();
        let begun = soon(begun.wait_for(|&begun| begun > count)).await;
        assert!(begun.is_ok(), "a wrong event");
    }

    pub(super) async fn until(&self, place: Sequence) {
        let mut at = self.at.clone();
        let reached = soon(at.wait_for(|at| at.sequence >= place)).await;
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

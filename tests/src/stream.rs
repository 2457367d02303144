//! A JetStream stream: made, published to and read back. Everything here blocks.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use anyhow::{Context as _, Result};
use async_nats::HeaderMap;
use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::context::PublishAckFuture;
use async_nats::jetstream::message::PublishMessage;
use async_nats::jetstream::stream::RetentionPolicy;
pub use async_nats::jetstream::stream::{Config, SubjectTransform};
use async_nats::jetstream::{Context, ContextBuilder};
use futures::TryStreamExt as _;
use tokio::runtime::Runtime;

use crate::orders::Event;
use crate::wait::{LONG, wait_within};

/// Messages published and not yet acknowledged.
const WINDOW: usize = 1_000;

/// How long one acknowledgement may take.
const ACK_WITHIN: Duration = Duration::from_secs(60);

/// The same while the server is killed again and again: a lost one should be noticed soon.
const ACK_WITHIN_CRASHES: Duration = Duration::from_secs(2);

/// One stream on one server.
#[derive(Debug)]
pub struct Stream {
    runtime: Runtime,
    context: Context,
    url: String,
    name: String,
}

impl Stream {
    /// Makes a stream of order events and of foreign ones: `orders.>` and `stock.>`.
    pub fn of_orders(url: &str) -> Self {
        Self::create(
            url,
            "ORDERS",
            &["orders.>", "stock.>"],
            RetentionPolicy::Limits,
        )
    }

    /// Makes a stream on the server at `url`.
    ///
    /// # Panics
    /// If the server refuses.
    pub fn create(url: &str, name: &str, subjects: &[&str], retention: RetentionPolicy) -> Self {
        let config = Config {
            name: name.to_owned(),
            subjects: subjects.iter().map(|&subject| subject.to_owned()).collect(),
            retention,
            ..Config::default()
        };
        Self::with_config(url, config)
    }

    /// Makes a stream with this configuration.
    ///
    /// # Panics
    /// If the server refuses.
    pub fn with_config(url: &str, config: Config) -> Self {
        let runtime = runtime();
        let context = runtime
            .block_on(connect(url, ACK_WITHIN))
            .expect("the server answers");
        let name = config.name.clone();
        runtime
            .block_on(context.create_stream(config))
            .expect("the stream is made");
        Self {
            runtime,
            context,
            url: url.to_owned(),
            name,
        }
    }

    /// The same stream with a connection of its own, for another thread.
    ///
    /// # Panics
    /// If the server does not answer.
    #[must_use]
    pub fn another(&self) -> Self {
        let runtime = runtime();
        let context = runtime.block_on(connect(&self.url, ACK_WITHIN));
        Self {
            context: context.expect("the server answers"),
            runtime,
            url: self.url.clone(),
            name: self.name.clone(),
        }
    }

    /// Publishes all, and gives the sequence of the last once all are stored.
    ///
    /// # Panics
    /// If one is not acknowledged.
    pub fn publish(&self, events: &[Event]) -> u64 {
        let messages = events.iter().map(|event| (event, message(event)));
        self.runtime
            .block_on(pipelined(&self.context, messages))
            .expect("the events are stored")
    }

    /// Publishes one message, and gives its sequence once it is stored.
    ///
    /// # Panics
    /// If it is not acknowledged.
    pub fn publish_one(&self, subject: &str, payload: &str, headers: &[(&str, &str)]) -> u64 {
        let mut map = HeaderMap::new();
        headers
            .iter()
            .for_each(|(name, value)| map.append(*name, *value));
        let event = Event {
            subject: subject.to_owned(),
            payload: payload.into(),
        };
        let message = message(&event).headers(map);
        let stored = pipelined(&self.context, [(&event, message)].into_iter());
        self.runtime
            .block_on(stored)
            .expect("the message is stored")
    }

    /// Makes `history` the content of the stream, event `i` under sequence `i + 1`, although the server is
    /// killed meanwhile. What the stream holds already is the beginning of it.
    ///
    /// Each message says which sequence must be the last one before it, so none can be stored twice or out
    /// of order whatever was lost on the way; after an error a new connection goes on from the stream's end.
    ///
    /// # Panics
    /// If the server stays away.
    pub fn publish_through_crashes(&self, history: &[Event]) -> u64 {
        // Every message is a write to the disk, which may be slow.
        wait_within(3 * LONG, "the server takes the events", || {
            let attempt = self.runtime.block_on(self.continue_history(history));
            attempt
                .inspect_err(|error| eprintln!("publishing was interrupted: {error:#}"))
                .ok()
        })
    }

    async fn continue_history(&self, history: &[Event]) -> Result<u64> {
        let context = connect(&self.url, ACK_WITHIN_CRASHES).await?;
        let last = last_sequence(&context, &self.name).await?;
        let stored = usize::try_from(last)?;
        let rest = history[stored..].iter().zip(last..);
        let messages =
            rest.map(|(event, before)| (event, message(event).expected_last_sequence(before)));
        Ok(pipelined(&context, messages).await?.max(last))
    }

    /// Everything the stream holds, from sequence 1 on.
    ///
    /// # Panics
    /// If the server does not give it, or a sequence is missing.
    pub fn read_back(&self) -> Vec<Event> {
        self.runtime
            .block_on(self.contents())
            .expect("the stream can be read")
    }

    async fn contents(&self) -> Result<Vec<Event>> {
        // A connection of its own: the publisher's may still be coming back from a crash.
        let context = connect(&self.url, ACK_WITHIN).await?;
        let count = last_sequence(&context, &self.name).await?;
        let stream = context.get_stream(&self.name).await?;
        let everything = pull::Config {
            ack_policy: AckPolicy::None,
            ..pull::Config::default()
        };
        let consumer = stream.create_consumer(everything).await?;
        let mut messages = consumer
            .stream()
            .max_messages_per_batch(1_000)
            .messages()
            .await?;
        let mut events = Vec::new();
        for sequence in 1..=count {
            let message = messages
                .try_next()
                .await?
                .context("the stream ended early")?;
            let found = message
                .info()
                .map_err(anyhow::Error::from_boxed)?
                .stream_sequence;
            assert_eq!(found, sequence, "a sequence is missing");
            let payload = message.payload.to_vec();
            events.push(Event {
                subject: message.subject.to_string(),
                payload,
            });
        }
        Ok(events)
    }

    /// The names of the stream's consumers.
    ///
    /// # Panics
    /// If the server does not answer.
    pub fn consumers(&self) -> BTreeSet<String> {
        let names = async {
            let stream = self.context.get_stream(&self.name).await?;
            let names: BTreeSet<String> = stream.consumer_names().try_collect().await?;
            anyhow::Ok(names)
        };
        self.runtime.block_on(names).expect("the server answers")
    }

    /// Deletes the stream and everything in it.
    ///
    /// # Panics
    /// If the server refuses.
    pub fn delete(&self) {
        let deleted = self.context.delete_stream(&self.name);
        self.runtime
            .block_on(deleted)
            .expect("the stream is deleted");
    }

    /// Deletes the messages before `sequence`, as a limit on age does.
    ///
    /// # Panics
    /// If the server refuses.
    pub fn purge_before(&self, sequence: u64) {
        let purged = async {
            let stream = self.context.get_stream(&self.name).await?;
            stream.purge().sequence(sequence).await?;
            anyhow::Ok(())
        };
        self.runtime.block_on(purged).expect("the stream is purged");
    }

    /// Deletes one message, wherever it is.
    ///
    /// # Panics
    /// If the server refuses.
    pub fn delete_message(&self, sequence: u64) {
        let deleted = async {
            let stream = self.context.get_stream(&self.name).await?;
            stream.delete_message(sequence).await?;
            anyhow::Ok(())
        };
        let deleted = self.runtime.block_on(deleted);
        deleted.expect("the message is deleted");
    }

    /// The sequence of the newest message.
    ///
    /// # Panics
    /// If the server does not answer.
    pub fn last_sequence(&self) -> u64 {
        let last = last_sequence(&self.context, &self.name);
        self.runtime.block_on(last).expect("the server answers")
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime")
}

async fn connect(url: &str, timeout: Duration) -> Result<Context> {
    let client = async_nats::connect(url).await?;
    let builder = ContextBuilder::new().timeout(timeout).ack_timeout(timeout);
    Ok(builder.build(client))
}

async fn last_sequence(context: &Context, stream: &str) -> Result<u64> {
    Ok(context
        .get_stream(stream)
        .await?
        .cached_info()
        .state
        .last_sequence)
}

fn message(event: &Event) -> PublishMessage {
    PublishMessage::build().payload(event.payload.clone().into())
}

/// Sends in order, with a window of unacknowledged messages; gives the last sequence, 0 for nothing.
async fn pipelined<'e>(
    context: &Context,
    messages: impl Iterator<Item = (&'e Event, PublishMessage)>,
) -> Result<u64> {
    let mut waiting = VecDeque::<PublishAckFuture>::new();
    let mut last = 0;
    for (event, message) in messages {
        waiting.push_back(context.send_publish(event.subject.clone(), message).await?);
        if waiting.len() >= WINDOW
            && let Some(oldest) = waiting.pop_front()
        {
            last = oldest.await?.sequence;
        }
    }
    for ack in waiting {
        last = ack.await?.sequence;
    }
    Ok(last)
}

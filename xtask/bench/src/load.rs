//! Fills a stream.

use std::collections::VecDeque;

use anyhow::{Context as _, Result};
use async_nats::HeaderMap;
use async_nats::jetstream::consumer::{AckPolicy, pull};
use async_nats::jetstream::{self, context::PublishAckFuture, stream};
use futures::TryStreamExt as _;

use crate::orders::OrderEvent;

pub(crate) const STREAM: &str = "ORDERS";

/// Publishes that may wait for their acknowledgement; more do not make it faster.
const IN_FLIGHT: usize = 2_000;

/// Makes the stream and publishes all `events` to it, each of them acknowledged.
pub(crate) async fn load(url: &str, events: impl Iterator<Item = OrderEvent>) -> Result<()> {
    let jetstream = connect(url).await?;
    create_stream(&jetstream, STREAM, "orders.>").await?;
    let mut unacknowledged = InFlight::default();
    for event in events {
        unacknowledged
            .push(publish(&jetstream, event).await?)
            .await?;
    }
    unacknowledged.settle().await
}

/// Copies the first `count` events to the stream `FIRST_<count>`, with `first.<count>.` before their subjects: for a
/// reader that cannot be told where to stop, and would read on while others are timed.
pub(crate) async fn copy_first(url: &str, count: u64) -> Result<()> {
    let (jetstream, prefix) = (connect(url).await?, format!("first.{count}"));
    create_stream(
        &jetstream,
        &format!("FIRST_{count}"),
        &format!("{prefix}.>"),
    )
    .await?;
    let config = pull::Config {
        ack_policy: AckPolicy::None,
        memory_storage: true,
        ..Default::default()
    };
    let stream = jetstream.get_stream(STREAM).await?;
    let consumer = stream.create_consumer(config).await?;
    let mut messages = consumer.messages().await?;
    let mut unacknowledged = InFlight::default();
    for _ in 0..count {
        let message = messages.try_next().await?.context("the stream ended")?;
        let headers = message.headers.clone().unwrap_or_default();
        let (subject, payload) = (&message.subject, message.payload.clone());
        let published =
            jetstream.publish_with_headers(format!("{prefix}.{subject}"), headers, payload);
        unacknowledged
            .push(published.await.context("copying an order event")?)
            .await?;
    }
    unacknowledged.settle().await
}

async fn connect(url: &str) -> Result<jetstream::Context> {
    let client = async_nats::connect(url)
        .await
        .with_context(|| format!("connecting to {url}"))?;
    Ok(jetstream::new(client))
}

async fn create_stream(jetstream: &jetstream::Context, name: &str, subjects: &str) -> Result<()> {
    let config = stream::Config {
        name: name.to_owned(),
        subjects: vec![subjects.to_owned()],
        ..Default::default()
    };
    jetstream
        .create_stream(config)
        .await
        .with_context(|| format!("creating the stream {name}"))?;
    Ok(())
}

/// Publishes one event with its header.
pub(crate) async fn publish(
    jetstream: &jetstream::Context,
    event: OrderEvent,
) -> Result<PublishAckFuture> {
    let mut headers = HeaderMap::new();
    headers.insert("Trace-Id", event.trace);
    let published = jetstream.publish_with_headers(event.subject, headers, event.payload.into());
    published.await.context("publishing an order event")
}

/// Events that the server has yet to acknowledge, at most [`IN_FLIGHT`].
#[derive(Default)]
struct InFlight(VecDeque<PublishAckFuture>);

impl InFlight {
    async fn push(&mut self, published: PublishAckFuture) -> Result<()> {
        if self.0.len() == IN_FLIGHT
            && let Some(oldest) = self.0.pop_front()
        {
            acknowledged(oldest).await?;
        }
        self.0.push_back(published);
        Ok(())
    }

    /// Waits for all of them.
    async fn settle(self) -> Result<()> {
        for published in self.0 {
            acknowledged(published).await?;
        }
        Ok(())
    }
}

async fn acknowledged(published: PublishAckFuture) -> Result<()> {
    published
        .await
        .context("the server did not acknowledge an order event")?;
    Ok(())
}

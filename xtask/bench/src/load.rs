//! Fills a stream.

use std::collections::VecDeque;

use anyhow::{Context as _, Result};
use async_nats::HeaderMap;
use async_nats::jetstream::{self, context::PublishAckFuture, stream};

use crate::orders::OrderEvent;

pub(crate) const STREAM: &str = "ORDERS";

/// Publishes that may wait for their acknowledgement; more do not make it faster.
const IN_FLIGHT: usize = 2_000;

/// Makes the stream and publishes all `events` to it, each of them acknowledged.
pub(crate) async fn load(url: &str, events: impl Iterator<Item = OrderEvent>) -> Result<()> {
    let client = async_nats::connect(url)
        .await
        .with_context(|| format!("connecting to {url}"))?;
    let jetstream = jetstream::new(client);
    let config = stream::Config {
        name: STREAM.to_owned(),
        subjects: vec!["orders.>".to_owned()],
        ..Default::default()
    };
    jetstream
        .create_stream(config)
        .await
        .context("creating the stream")?;
    let mut unacknowledged = VecDeque::with_capacity(IN_FLIGHT);
    for event in events {
        if unacknowledged.len() == IN_FLIGHT {
            settle(unacknowledged.pop_front()).await?;
        }
        unacknowledged.push_back(publish(&jetstream, event).await?);
    }
    for acknowledgement in unacknowledged {
        settle(Some(acknowledgement)).await?;
    }
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

async fn settle(acknowledgement: Option<PublishAckFuture>) -> Result<()> {
    if let Some(acknowledgement) = acknowledgement {
        acknowledgement
            .await
            .context("the server did not acknowledge an order event")?;
    }
    Ok(())
}

//! Fills a stream with past events, then adds new ones at the pace of a small shop.

use std::collections::VecDeque;
use std::time::Duration;

use anyhow::{Context as _, Result};
use async_nats::jetstream::context::{Context, ContextBuilder, PublishAckFuture};
use async_nats::jetstream::stream;
use indicatif::ProgressBar;
use time::OffsetDateTime;

use crate::orders::OrderEvents;

pub(crate) const STREAM: &str = "ORDERS";

/// Any number would do; with this one every demo shows the same orders.
const SEED: u64 = 20_260_101;

/// The past events are spread over this much time before now.
const PAST: Duration = Duration::from_secs(30 * 24 * 3600);

/// How long the server may take for one answer; the client's own 5 s are too few for a slow disk.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// Publishes that may wait for their acknowledgement; more do not make it faster.
const IN_FLIGHT: usize = 1_000;

/// Publishes order events to one stream.
pub(crate) struct Publisher {
    jetstream: Context,
    events: OrderEvents,
}

impl Publisher {
    /// Connects and makes the stream.
    pub(crate) async fn connect(url: &str) -> Result<Self> {
        let client = async_nats::connect(url)
            .await
            .with_context(|| format!("connecting to {url}"))?;
        let jetstream = ContextBuilder::new()
            .timeout(ANSWER_WITHIN)
            .ack_timeout(ANSWER_WITHIN)
            .build(client);
        let config = stream::Config {
            name: STREAM.to_owned(),
            subjects: vec!["orders.>".to_owned()],
            ..Default::default()
        };
        jetstream
            .create_stream(config)
            .await
            .with_context(|| format!("creating stream {STREAM}"))?;
        Ok(Self {
            jetstream,
            events: OrderEvents::new(SEED),
        })
    }

    /// Publishes `count` events that happened in the last month; every one is acknowledged.
    pub(crate) async fn publish_past(&mut self, count: u32, progress: &ProgressBar) -> Result<()> {
        let start = OffsetDateTime::now_utc() - PAST;
        let mut unacknowledged = VecDeque::with_capacity(IN_FLIGHT);
        for index in 0..count {
            if unacknowledged.len() == IN_FLIGHT {
                settle(unacknowledged.pop_front()).await?;
                progress.inc(1);
            }
            let time = start + PAST * index / count;
            unacknowledged.push_back(self.publish(time).await?);
        }
        for acknowledgement in unacknowledged {
            settle(Some(acknowledgement)).await?;
            progress.inc(1);
        }
        Ok(())
    }

    /// Publishes one event that happens now, each time `pause` has passed, until it is dropped.
    pub(crate) async fn trickle(mut self, pause: Duration) -> Result<()> {
        let mut ticks = tokio::time::interval(pause);
        loop {
            ticks.tick().await;
            let acknowledgement = self.publish(OffsetDateTime::now_utc()).await?;
            settle(Some(acknowledgement)).await?;
        }
    }

    async fn publish(&mut self, time: OffsetDateTime) -> Result<PublishAckFuture> {
        let event = self.events.next(time);
        let published = self
            .jetstream
            .publish(event.subject, event.payload.into())
            .await;
        published.context("publishing an order event")
    }
}

async fn settle(acknowledgement: Option<PublishAckFuture>) -> Result<()> {
    if let Some(acknowledgement) = acknowledgement {
        acknowledgement
            .await
            .context("the server did not acknowledge an order event")?;
    }
    Ok(())
}

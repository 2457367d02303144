//! Publishes at a steady pace and notes when each event arrives: at a bare subscriber, and in a query that names the
//! event's sequence.

use std::collections::HashMap;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Error, Result};
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, pull};
use async_nats::jetstream::{self, context::PublishAckFuture};
use futures::TryStreamExt as _;
use tokio::task::JoinHandle;

use crate::load::{STREAM, publish};
use crate::orders::OrderEvent;
use crate::replay::{PROJECTION, TABLE};

/// A thousand events a second.
const PACE: Duration = Duration::from_millis(1);

/// One event in this many is asked for in a query.
const SAMPLED: usize = 10;

/// Milliseconds from the call that publishes until the event is there.
pub(super) struct Delays {
    pub(super) bare: Vec<f64>,
    pub(super) visible: Vec<f64>,
}

/// When each sequence was published, and when it arrived somewhere.
type Times = HashMap<u64, Instant>;

/// Publishes `events` until they end or `is_over` says so, against a host at `host` and a server at `url`.
pub(super) fn run(
    url: &str,
    host: &str,
    events: impl Iterator<Item = OrderEvent>,
    is_over: impl Fn() -> bool,
) -> Result<Delays> {
    let (asked, questions) = mpsc::channel::<(u64, Instant)>();
    let host = host.to_owned();
    let queries = thread::spawn(move || query(&host, &questions));
    let runtime = tokio::runtime::Runtime::new()?;
    let bare = runtime.block_on(async {
        let (received, published) = (
            subscribe(url).await?,
            publish_all(url, events, asked, is_over).await?,
        );
        received.abort_after(&published).await
    })?;
    let visible = queries
        .join()
        .map_err(|_| anyhow::anyhow!("the thread that queries panicked"))??;
    Ok(Delays { bare, visible })
}

/// A bare subscriber, collecting arrivals.
struct Subscriber {
    arrivals: tokio::sync::mpsc::UnboundedReceiver<(u64, Instant)>,
    task: JoinHandle<Result<()>>,
}

async fn subscribe(url: &str) -> Result<Subscriber> {
    let jetstream = jetstream::new(async_nats::connect(url).await?);
    let config = pull::Config {
        deliver_policy: DeliverPolicy::New,
        ack_policy: AckPolicy::None,
        memory_storage: true,
        ..Default::default()
    };
    let consumer = jetstream
        .get_stream(STREAM)
        .await?
        .create_consumer(config)
        .await?;
    let mut messages = consumer.messages().await?;
    let (sender, arrivals) = tokio::sync::mpsc::unbounded_channel();
    let task = tokio::spawn(async move {
        while let Some(message) = messages.try_next().await? {
            let sequence = message.info().map_err(Error::from_boxed)?.stream_sequence;
            if sender.send((sequence, Instant::now())).is_err() {
                break;
            }
        }
        Ok(())
    });
    Ok(Subscriber { arrivals, task })
}

impl Subscriber {
    /// Waits for the last one, then stops; milliseconds for each.
    async fn abort_after(mut self, published: &Times) -> Result<Vec<f64>> {
        let last = published
            .keys()
            .copied()
            .max()
            .context("nothing was published")?;
        let mut delays = Vec::with_capacity(published.len());
        while let Some((sequence, arrived)) = self.arrivals.recv().await {
            if let Some(sent) = published.get(&sequence) {
                delays.push(milliseconds(arrived.saturating_duration_since(*sent)));
            }
            if sequence >= last {
                break;
            }
        }
        self.task.abort();
        Ok(delays)
    }
}

async fn publish_all(
    url: &str,
    events: impl Iterator<Item = OrderEvent>,
    asked: mpsc::Sender<(u64, Instant)>,
    is_over: impl Fn() -> bool,
) -> Result<Times> {
    let jetstream = jetstream::new(async_nats::connect(url).await?);
    let (unacknowledged, acknowledgements) = tokio::sync::mpsc::channel(10_000);
    let settled = tokio::spawn(settle(acknowledgements, asked));
    let mut ticks = tokio::time::interval(PACE);
    for event in events {
        ticks.tick().await;
        if is_over() {
            break;
        }
        let sent = Instant::now();
        let acknowledgement = publish(&jetstream, event).await?;
        unacknowledged.send((sent, acknowledgement)).await?;
    }
    drop(unacknowledged);
    settled.await?
}

/// Learns the sequences, and asks for some of them as soon as it knows them.
async fn settle(
    mut acknowledgements: tokio::sync::mpsc::Receiver<(Instant, PublishAckFuture)>,
    asked: mpsc::Sender<(u64, Instant)>,
) -> Result<Times> {
    let mut published = Times::new();
    while let Some((sent, acknowledgement)) = acknowledgements.recv().await {
        let sequence = acknowledgement
            .await
            .context("an event was not acknowledged")?
            .sequence;
        if published.len().is_multiple_of(SAMPLED) {
            asked.send((sequence, sent))?;
        }
        published.insert(sequence, sent);
    }
    Ok(published)
}

/// What a user does who wants to read the own write, on one connection that stays open.
fn query(host: &str, questions: &mpsc::Receiver<(u64, Instant)>) -> Result<Vec<f64>> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        // A proxy for the web is not meant for a host on this machine.
        .proxy(None)
        .build()
        .into();
    let mut delays = Vec::new();
    for (sequence, sent) in questions {
        let rows = format!(
            "{host}/v1/read-models/{PROJECTION}/{TABLE}?limit=1&min_sequence={sequence}&timeout=60s"
        );
        let mut answer = agent
            .get(&rows)
            .call()
            .with_context(|| format!("GET {rows}"))?;
        let body = answer.body_mut().read_to_string()?;
        anyhow::ensure!(answer.status() == 200, "{rows} answered {body}");
        delays.push(milliseconds(sent.elapsed()));
    }
    Ok(delays)
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

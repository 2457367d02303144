//! Reading a stream with a pull consumer of our own, thrown away on any doubt.

use std::time::Duration;

use async_nats::jetstream::consumer::pull::{
    Config, MessagesError, MessagesErrorKind, Stream as Messages,
};
use async_nats::jetstream::consumer::{AckPolicy, Consumer, DeliverPolicy, ReplayPolicy};
use async_nats::jetstream::stream::ConsumerErrorKind;
use async_nats::jetstream::{Context, Message};
use futures::{FutureExt, StreamExt};
use tokio::sync::{mpsc, watch};
use tokio_util::task::AbortOnDropHandle;

use super::connection::{Connection, Health};
use super::lookup;
use super::pack::Packer;
use crate::batch::{Batch, BatchLimits};
use crate::event::Sequence;
use crate::source::{EventReader, Lane, SourceError};

/// Batches that are packed before anybody takes them. Enough that packing goes on while one is used; more
/// would only hold memory, since the messages behind them wait in the client anyway.
const BATCHES_AHEAD: usize = 4;
/// Messages per pull request at the live tail; half of it is asked for again when half is used up.
const LIVE_WINDOW: usize = 2_000;
/// Messages per pull request in a replay: measured to be the smallest window that keeps the server busy.
/// One and a half windows must stay below the client's subscription capacity of 65,536 messages.
const REPLAY_WINDOW: usize = 5_000;
/// Bytes per pull request, so that large events do not fill the memory.
const WINDOW_BYTES: usize = 16 << 20;
/// A pull request that found nothing ends after this time and is made again.
const PULL_EXPIRES: Duration = Duration::from_secs(10);
/// The server gives a sign of life this often when there is nothing to read; two missed ones are an error.
const HEARTBEAT: Duration = Duration::from_secs(1);
/// The server forgets the consumer after this time without a pull request, should nobody delete it.
const INACTIVE: Duration = Duration::from_secs(60);

pub(super) async fn open(
    connection: &Connection,
    stream: &str,
    after: Sequence,
    lane: Lane,
    limits: BatchLimits,
) -> Result<EventReader, SourceError> {
    // Observed from before the consumer exists, so that no break goes unnoticed.
    let health = connection.health();
    let breaks = health.borrow().breaks;
    let (context, consumer) = create_consumer(connection, stream, after, lane).await?;
    let pending = consumer.cached_info().num_pending;
    let guard = ConsumerGuard::new(context.clone(), &consumer);
    let messages = pull(&context, &consumer, lane)
        .await
        .map_err(|error| connection.no_answer(&error))?;
    let reader = Reader {
        stream: stream.to_owned(),
        breaks,
        health,
        messages,
        packer: Packer::new(after, limits),
        carried: None,
        _guard: guard,
    };
    let (sender, batches) = mpsc::channel(BATCHES_AHEAD);
    Ok(EventReader {
        batches,
        pending,
        task: AbortOnDropHandle::new(tokio::spawn(reader.run(sender))),
    })
}

async fn create_consumer(
    connection: &Connection,
    stream: &str,
    after: Sequence,
    lane: Lane,
) -> Result<(Context, Consumer<Config>), SourceError> {
    let config = consumer_config(after, lane);
    let created = connection
        .ask(async |context| {
            let created = context.create_consumer_on_stream(config, stream).await;
            created.map(|consumer| (context, consumer))
        })
        .await?;
    created.map_err(|error| match error.kind() {
        ConsumerErrorKind::JetStream(error) => lookup::refused(connection, stream, &error),
        _ => connection.no_answer(&error),
    })
}

fn consumer_config(after: Sequence, lane: Lane) -> Config {
    Config {
        // A name of our own, so that permissions can be given for `foldline-*`.
        name: Some(format!("foldline-{:016x}", rand::random::<u64>())),
        description: Some(format!("Foldline, {lane:?} reader")),
        deliver_policy: DeliverPolicy::ByStartSequence {
            start_sequence: after + 1,
        },
        ack_policy: AckPolicy::None,
        replay_policy: ReplayPolicy::Instant,
        memory_storage: true,
        num_replicas: 1,
        inactive_threshold: INACTIVE,
        ..Config::default()
    }
}

async fn pull(
    context: &Context,
    consumer: &Consumer<Config>,
    lane: Lane,
) -> Result<Messages, async_nats::jetstream::consumer::StreamError> {
    let window = match lane {
        Lane::Live => LIVE_WINDOW,
        Lane::Replay => REPLAY_WINDOW,
    };
    // An event larger than a request's bytes would never be delivered.
    let bytes = WINDOW_BYTES.max(2 * context.client().max_payload());
    consumer
        .stream()
        .max_messages_per_batch(window)
        .max_bytes_per_batch(bytes)
        .expires(PULL_EXPIRES)
        .heartbeat(HEARTBEAT)
        .messages()
        .await
}

/// Deletes the consumer when the reader ends, however it ends, and waits for nothing.
struct ConsumerGuard {
    context: Context,
    stream: String,
    consumer: String,
    runtime: tokio::runtime::Handle,
}

impl ConsumerGuard {
    fn new(context: Context, consumer: &Consumer<Config>) -> Self {
        let info = consumer.cached_info();
        Self {
            context,
            stream: info.stream_name.clone(),
            consumer: info.name.clone(),
            runtime: tokio::runtime::Handle::current(),
        }
    }
}

impl Drop for ConsumerGuard {
    fn drop(&mut self) {
        let (context, stream) = (self.context.clone(), std::mem::take(&mut self.stream));
        let consumer = std::mem::take(&mut self.consumer);
        self.runtime.spawn(async move {
            let deleted = context
                .delete_consumer_from_stream(&consumer, &stream)
                .await;
            if let Err(error) = deleted {
                // Nothing is lost: the server forgets it after INACTIVE.
                tracing::debug!(%stream, %consumer, %error, "consumer not deleted");
            }
        });
    }
}

struct Reader {
    stream: String,
    messages: Messages,
    health: watch::Receiver<Health>,
    /// Breaks of the connection before the consumer was made.
    breaks: u64,
    packer: Packer,
    /// A message that did not fit into the last batch.
    carried: Option<Message>,
    _guard: ConsumerGuard,
}

impl Reader {
    async fn run(mut self, batches: mpsc::Sender<Result<Batch, SourceError>>) {
        loop {
            let packed = self.pack().await;
            if let Some(batch) = self.packer.take()
                && batches.send(Ok(batch)).await.is_err()
            {
                return;
            }
            if let Err(reason) = packed {
                let stream = self.stream.clone();
                let interrupted = SourceError::Interrupted { stream, reason };
                // Nobody is left to tell when this fails.
                let _ = batches.send(Err(interrupted)).await;
                return;
            }
        }
    }

    /// Waits for one message and packs it with everything else that is there already.
    async fn pack(&mut self) -> Result<(), String> {
        let mut message = match self.carried.take() {
            Some(message) => message,
            None => self.wait().await?,
        };
        loop {
            if self.packer.is_full_for(&message) {
                self.carried = Some(message);
                return Ok(());
            }
            self.packer.push(&message)?;
            // Without `unconstrained` tokio would end every batch after its budget of 128 messages.
            let ready = tokio::task::unconstrained(self.messages.next()).now_or_never();
            match ready {
                Some(next) => message = received(next)?,
                None => return Ok(()),
            }
        }
    }

    async fn wait(&mut self) -> Result<Message, String> {
        let breaks = self.breaks;
        tokio::select! {
            biased;
            message = self.messages.next() => received(message),
            _ = self.health.wait_for(|health| health.breaks != breaks) => {
                Err("the connection to the server broke".into())
            }
        }
    }
}

fn received(message: Option<Result<Message, MessagesError>>) -> Result<Message, String> {
    match message {
        Some(Ok(message)) => Ok(message),
        None => Err("the consumer ended".into()),
        Some(Err(error)) => Err(match error.kind() {
            MessagesErrorKind::MissingHeartbeat => "the server gave no sign of life".into(),
            MessagesErrorKind::ConsumerDeleted => "the consumer was deleted".into(),
            MessagesErrorKind::NoResponders => "the consumer is gone".into(),
            _ => error.to_string(),
        }),
    }
}

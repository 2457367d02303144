//! The consumer behind a reader: plain, unacknowledged, in memory, deleted after use.

use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::consumer::pull::Config;
use async_nats::jetstream::consumer::{AckPolicy, Consumer, DeliverPolicy, ReplayPolicy};
use async_nats::jetstream::stream::ConsumerErrorKind;

use super::connection::Connection;
use super::lookup;
use crate::event::{Sequence, Timestamp};
use crate::source::{Lane, SourceError};

/// The server forgets the consumer after this time without a pull request, should nobody delete it.
const INACTIVE: Duration = Duration::from_secs(60);

pub(super) async fn create(
    connection: &Connection,
    stream: &str,
    after: Sequence,
    lane: Lane,
) -> Result<(Context, Consumer<Config>), SourceError> {
    let start = DeliverPolicy::ByStartSequence {
        start_sequence: after + 1,
    };
    let config = consumer_config(start, format!("Foldline, {lane:?} reader"));
    create_with(connection, stream, config).await
}

async fn create_with(
    connection: &Connection,
    stream: &str,
    config: Config,
) -> Result<(Context, Consumer<Config>), SourceError> {
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

/// The sequence of the first event stored at `time` or later: where the server lets a consumer begin that asks for this
/// time. No stream information tells that.
pub(super) async fn sequence_at(
    connection: &Connection,
    stream: &str,
    time: Timestamp,
) -> Result<Sequence, SourceError> {
    let nanoseconds = i128::from(time);
    let start_time = async_nats::datetime::DateTime::from_unix_timestamp_nanos(nanoseconds)
        .map_err(|error| connection.no_answer(&error))?;
    let start = DeliverPolicy::ByStartTime { start_time };
    let config = consumer_config(start, "Foldline, looking up a time".into());
    let (context, consumer) = create_with(connection, stream, config).await?;
    let _deleted_at_the_end = ConsumerGuard::new(context, &consumer);
    Ok(consumer.cached_info().delivered.stream_sequence + 1)
}

fn consumer_config(start: DeliverPolicy, description: String) -> Config {
    Config {
        // A name of our own, so that whoever lists the stream's consumers sees whose it is.
        name: Some(format!("foldline-{:016x}", rand::random::<u64>())),
        description: Some(description),
        deliver_policy: start,
        ack_policy: AckPolicy::None,
        replay_policy: ReplayPolicy::Instant,
        memory_storage: true,
        num_replicas: 1,
        inactive_threshold: INACTIVE,
        ..Config::default()
    }
}

/// Deletes the consumer when the reader ends, however it ends, and waits for nothing.
pub(super) struct ConsumerGuard {
    context: Context,
    stream: String,
    consumer: String,
    runtime: tokio::runtime::Handle,
}

impl ConsumerGuard {
    pub(super) fn new(context: Context, consumer: &Consumer<Config>) -> Self {
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

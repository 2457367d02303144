//! Reading a stream with a pull consumer of our own, thrown away on any doubt.

use async_nats::jetstream::Message;
use async_nats::jetstream::consumer::pull::{MessagesError, MessagesErrorKind, Stream as Messages};
use futures::{FutureExt, StreamExt};
use tokio::sync::{mpsc, watch};
use tokio_util::task::AbortOnDropHandle;

use super::connection::{Connection, Health};
use super::consumer::{self, ConsumerGuard};
use super::pack::Packer;
use crate::batch::{Batch, BatchLimits};
use crate::event::Sequence;
use crate::source::{EventReader, Lane, SourceError};

/// Batches that are packed before anybody takes them. Enough that packing goes on while one is used; more
/// would only hold memory, since the messages behind them wait in the client anyway.
const BATCHES_AHEAD: usize = 4;

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
    let (context, consumer) = consumer::create(connection, stream, after, lane).await?;
    let pending = consumer.cached_info().num_pending;
    let guard = ConsumerGuard::new(context.clone(), &consumer);
    let messages = consumer::pull(&context, &consumer, lane)
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

//! Reading a stream with a pull consumer of our own, thrown away on any doubt.

use std::sync::Arc;
use std::time::Duration;

use async_nats::Message;
use futures::FutureExt;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::connection::{Connection, Doubt, Health};
use super::consumer::{self, ConsumerGuard};
use super::lookup;
use super::missing::{self, Missing};
use super::pack::Packer;
use super::pull::{Messages, PullError};
use super::unreadable;
use super::window::Flow;
use crate::batch::{Batch, BatchLimits};
use crate::event::Sequence;
use crate::source::{EventReader, Lane, ReadFrom, SourceError, position};

/// Batches that are packed before anybody takes them. Enough that packing goes on while one is used; more
/// would only hold memory, since the messages behind them wait in the client anyway.
const BATCHES_AHEAD: usize = 4;

/// Opens a reader on `connection`; what it has to ask meanwhile goes over `questions`, where no answer waits
/// behind the events of a replay.
pub(super) async fn open(
    connection: &Connection,
    questions: Arc<Connection>,
    stream: &str,
    from: ReadFrom,
    lane: Lane,
    limits: BatchLimits,
) -> Result<EventReader, SourceError> {
    // Observed from before the consumer exists, so that no break goes unnoticed.
    let health = connection.health();
    let breaks = health.borrow().breaks;
    if breaks > 0 {
        unreadable::check_next(&questions, stream, from.after()).await?;
    }
    let (context, consumer) = consumer::create(connection, stream, from.after(), lane).await?;
    let pending = consumer.cached_info().num_pending;
    let guard = ConsumerGuard::new(context.clone(), &consumer);
    let flow = Flow::new(Arc::clone(connection.window()), lane);
    let messages = connection
        .pull(&context, &consumer, lane)
        .await
        .map_err(|error| connection.no_answer(&error))?;
    let reader = Reader {
        stream: stream.to_owned(),
        doubts: [connection.doubt(), questions.doubt()],
        questions,
        breaks,
        health,
        messages,
        flow,
        pending,
        packer: Packer::new(from, limits),
        missing: None,
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

/// How often a reader that waits looks at the stream's beginning: what is dropped when nothing follows shows there
/// only. Longer than two heartbeats, so that what was sent before a look has arrived at the next one.
const LOOK_EVERY: Duration = Duration::from_secs(3);

struct Reader {
    stream: String,
    questions: Arc<Connection>,
    messages: Messages,
    flow: Flow,
    /// Messages that waited when the consumer was made.
    pending: u64,
    health: watch::Receiver<Health>,
    /// Where it says that signs of life are missing: both connections take the same way.
    doubts: [Doubt; 2],
    /// Breaks of the connection before the consumer was made.
    breaks: u64,
    packer: Packer,
    /// What was missing of the stream when that was asked last.
    missing: Option<Missing>,
    /// A message that did not fit into the last batch.
    carried: Option<Message>,
    _guard: ConsumerGuard,
}

impl Reader {
    async fn run(mut self, batches: mpsc::Sender<Result<Batch, SourceError>>) {
        loop {
            let packed = self.pack().await;
            let (batch, proven) = self.prove().await;
            if let Some(batch) = batch
                && batches.send(Ok(batch)).await.is_err()
            {
                return;
            }
            if let Err(error) = proven.and(packed) {
                // Nobody is left to tell when this fails.
                let _ = batches.send(Err(error)).await;
                return;
            }
        }
    }

    /// What has been packed, as far as it is proven to follow on without a loss.
    async fn prove(&mut self) -> (Option<Batch>, Result<(), SourceError>) {
        let Some((batch, gap)) = self.packer.take() else {
            return (None, Ok(()));
        };
        let Some(before) = gap else {
            return (Some(batch), Ok(()));
        };
        let Err(error) = self.explain(before, &batch).await else {
            return (Some(batch), Ok(()));
        };
        let lost = error.lost().map_or(before + 1, |lost| lost.first);
        let safe = batch.sequences().partition_point(|&s| s < lost);
        ((safe > 0).then(|| batch.slice(0..safe)), Err(error))
    }

    /// That what is missing in a batch, from behind `before` on, was deleted.
    ///
    /// A gap in the sequences is one of three things: events that were deleted one by one, the stream has dropped its
    /// beginning up to a place ahead of us, or its server has lost them. The server tells, asked after the events on both
    /// sides have come; what it says settles all gaps of a batch, since a stream's beginning only moves forward, and what
    /// was deleted stays so.
    async fn explain(&mut self, before: Sequence, batch: &Batch) -> Result<(), SourceError> {
        let sequences = batch.sequences();
        let known = self.missing.as_ref();
        if known.is_some_and(|missing| missing.explains(before, sequences)) {
            return Ok(());
        }
        let explained = missing::explain(&self.questions, &self.stream, before, sequences);
        let (missing, lost) = explained.await?.unzip();
        self.missing = missing;
        position::found(&self.stream, lost.flatten())
    }

    fn interrupted(&self, reason: String) -> SourceError {
        SourceError::Interrupted {
            stream: self.stream.clone(),
            reason,
        }
    }

    /// Waits for one message and packs it with everything else that is there already.
    async fn pack(&mut self) -> Result<(), SourceError> {
        let mut message = match self.carried.take() {
            Some(message) => message,
            None => self.wait().await?,
        };
        loop {
            if self.packer.is_full_for(&message) {
                self.carried = Some(message);
                return Ok(());
            }
            self.flow.receive();
            let pushed = self.packer.push(&message);
            pushed.map_err(|reason| self.interrupted(reason))?;
            // Without `unconstrained` tokio would end every batch after its budget of 128 messages.
            let ready = tokio::task::unconstrained(self.messages.next()).now_or_never();
            match ready {
                Some(next) => message = next.map_err(|error| self.failed(&error))?,
                None => return Ok(()),
            }
        }
    }

    /// Waits for a message; meanwhile looks whether the events it would bring are gone.
    async fn wait(&mut self) -> Result<Message, SourceError> {
        let mut lost = None;
        loop {
            match timeout(LOOK_EVERY, self.arrival()).await {
                Ok(arrived) => return arrived,
                Err(_) => {
                    let seen = self.lost().await;
                    // What was sent before it was dropped may still have been on its way at the first look.
                    if let (Some(_), Some(error)) = (lost, &seen) {
                        return Err(error.clone());
                    }
                    lost = seen;
                }
            }
        }
    }

    async fn arrival(&mut self) -> Result<Message, SourceError> {
        let breaks = self.breaks;
        let arrived = tokio::select! {
            biased;
            message = self.messages.next() => Some(message),
            _ = self.health.wait_for(|health| health.breaks != breaks) => None,
        };
        let Some(message) = arrived else {
            self.flow.broke(self.pending);
            return Err(self.interrupted("the connection to the server broke".into()));
        };
        message.map_err(|error| self.failed(&error))
    }

    /// What the stream has dropped of what was not read, as far as that can be asked now.
    async fn lost(&self) -> Option<SourceError> {
        let read = self.packer.read_to()?;
        let (questions, stream) = (&self.questions, &self.stream);
        let state = lookup::stream_state(questions, stream).await.ok()?;
        let dropped = position::not_lost(stream, read + 1, state.first_sequence);
        if dropped.is_err() {
            return dropped.err();
        }
        let lost = missing::lost_at_end(questions, stream, &state, read).await;
        position::found(stream, lost.ok()?).err()
    }

    fn failed(&self, error: &PullError) -> SourceError {
        if matches!(error, PullError::Silent) {
            self.doubts.iter().for_each(Doubt::raise);
        }
        self.interrupted(error.to_string())
    }
}

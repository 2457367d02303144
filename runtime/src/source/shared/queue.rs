//! What one subscriber has still to take: filled by the group it belongs to at the time.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::batch::Batch;
use crate::event::Position;
use crate::source::SourceError;

/// Most events that wait for one subscriber: some full batches in a replay, and seconds of live events that
/// come one by one. A subscriber that is further behind than this is slower, not just unlucky.
const QUEUED_EVENTS: usize = 10_000;
/// Most bytes that wait for one subscriber; a single larger batch may wait alone. Subscribers of one group
/// wait for the same bytes, so this counts once per group, not once per projection.
const QUEUED_BYTES: usize = 16 << 20;

/// A bounded queue with one subscriber and one group that feeds it.
#[derive(Debug)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// Wakes the subscriber.
    arrival: Notify,
}

#[derive(Debug)]
struct State {
    batches: VecDeque<Arc<Batch>>,
    events: usize,
    bytes: usize,
    /// Everything up to here was put in, or lies before the subscriber's start.
    fed: Position,
    /// Whether the subscriber waited for a batch and has not got one since.
    starving: bool,
    /// Whether the subscriber is gone.
    closed: bool,
    /// Whether some group reads for it.
    reading: bool,
    /// Why nothing more comes after what is queued.
    end: Option<SourceError>,
    /// Wakes the group.
    feeder: Arc<Notify>,
}

/// How a queue stands, as its group sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Appetite {
    /// The subscriber is gone.
    Closed,
    /// The subscriber waits for events and nothing is queued.
    Starving,
    /// There is room.
    Room,
    /// There is none.
    Full,
}

impl Queue {
    pub(super) fn new(after: Position, feeder: Arc<Notify>) -> Self {
        Self {
            state: Mutex::new(State {
                batches: VecDeque::new(),
                events: 0,
                bytes: 0,
                fed: after,
                starving: false,
                closed: false,
                reading: false,
                end: None,
                feeder,
            }),
            arrival: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere cannot leave the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything up to here was put in.
    pub(super) fn fed(&self) -> Position {
        self.lock().fed
    }

    /// How it stands towards `batch`.
    pub(super) fn appetite(&self, batch: &Batch) -> Appetite {
        let state = self.lock();
        let room = state.events + batch.len() <= QUEUED_EVENTS
            && state.bytes + batch.bytes() <= QUEUED_BYTES
            || batch.through().sequence <= state.fed.sequence;
        match state.batches.is_empty() {
            _ if state.closed => Appetite::Closed,
            true if state.starving => Appetite::Starving,
            empty if empty || room => Appetite::Room,
            _ => Appetite::Full,
        }
    }

    /// Whether the subscriber is gone.
    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Whether so much was taken that reading for it again is worth a new consumer.
    pub(super) fn is_half_empty(&self) -> bool {
        let state = self.lock();
        state.events <= QUEUED_EVENTS / 2 && state.bytes <= QUEUED_BYTES / 2
    }

    /// Puts in what of `batch` is new to the subscriber.
    pub(super) fn feed(&self, batch: &Arc<Batch>) {
        let mut state = self.lock();
        let fed = state.fed.sequence;
        if batch.through().sequence <= fed {
            return;
        }
        let batch = match batch.sequences().first() {
            Some(&first) if first <= fed => Arc::new(batch.after(fed)),
            _ => Arc::clone(batch),
        };
        state.fed = batch.through();
        state.events += batch.len();
        state.bytes += batch.bytes();
        state.batches.push_back(batch);
        state.starving = false;
        self.arrival.notify_one();
    }

    /// Says that a reader stands behind the queue, whether or not there is anything to read.
    pub(super) fn opened(&self) {
        self.lock().reading = true;
        self.arrival.notify_one();
    }

    /// Ends the queue behind what is in it.
    pub(super) fn fail(&self, error: &SourceError) {
        let mut state = self.lock();
        let error = error.to_reader_at(state.fed);
        state.end.get_or_insert(error);
        self.arrival.notify_one();
    }

    /// Gives the queue to another group.
    pub(super) fn fed_by(&self, feeder: Arc<Notify>) {
        self.lock().feeder = feeder;
    }

    /// Tells the group that the subscriber is gone.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.feeder.notify_one();
    }

    /// The next batch or the end, if there is one.
    pub(super) fn take(&self) -> Option<Result<Arc<Batch>, SourceError>> {
        let mut state = self.lock();
        let Some(batch) = state.batches.pop_front() else {
            return state.end.clone().map(Err);
        };
        state.events -= batch.len();
        state.bytes -= batch.bytes();
        state.feeder.notify_one();
        Some(Ok(batch))
    }

    /// Waits for the next batch or the end. Nothing is taken when the future is dropped before it is ready.
    pub(super) async fn next(&self) -> Result<Arc<Batch>, SourceError> {
        loop {
            if let Some(taken) = self.take() {
                return taken;
            }
            self.starve();
            // A permit is kept when the batch comes between the look and the wait.
            self.arrival.notified().await;
        }
    }

    /// Tells the group that its subscriber has nothing to do.
    fn starve(&self) {
        let mut state = self.lock();
        state.starving = state.batches.is_empty();
        state.feeder.notify_one();
    }

    /// Waits until a reader stands behind the queue.
    pub(super) async fn wait_until_open(&self) -> Result<(), SourceError> {
        loop {
            {
                let state = self.lock();
                match &state.end {
                    Some(error) if state.batches.is_empty() => return Err(error.clone()),
                    _ if state.reading => return Ok(()),
                    _ => {}
                }
            }
            self.arrival.notified().await;
        }
    }
}

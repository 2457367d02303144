//! The task of one group: reads for it as long as somebody is there.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::group::{Group, Offer};
use super::{GATHER_MOST, GATHER_QUIET, Registry};
use crate::batch::{Batch, BatchBuilder};
use crate::event::Position;
use crate::source::{EventReader, Lane, SourceError, position};

/// A group this close to the stream's end counts as caught up.
const CLOSE: u64 = 1_000;
/// A group further than this from the stream's end reads on the connection for replays. Well above [`CLOSE`],
/// so that a group does not go back and forth.
const FAR: u64 = 10_000;
/// A reader that nobody takes from is given up after this time, and opened again when there is room: the
/// server would forget its consumer later anyway, and that would look like a fault.
const PARK_AFTER: Duration = Duration::from_secs(2);

/// After so long without an event it is looked whether what the stream counts is still there: soon where nothing waited
/// when the last event was sent.
const QUIET: Duration = Duration::from_secs(1);
/// Else, and after each look: what waits may be large and on its way, and each look fetches it once more. Two generations
/// that are brought together wait for each other longer than this.
const LOOK_AGAIN: Duration = Duration::from_secs(3);

/// Reads for one group.
pub(super) struct Reading {
    registry: Arc<Registry>,
    group: Arc<Group>,
}

/// Why a reader was closed without an error.
enum Closed {
    /// Another one is to go on from the group's position, on this lane.
    Reopen(Lane),
    /// Another one is to go on when there is room.
    Park,
    /// The group is no more.
    Done,
}

impl Reading {
    pub(super) fn start(registry: Arc<Registry>, group: Arc<Group>) {
        let reading = Self { registry, group };
        tokio::spawn(reading.run());
    }

    async fn run(self) {
        self.gather().await;
        if let Err(error) = self.read_all().await {
            tracing::debug!(stream = %self.group.stream, %error, "reading ended");
            self.registry.fail(&self.group, &error);
        }
    }

    /// Waits until nobody has joined for a while.
    async fn gather(&self) {
        let end = Instant::now() + GATHER_MOST;
        let quiet = || end.min(Instant::now() + GATHER_QUIET);
        while timeout_at(quiet(), self.group.wake.notified())
            .await
            .is_ok()
        {}
    }

    async fn read_all(&self) -> Result<(), SourceError> {
        let mut lane = None;
        while self.wait_for_room().await {
            lane = match self.read(lane).await? {
                Closed::Reopen(lane) => Some(lane),
                Closed::Park => None,
                Closed::Done => break,
            };
        }
        Ok(())
    }

    /// Whether there is anybody to read for, once there is room for what is read.
    async fn wait_for_room(&self) -> bool {
        while !self.registry.leave(&self.group) {
            if self.group.has_room() {
                return true;
            }
            self.group.wake.notified().await;
        }
        false
    }

    /// Opens a reader, on the lane that the distance to the stream's end asks for if none is given.
    async fn open(&self, lane: Option<Lane>) -> Result<(EventReader, Lane), SourceError> {
        let (source, stream) = (&*self.registry.source, &*self.group.stream);
        let at = self.group.place_to_read();
        // Without a time the place is a start, which nothing in the stream can be compared with.
        let last_sequence = match at.time {
            0 => source.stream_state(stream).await?.last_sequence,
            _ => position::resume(source, stream, at).await?.last_sequence,
        };
        let far = last_sequence.saturating_sub(at.sequence) > FAR;
        let lane = lane.unwrap_or(if far { Lane::Replay } else { Lane::Live });
        let limits = self.registry.limits;
        let reader = source.read(stream, at.into(), lane, limits).await?;
        if at.time != 0 {
            // The stream may have been replaced since it was asked. From here on that would take the consumer with it.
            position::resume(source, stream, at).await?;
        }
        let members = self.group.opened(lane);
        tracing::debug!(stream, after = at.sequence, ?lane, members, "reading");
        Ok((reader, lane))
    }

    async fn read(&self, lane: Option<Lane>) -> Result<Closed, SourceError> {
        let (mut reader, lane) = self.open(lane).await?;
        let mut pending = reader.pending;
        // Kept through what else wakes this: a projection that fails again and again comes and goes all the time.
        let look = self.deleted(quiet(pending));
        tokio::pin!(look);
        loop {
            if let Some(closed) = self.change_place(pending, lane) {
                return Ok(closed);
            }
            let batch = tokio::select! {
                batch = reader.batches.recv() => batch.unwrap_or_else(|| Err(self.stopped()))?,
                () = self.group.wake.notified() => {
                    if self.registry.leave(&self.group) {
                        return Ok(Closed::Done);
                    }
                    continue;
                }
                // What arrives meanwhile comes first.
                nothing = &mut look => {
                    look.set(self.deleted(LOOK_AGAIN));
                    let Some(nothing) = nothing.filter(|_| reader.batches.is_empty()) else {
                        continue;
                    };
                    // The reader knows nothing of it: it would miss those events later.
                    let closed = self.deliver(&Arc::new(nothing)).await;
                    return Ok(closed.unwrap_or(Closed::Reopen(lane)));
                }
            };
            pending = batch.pending();
            look.set(self.deleted(quiet(pending)));
            if let Some(closed) = self.deliver(&Arc::new(batch)).await {
                return Ok(closed);
            }
        }
    }

    /// A batch without events that reaches to the stream's end, where all that follows was deleted before it was read;
    /// looks for that after this time.
    ///
    /// No reader ever comes to such an end: who waits for that would wait for the next event.
    async fn deleted(&self, look_after: Duration) -> Option<Batch> {
        tokio::time::sleep(look_after).await;
        let at = self.group.position();
        let end = self
            .registry
            .source
            .end_behind(&self.group.stream, at.into());
        // What is in the way of the answer the reader comes upon itself.
        let sequence = end.await.ok()??;
        // The anchor stays that of the last event that was read: it tells this stream from another one as before.
        let through = Position { sequence, ..at };
        Some(BatchBuilder::default().finish(through, 0))
    }

    /// Joins the live group, becomes it, or stops being it, as the distance to the stream's end demands.
    fn change_place(&self, pending: u64, lane: Lane) -> Option<Closed> {
        let close = pending <= CLOSE;
        if close && self.registry.merge(&self.group) {
            return Some(Closed::Done);
        }
        match lane {
            Lane::Replay if close && !self.registry.has_other_live(&self.group) => {
                Some(Closed::Reopen(Lane::Live))
            }
            Lane::Live if pending > FAR => Some(Closed::Reopen(Lane::Replay)),
            _ => None,
        }
    }

    /// Feeds a batch to the group; says so when its reader is not needed afterwards.
    async fn deliver(&self, batch: &Arc<Batch>) -> Option<Closed> {
        let park_at = Instant::now() + PARK_AFTER;
        loop {
            let wait = match self.group.offer(batch, Instant::now()) {
                Offer::Delivered { detached } => {
                    for queue in detached {
                        let (stream, fed) = (&*self.group.stream, queue.fed().sequence);
                        tracing::debug!(stream, fed, "too slow for its group: goes on alone");
                        self.registry.detach(&self.group.stream, queue);
                    }
                    return None;
                }
                Offer::Nobody if self.registry.leave(&self.group) => return Some(Closed::Done),
                Offer::Nobody => continue,
                Offer::Wait { patience } => patience,
            };
            let until = wait.map_or(park_at, |patience| Instant::now() + patience);
            let changed = timeout_at(until, self.group.wake.notified()).await;
            if changed.is_err() && wait.is_none() {
                self.group.parked();
                return Some(Closed::Park);
            }
        }
    }

    fn stopped(&self) -> SourceError {
        SourceError::Interrupted {
            stream: self.group.stream.clone(),
            reason: "the reader stopped".into(),
        }
    }
}

fn quiet(pending: u64) -> Duration {
    match pending {
        0 => QUIET,
        _ => LOOK_AGAIN,
    }
}

impl Drop for Reading {
    /// Leaves nobody waiting should the task be stopped or panic; does nothing after a regular end.
    fn drop(&mut self) {
        self.registry.fail(&self.group, &self.stopped());
    }
}

//! Reading a stream in memory.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio_util::task::AbortOnDropHandle;

use super::MemorySource;
use crate::batch::{Batch, BatchLimits};
use crate::source::{EventReader, ReadFrom, SourceError, position};

/// Batches that are packed before anybody takes them.
const BATCHES_AHEAD: usize = 4;

pub(super) struct Reader {
    pub(super) source: MemorySource,
    pub(super) stream: String,
    /// Where it stands.
    pub(super) at: ReadFrom,
    pub(super) limits: BatchLimits,
    /// Faults before it was opened; one more ends it.
    pub(super) faults: u64,
    pub(super) changes: watch::Receiver<u64>,
    /// The stream it was opened on.
    pub(super) life: Arc<()>,
}

impl Reader {
    pub(super) fn start(self, pending: u64) -> EventReader {
        let (sender, batches) = mpsc::channel(BATCHES_AHEAD);
        EventReader {
            batches,
            pending,
            task: AbortOnDropHandle::new(tokio::spawn(self.run(sender))),
        }
    }

    async fn run(mut self, batches: mpsc::Sender<Result<Batch, SourceError>>) {
        loop {
            // Before looking, so that a change after the look wakes us.
            self.changes.mark_unchanged();
            let goes_on = match self.pack() {
                Ok(Some(batch)) => batches.send(Ok(batch)).await.is_ok(),
                Ok(None) => self.changes.changed().await.is_ok(),
                Err(error) => {
                    // Nobody is left to tell when this fails.
                    let _ = batches.send(Err(error)).await;
                    false
                }
            };
            if !goes_on {
                return;
            }
        }
    }

    fn pack(&mut self) -> Result<Option<Batch>, SourceError> {
        let streams = self.source.lock();
        let stream = streams
            .by_name
            .get(&self.stream)
            .filter(|stream| Arc::ptr_eq(&stream.life, &self.life) && streams.faults == self.faults)
            .ok_or_else(|| SourceError::Interrupted {
                stream: self.stream.clone(),
                reason: "the source was interrupted".into(),
            })?;
        if let ReadFrom::After(read) = self.at {
            position::not_lost(&self.stream, read + 1, stream.state().first_sequence)?;
            position::found(&self.stream, stream.lost(read))?;
        }
        let batch = stream.pack(self.at.after(), self.limits);
        if let Some(batch) = &batch {
            self.at = ReadFrom::After(batch.through().sequence);
        }
        Ok(batch)
    }
}

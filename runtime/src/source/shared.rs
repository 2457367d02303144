//! One reader for the projections of a stream that stand at the same place.

use std::sync::Arc;

use crate::batch::{Batch, BatchLimits};
use crate::event::Sequence;

use super::{EventReader, EventSource, Lane, SourceError};

/// The readers of one host.
pub struct SharedReaders {
    source: Arc<dyn EventSource>,
    limits: BatchLimits,
}

impl SharedReaders {
    /// Readers over `source`, whose batches keep to `limits`.
    pub fn new(source: Arc<dyn EventSource>, limits: BatchLimits) -> Self {
        Self { source, limits }
    }

    /// Everything of `stream` after `after`.
    ///
    /// # Errors
    /// If reading cannot begin.
    pub async fn subscribe(
        &self,
        stream: &str,
        after: Sequence,
    ) -> Result<Subscription, SourceError> {
        let lane = Lane::Live;
        let reader = self.source.read(stream, after, lane, self.limits).await?;
        Ok(Subscription {
            stream: stream.to_owned(),
            reader,
        })
    }
}

/// The batches of one projection: contiguous, in order.
#[derive(Debug)]
pub struct Subscription {
    stream: String,
    reader: EventReader,
}

impl Subscription {
    /// The next batch, waiting for it. Nothing is lost when the future is dropped.
    ///
    /// # Errors
    /// When reading ended; subscribe again from the checkpoint.
    pub async fn next(&mut self) -> Result<Arc<Batch>, SourceError> {
        match self.reader.batches.recv().await {
            Some(batch) => batch.map(Arc::new),
            None => Err(SourceError::Interrupted {
                stream: self.stream.clone(),
                reason: "the reader ended".into(),
            }),
        }
    }

    /// The next batch, if one is there already.
    pub fn try_next(&mut self) -> Option<Result<Arc<Batch>, SourceError>> {
        let batch = self.reader.batches.try_recv().ok()?;
        Some(batch.map(Arc::new))
    }
}

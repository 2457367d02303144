//! The loop, and the only file that sees the whole line: batch → guest → changes → commit.
//!
//! It runs on a thread of its own, because a guest may compute for as long as its time limit allows.
//! Stopping and reloading are looked at between two commits, never inside one.

use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::progress::Progress;
use super::recovery::{self, Failure};
use crate::batch::{Batch, BatchLimits};
use crate::guest::{GuestInstance, GuestLimits, GuestModule};
use crate::source::SourceError;
use crate::source::shared::Subscription;
use crate::store::Checkpoint;
use crate::subject::SubjectFilter;

/// Everything one run of the loop needs.
pub struct Task {
    /// The guest and the read model it writes to.
    pub instance: GuestInstance,
    /// Where the read model stands.
    pub checkpoint: Checkpoint,
    /// Batches from there on.
    pub subscription: Subscription,
    /// Events the projection wants.
    pub filters: Vec<SubjectFilter>,
    /// Limits of an instance made after a fault or a reload.
    pub guest_limits: GuestLimits,
    /// How far small batches are joined.
    pub batch_limits: BatchLimits,
    /// The module to run; a new one is taken up at the next commit boundary.
    pub module: watch::Receiver<GuestModule>,
    /// Says what happened to the outside.
    pub progress: Progress,
    /// Ends the loop at the next commit boundary.
    pub stop: CancellationToken,
}

/// What the loop does next.
enum Next {
    Stop,
    Reload,
    Apply(Arc<Batch>),
}

impl Task {
    /// Runs until it is told to stop or cannot go on. Blocks its thread.
    ///
    /// # Errors
    /// Why it cannot go on; everything before that is committed.
    pub fn run(mut self, runtime: &Handle) -> Result<(), Failure> {
        loop {
            match runtime.block_on(self.next())? {
                Next::Stop => return Ok(()),
                Next::Reload => self = self.reload()?,
                Next::Apply(batch) => self = self.apply(&batch)?,
            }
        }
    }

    async fn next(&mut self) -> Result<Next, SourceError> {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Ok(Next::Stop),
            Ok(()) = self.module.changed() => Ok(Next::Reload),
            batch = self.subscription.next() => Ok(Next::Apply(batch?)),
        }
    }

    /// Swaps the module; the read model and its checkpoint stay.
    fn reload(mut self) -> Result<Self, Failure> {
        let module = self.module.borrow_and_update().clone();
        self.progress.reloaded(&module);
        let session = self.instance.into_session();
        self.instance = recovery::start(module, self.guest_limits, session)?;
        Ok(self)
    }

    /// Projects and commits one batch, with whatever else is ready to be read.
    fn apply(mut self, batch: &Arc<Batch>) -> Result<Self, Failure> {
        let batch = self.fill_up(batch)?;
        let after = self.checkpoint.sequence;
        let selected;
        let wanted = if batch.all_wanted(after, &self.filters) {
            &*batch
        } else {
            selected = batch.select(after, &self.filters);
            &selected
        };
        let mut attempt = recovery::Attempt {
            instance: self.instance,
            checkpoint: self.checkpoint,
            limits: self.guest_limits,
            progress: &mut self.progress,
        };
        attempt = attempt.project(wanted)?;
        self.instance = attempt.instance;
        self.checkpoint = attempt.checkpoint;
        Ok(self)
    }

    /// Joins batches that already wait: one call of the guest and one commit for all of them.
    fn fill_up(&mut self, first: &Arc<Batch>) -> Result<Arc<Batch>, SourceError> {
        let mut joined = None::<Batch>;
        loop {
            let (len, bytes) = joined
                .as_ref()
                .map_or((first.len(), first.bytes()), |b| (b.len(), b.bytes()));
            if 2 * len > self.batch_limits.events || 2 * bytes > self.batch_limits.bytes {
                break;
            }
            let Some(next) = self.subscription.try_next() else {
                break;
            };
            joined
                .get_or_insert_with(|| Batch::clone(first))
                .append(&*next?);
        }
        Ok(joined.map_or_else(|| Arc::clone(first), Arc::new))
    }
}

//! The loop: batch → guest → changes → commit. Only this file and [`recovery`](super::recovery) see the whole line.
//!
//! It runs on a thread of its own, because a guest may compute for as long as its time limit allows.
//! Stopping and reloading are looked at between two commits, never inside one.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::brake::{Brake, Wheel};
use super::progress::Progress;
use super::recovery::{Failure, Fold, Rules};
use super::requests::{Request, Requests};
use super::turn::Turn;
use crate::batch::{Batch, BatchLimits};
use crate::event::Sequence;
use crate::guest::GuestModule;
use crate::session::Session;
use crate::source::SourceError;
use crate::source::position::Resume;
use crate::source::shared::Subscription;
use crate::store::Checkpoint;
use crate::subject::SubjectFilter;

/// Everything one run of the loop needs. Nothing of the guest has run yet.
pub struct Task {
    /// The module to begin with.
    pub guest: GuestModule,
    /// The read model it writes to.
    pub session: Session,
    /// Where the read model stands.
    pub checkpoint: Checkpoint,
    /// What it has to keep to.
    pub rules: Rules,
    /// What the stream held when the checkpoint was checked against it.
    pub resume: Resume,
    /// What should be known of the read model, a sentence each.
    pub warnings: Vec<String>,
    /// Says what happened to the outside.
    pub progress: Progress,
    /// Lets the loop stand for a moment.
    pub brake: Brake,
    /// Lets others go first.
    pub turn: Turn,
    /// What the loop waits for.
    pub inputs: Inputs,
}

/// What the loop waits for.
pub struct Inputs {
    /// Batches from the checkpoint on.
    pub subscription: Subscription,
    /// A batch that was read and did not fit into the one before it.
    pub ahead: Option<Arc<Batch>>,
    /// Events the projection wants.
    pub filters: Vec<SubjectFilter>,
    /// How far small batches are joined.
    pub limits: BatchLimits,
    /// The module to run; a new one is taken up at the next commit boundary.
    pub module: watch::Receiver<GuestModule>,
    /// What operators ask for.
    pub requests: Requests,
    /// Ends the loop at the next commit boundary.
    pub stop: CancellationToken,
}

/// What the loop does next.
enum Next {
    Stop,
    Reload(GuestModule),
    Request(Request),
    /// What waits behind the folded events takes too long to come.
    Commit,
    Apply(Arc<Batch>),
    /// Another limit was set: look at it.
    Brake,
}

impl Task {
    /// Runs until it is told to stop or cannot go on. Blocks its thread.
    ///
    /// # Errors
    /// Why it cannot go on; everything before that is committed.
    pub fn run(self, runtime: &Handle) -> Result<(), Failure> {
        let mut inputs = self.inputs;
        // Before the fold, so that it is given up after it: who rests commits nothing any more.
        let mut wheel = self.brake.wheel();
        let key = &self.guest.definition.key;
        let mut warnings = self.resume.doubts(&inputs.filters);
        warnings.extend(self.warnings);
        warnings.extend(self.rules.poison.warning(key).map(str::to_owned));
        let mut fold = Fold::start(
            self.guest,
            self.session,
            self.checkpoint,
            self.rules,
            self.progress.clone(),
            inputs.stop.clone(),
        )?;
        self.progress.started(&self.resume, &warnings);
        fold = fold.drain_due()?;
        loop {
            let limit = wheel.limit();
            if let Some(limit) = limit.filter(|&limit| inputs.is_through(limit, fold.sequence())) {
                fold.rest()?;
                runtime.block_on(inputs.stand(&mut wheel, limit));
                if !inputs.stop.is_cancelled() {
                    continue;
                }
            }
            let next = runtime.block_on(inputs.next(fold.due(), &mut wheel));
            fold = match next {
                Ok(Next::Brake) => fold,
                Ok(Next::Apply(batch)) => {
                    let (began, at_work) = (Instant::now(), self.turn.begin());
                    let fold = inputs.apply(batch, limit, fold)?;
                    drop(at_work);
                    runtime.block_on(inputs.give_way(&self.turn, began.elapsed()));
                    fold
                }
                Ok(Next::Reload(module)) => fold.reload(module)?.drain_due()?,
                Ok(Next::Request(request)) => fold.answer(request)?,
                Ok(Next::Commit) => {
                    fold.commit()?;
                    fold
                }
                Ok(Next::Stop) => return fold.commit(),
                Err(error) => {
                    fold.commit()?;
                    return Err(error.into());
                }
            }
        }
    }
}

impl Inputs {
    async fn next(
        &mut self,
        commit_due: Option<Instant>,
        wheel: &mut Wheel,
    ) -> Result<Next, SourceError> {
        let due = async {
            match commit_due {
                Some(due) => tokio::time::sleep_until(due.into()).await,
                None => std::future::pending().await,
            }
        };
        // Taken only when its branch is chosen: a reload in between loses nothing.
        let batch = async {
            match self.ahead.take() {
                Some(batch) => Ok(batch),
                None => self.subscription.next().await,
            }
        };
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Ok(Next::Stop),
            request = self.requests.next() => Ok(Next::Request(request)),
            Ok(()) = self.module.changed() => {
                Ok(Next::Reload(self.module.borrow_and_update().clone()))
            }
            () = wheel.changed() => Ok(Next::Brake),
            batch = batch => Ok(Next::Apply(batch?)),
            () = due => Ok(Next::Commit),
        }
    }

    /// Folds a batch, with what waits behind it or up to the limit.
    fn apply(
        &mut self,
        batch: Arc<Batch>,
        limit: Option<Sequence>,
        fold: Fold,
    ) -> Result<Fold, Failure> {
        let batch = match limit {
            Some(limit) => self.up_to(limit, batch),
            None => Some(self.fill_up(batch)),
        };
        let Some(batch) = batch else { return Ok(fold) };
        let more_wait = batch.pending() > 0 || self.ahead.is_some();
        let wanted = self.wanted(&batch, fold.sequence());
        fold.apply(&wanted, more_wait && limit.is_none())
    }

    /// Whether nothing up to `limit` is left to apply.
    fn is_through(&self, limit: Sequence, sequence: Sequence) -> bool {
        let next = self.ahead.as_ref();
        let next = next.and_then(|batch| batch.sequences().first().copied());
        sequence >= limit || next.is_some_and(|next| next > limit)
    }

    /// Lets others work, unless the loop is to end.
    async fn give_way(&self, turn: &Turn, worked: Duration) {
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = turn.end(worked) => {}
        }
    }

    /// Stands until the limit is another one, or the loop is to end.
    async fn stand(&self, wheel: &mut Wheel, limit: Sequence) {
        tokio::select! {
            () = self.stop.cancelled() => {}
            () = wheel.stand(limit) => {}
        }
    }

    /// The part of a batch that does not lie behind the limit, if there is one; the rest waits.
    fn up_to(&mut self, limit: Sequence, batch: Arc<Batch>) -> Option<Arc<Batch>> {
        let within = batch.sequences().partition_point(|&s| s <= limit);
        if within == batch.len() {
            return Some(batch);
        }
        self.ahead = Some(Arc::new(batch.slice(within..batch.len())));
        (within > 0).then(|| Arc::new(batch.slice(0..within)))
    }

    /// Joins batches that already wait: one call of the guest and one commit for all of them.
    fn fill_up(&mut self, first: Arc<Batch>) -> Arc<Batch> {
        let mut joined = first;
        // An error behind what was read comes again with the next wait.
        while let Some(Ok(next)) = self.subscription.try_next() {
            if !self.fits(&joined, &next) {
                self.ahead = Some(next);
                break;
            }
            // Other projections may hold the same batch: then this copies it once.
            Arc::make_mut(&mut joined).append(&next);
        }
        joined
    }

    fn fits(&self, batch: &Batch, next: &Batch) -> bool {
        batch.len() + next.len() <= self.limits.events
            && batch.bytes() + next.bytes() <= self.limits.bytes
    }

    /// The events that the projection wants, without copying when it wants them all.
    fn wanted<'a>(&self, batch: &'a Batch, after: Sequence) -> Cow<'a, Batch> {
        if batch.all_wanted(after, &self.filters) {
            Cow::Borrowed(batch)
        } else {
            Cow::Owned(batch.select(after, &self.filters))
        }
    }
}

//! One reader for the projections of a stream that stand at the same place.
//!
//! Subscribers form groups; each group has one reader and a task that feeds what it reads to a bounded queue
//! per subscriber. How groups come and go:
//!
//! - Subscribers that start at about the same place, a few milliseconds after each other, form one group; later ones
//!   join a group that has not read past their place.
//! - A subscriber whose queue is full makes its group wait while all others have work, and a little longer (see
//!   `Patience`). Then it goes on in a group of its own: a slow projection does not hold back the others.
//! - A group that has come close to the stream's end joins the live group of the stream, or becomes it.
//!
//! A [`Subscription`] notices nothing of this: its batches are contiguous from where it started.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::batch::{Batch, BatchLimits};
use crate::event::Position;

use super::{EventSource, SourceError};
use group::Group;
use queue::Queue;
use reading::Reading;

mod group;
mod patience;
mod queue;
mod reading;
#[cfg(test)]
mod tests;

/// A new group reads when nobody has joined it for this time: projections that start together come a few milliseconds
/// after each other.
const GATHER_QUIET: Duration = Duration::from_millis(15);
/// It waits no longer than this, however many come.
const GATHER_MOST: Duration = Duration::from_millis(150);
/// Subscribers this many events apart still share a reader; the one ahead passes over what it has. Reading
/// that many events takes well under a second, less than a second reader costs.
const NEAR: u64 = 10_000;

/// The readers of one host.
pub struct SharedReaders {
    registry: Arc<Registry>,
}

impl SharedReaders {
    /// Readers over `source`, whose batches keep to `limits`.
    pub fn new(source: Arc<dyn EventSource>, limits: BatchLimits) -> Self {
        let groups = Mutex::default();
        Self {
            registry: Arc::new(Registry {
                source,
                limits,
                groups,
            }),
        }
    }

    /// Everything of `stream` behind `after`, once a reader stands behind it.
    ///
    /// A place without a time is one that nobody has read: see [`super::ReadFrom`].
    ///
    /// # Errors
    /// If reading cannot begin.
    pub async fn subscribe(
        &self,
        stream: &str,
        after: Position,
    ) -> Result<Subscription, SourceError> {
        let subscription = Subscription {
            queue: self.registry.join(stream, after),
        };
        subscription.queue.wait_until_open().await?;
        Ok(subscription)
    }
}

impl fmt::Debug for SharedReaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedReaders").finish_non_exhaustive()
    }
}

/// The batches of one projection: contiguous, in order. Dropping it ends the subscription.
#[derive(Debug)]
pub struct Subscription {
    queue: Arc<Queue>,
}

impl Subscription {
    /// The next batch, waiting for it. Nothing is lost when the future is dropped.
    ///
    /// # Errors
    /// When reading ended; subscribe again from the checkpoint, after [`super::position::check`].
    pub async fn next(&mut self) -> Result<Arc<Batch>, SourceError> {
        self.queue.next().await
    }

    /// The next batch, if one is there already.
    pub fn try_next(&mut self) -> Option<Result<Arc<Batch>, SourceError>> {
        self.queue.take()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// Every group that may be joined. Lock it before a group's own state, never the other way round.
struct Registry {
    source: Arc<dyn EventSource>,
    limits: BatchLimits,
    groups: Mutex<HashMap<String, Vec<Arc<Group>>>>,
}

impl Registry {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Vec<Arc<Group>>>> {
        // A panic elsewhere cannot leave the lists half changed.
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A queue in the first group that still comes past `after`, or in a new one.
    fn join(self: &Arc<Self>, stream: &str, after: Position) -> Arc<Queue> {
        let mut groups = self.lock();
        let groups = groups.entry(stream.to_owned()).or_default();
        if let Some(queue) = groups.iter().find_map(|group| group.join(after)) {
            return queue;
        }
        let (group, queue) = Group::gathering(stream, after);
        let group = Arc::new(group);
        groups.push(Arc::clone(&group));
        Reading::start(Arc::clone(self), group);
        queue
    }

    /// Lets a subscriber that is too slow for its group go on in one of its own.
    fn detach(self: &Arc<Self>, stream: &str, queue: Arc<Queue>) {
        let group = Arc::new(Group::detached(stream, queue));
        let mut groups = self.lock();
        groups
            .entry(stream.to_owned())
            .or_default()
            .push(Arc::clone(&group));
        Reading::start(Arc::clone(self), group);
    }

    /// Removes the group if nobody is in it any more.
    fn leave(&self, group: &Arc<Group>) -> bool {
        let mut groups = self.lock();
        let empty = group.is_empty();
        if empty {
            remove(&mut groups, group);
        }
        empty
    }

    /// Moves the subscribers of `group` to the live group of the stream, if that has not read past them.
    fn merge(&self, group: &Arc<Group>) -> bool {
        let mut groups = self.lock();
        let others = groups.get(&group.stream).into_iter().flatten();
        let merged = others
            .filter(|other| !Arc::ptr_eq(other, group))
            .any(|other| other.take_over(group));
        if merged {
            remove(&mut groups, group);
        }
        merged
    }

    /// Whether another group of the stream is its live one.
    fn has_other_live(&self, group: &Arc<Group>) -> bool {
        let groups = self.lock();
        let mut others = groups.get(&group.stream).into_iter().flatten();
        others.any(|other| !Arc::ptr_eq(other, group) && other.is_live())
    }

    /// Ends the group: each of its subscribers gets `error`, as it concerns each, behind what is queued for it.
    fn fail(&self, group: &Arc<Group>, error: &SourceError) {
        let mut groups = self.lock();
        remove(&mut groups, group);
        for queue in group.leave() {
            queue.fail(error);
        }
    }
}

fn remove(groups: &mut HashMap<String, Vec<Arc<Group>>>, group: &Arc<Group>) {
    if let Some(of_stream) = groups.get_mut(&group.stream) {
        of_stream.retain(|other| !Arc::ptr_eq(other, group));
        if of_stream.is_empty() {
            groups.remove(&group.stream);
        }
    }
}

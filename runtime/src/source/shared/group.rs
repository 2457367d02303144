//! Subscribers that are fed by one reader.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::NEAR;
use super::patience::Patience;
use super::queue::{Appetite, Queue};
use crate::batch::Batch;
use crate::event::Position;
use crate::source::{Lane, ReadFrom};

/// Subscribers at about the same place of one stream.
pub(super) struct Group {
    pub(super) stream: String,
    /// Wakes the group's task: something was taken, somebody came or went.
    pub(super) wake: Arc<Notify>,
    state: Mutex<State>,
}

struct State {
    members: Vec<Member>,
    /// The place up to which the members were fed; some may be ahead, none behind.
    position: Position,
    phase: Phase,
}

struct Member {
    queue: Arc<Queue>,
    patience: Patience,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing was read yet: whoever is near may join, ahead or behind.
    Gathering,
    /// Without a reader: it is being opened, or there is no room for what it would read.
    Parked,
    Reading(Lane),
}

/// What became of a batch.
pub(super) enum Offer {
    /// Every member has it, except those that were detached because they had no room.
    Delivered {
        /// These.
        detached: Vec<Arc<Queue>>,
    },
    /// Somebody has no room.
    Wait {
        /// How long that may last, where somebody else has run out of work.
        patience: Option<Duration>,
    },
    /// Nobody is here.
    Nobody,
}

impl Group {
    /// A group for everybody who starts near `after`, and a place in it.
    pub(super) fn gathering(stream: &str, after: Position) -> (Self, Arc<Queue>) {
        let group = Self::new(stream, after, Phase::Gathering);
        let queue = group.lock().add(after, &group.wake);
        (group, queue)
    }

    /// A group for a subscriber who had no room in another.
    pub(super) fn detached(stream: &str, queue: Arc<Queue>) -> Self {
        let group = Self::new(stream, queue.fed(), Phase::Parked);
        queue.fed_by(Arc::clone(&group.wake));
        group.lock().members.push(Member::new(queue));
        group
    }

    fn new(stream: &str, position: Position, phase: Phase) -> Self {
        Self {
            stream: stream.to_owned(),
            wake: Arc::new(Notify::new()),
            state: Mutex::new(State {
                members: Vec::new(),
                position,
                phase,
            }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic elsewhere cannot leave the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a subscriber that starts behind `after`, if the group will still come past it soon.
    pub(super) fn join(&self, after: Position) -> Option<Arc<Queue>> {
        let mut state = self.lock();
        let at = state.position;
        match state.phase {
            Phase::Gathering if gathers(at, after) => state.position = at.min(after),
            Phase::Gathering => return None,
            _ if !reaches_soon(at, after) => return None,
            _ => {}
        }
        self.wake.notify_one();
        Some(state.add(after, &self.wake))
    }

    /// Takes in everybody from `other`, if this is the live group and they miss nothing by coming over.
    ///
    /// Called with the registry locked, so no two groups can take in each other.
    pub(super) fn take_over(&self, other: &Self) -> bool {
        // Both stay locked: between the look and the move neither may read on.
        let mut state = self.lock();
        let mut theirs = other.lock();
        let live = state.phase == Phase::Reading(Lane::Live);
        if !live || !reaches_soon(state.position, theirs.position) {
            return false;
        }
        for member in theirs.members.drain(..) {
            member.queue.fed_by(Arc::clone(&self.wake));
            state.members.push(member);
        }
        self.wake.notify_one();
        true
    }

    /// Everybody leaves.
    pub(super) fn leave(&self) -> Vec<Arc<Queue>> {
        let members = std::mem::take(&mut self.lock().members);
        members.into_iter().map(|member| member.queue).collect()
    }

    /// Whether nobody is here, not counting those that have ended their subscription.
    pub(super) fn is_empty(&self) -> bool {
        let mut state = self.lock();
        state.members.retain(|member| !member.queue.is_closed());
        state.members.is_empty()
    }

    pub(super) fn is_live(&self) -> bool {
        self.lock().phase == Phase::Reading(Lane::Live)
    }

    /// Everything up to here was fed to the members.
    pub(super) fn position(&self) -> Position {
        self.lock().position
    }

    /// Where to open a reader. From now on nobody may join who is behind that.
    pub(super) fn place_to_read(&self) -> Position {
        let mut state = self.lock();
        state.phase = Phase::Parked;
        state.position
    }

    /// A reader stands behind the group from now on; how many it reads for.
    pub(super) fn opened(&self, lane: Lane) -> usize {
        let mut state = self.lock();
        state.phase = Phase::Reading(lane);
        state.queues().for_each(|queue| queue.opened());
        state.members.len()
    }

    /// The reader was given up until there is room again.
    pub(super) fn parked(&self) {
        self.lock().phase = Phase::Parked;
    }

    /// Whether somebody has taken enough to make reading worth while.
    pub(super) fn has_room(&self) -> bool {
        self.lock().queues().any(|queue| queue.is_half_empty())
    }

    /// Feeds `batch` to all members at once, or to nobody; those without room are detached if the others have
    /// lost their patience with each of them.
    pub(super) fn offer(&self, batch: &Arc<Batch>, now: Instant) -> Offer {
        let mut state = self.lock();
        state.members.retain(|member| !member.queue.is_closed());
        if state.members.is_empty() {
            return Offer::Nobody;
        }
        let appetites: Vec<_> = state.queues().map(|queue| queue.appetite(batch)).collect();
        let starving = appetites.contains(&Appetite::Starving);
        match state.patience(&appetites, starving, now) {
            Some(_) if !starving => return Offer::Wait { patience: None },
            Some(left) if !left.is_zero() => {
                return Offer::Wait {
                    patience: Some(left),
                };
            }
            _ => {}
        }
        let mut appetites = appetites.into_iter();
        let full = |_: &mut Member| appetites.next() == Some(Appetite::Full);
        let detached = state.members.extract_if(.., full);
        let detached = detached.map(|member| member.queue).collect();
        state.queues().for_each(|queue| queue.feed(batch));
        state.position = batch.through();
        Offer::Delivered { detached }
    }
}

impl Member {
    fn new(queue: Arc<Queue>) -> Self {
        Self {
            queue,
            patience: Patience::new(Instant::now()),
        }
    }
}

impl State {
    fn queues(&self) -> impl Iterator<Item = &Arc<Queue>> {
        self.members.iter().map(|member| &member.queue)
    }

    /// How long those without room may still be waited for; none if there are none.
    fn patience(
        &mut self,
        appetites: &[Appetite],
        starving: bool,
        now: Instant,
    ) -> Option<Duration> {
        let most = match self.phase {
            Phase::Reading(Lane::Replay) => Patience::in_replay(self.members.len()),
            _ => Patience::LIVE,
        };
        let members = self.members.iter_mut().zip(appetites);
        let left = members.filter_map(|(member, &appetite)| {
            let full = appetite == Appetite::Full;
            let left = member.patience.left(most, now, full && starving);
            full.then_some(left)
        });
        left.max()
    }

    fn add(&mut self, after: Position, wake: &Arc<Notify>) -> Arc<Queue> {
        let queue = Arc::new(Queue::new(after, Arc::clone(wake)));
        if matches!(self.phase, Phase::Reading(_)) {
            queue.opened();
        }
        self.members.push(Member::new(Arc::clone(&queue)));
        queue
    }
}

/// Whether subscribers at these places may start together: near, and equally strict about what is missing.
fn gathers(at: Position, other: Position) -> bool {
    at.sequence.abs_diff(other.sequence) <= NEAR && was_read(at) == was_read(other)
}

/// Whether a reader at `at` passes `place` soon, and misses nothing on the way.
fn reaches_soon(at: Position, place: Position) -> bool {
    let near = at.sequence <= place.sequence && place.sequence - at.sequence <= NEAR;
    near && (was_read(at) || !was_read(place))
}

/// Whether nothing behind this place may be missing.
fn was_read(at: Position) -> bool {
    matches!(ReadFrom::from(at), ReadFrom::After(_))
}

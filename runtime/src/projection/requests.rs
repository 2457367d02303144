//! What operators ask for dead letters: it waits here until the loop of the generation takes it up between two commits.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, oneshot};

use crate::event::Sequence;

/// Requests of one generation that wait at once. Each is asked for by somebody who waits for its answer.
const REQUESTS_MAX: usize = 16;

/// What is to become of a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Its event is tried again; where its key is held, the events behind it follow.
    Retry,
    /// Its event is given up; where its key is held, the events behind it are applied.
    Discard,
}

/// What came of a retry or a discard.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "result", rename_all = "snake_case")]
pub enum Settled {
    /// Nothing of it is set aside any more.
    Applied {
        /// Events that were applied.
        events: u64,
    },
    /// One of them failed.
    Failed {
        /// Events that were applied before it.
        events: u64,
        /// The event that failed: its dead letter says more.
        sequence: Sequence,
        /// Why it failed.
        error: String,
        /// Events of its key that are held, with itself.
        left: u64,
    },
    /// The host is stopping, or the projection: it goes on by itself when that starts again.
    Interrupted {
        /// Events that were applied before that.
        events: u64,
    },
}

/// Why nothing was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotSettled {
    /// No event of this sequence is set aside: there never was a dead letter, or it is settled.
    NoDeadLetter,
    /// The event was not come to yet.
    NotReached,
    /// The event was passed over and is too large to be kept as a whole.
    CutOff,
    /// Too many requests wait already.
    Busy,
}

/// Somebody waits for this.
#[derive(Debug)]
pub struct Request {
    /// The dead letter's sequence.
    pub sequence: Sequence,
    /// What is to become of it.
    pub action: Action,
    /// Where the answer is waited for. Without an answer the run has ended in between.
    pub reply: oneshot::Sender<Result<Settled, NotSettled>>,
}

#[derive(Debug, Default)]
struct Waiting {
    /// With their numbers.
    requests: VecDeque<(u64, Request)>,
    /// Requests that there ever were.
    asked: u64,
}

/// The requests of one generation. Clones are the same ones.
#[derive(Debug, Clone, Default)]
pub struct Requests {
    waiting: Arc<Mutex<Waiting>>,
    arrived: Arc<Notify>,
}

impl Requests {
    /// Asks for it; the answer comes when the loop has done it.
    pub fn ask(
        &self,
        sequence: Sequence,
        action: Action,
    ) -> oneshot::Receiver<Result<Settled, NotSettled>> {
        let (reply, answer) = oneshot::channel();
        let mut waiting = self.lock();
        if waiting.requests.len() >= REQUESTS_MAX {
            // The receiver is here, so it is heard.
            let _heard = reply.send(Err(NotSettled::Busy));
            return answer;
        }
        let request = Request {
            sequence,
            action,
            reply,
        };
        waiting.asked += 1;
        let number = waiting.asked;
        waiting.requests.push_back((number, request));
        drop(waiting);
        self.arrived.notify_one();
        answer
    }

    /// Whoever waits for something to change tries again.
    pub fn wake(&self) {
        self.arrived.notify_one();
    }

    /// The next request, as soon as there is one. One that is not given is not lost.
    pub async fn next(&self) -> Request {
        loop {
            self.arrived().await;
            if let Some(request) = self.take() {
                return request;
            }
        }
    }

    /// The next request whose asker still waits.
    fn take(&self) -> Option<Request> {
        let mut waiting = self.lock();
        while let Some((_, request)) = waiting.requests.pop_front() {
            if !request.reply.is_closed() {
                return Some(request);
            }
        }
        None
    }

    /// How many there were so far, for [`Self::give_up`].
    pub fn asked_so_far(&self) -> u64 {
        self.lock().asked
    }

    /// The first so many are answered by nobody any more: the run that would have taken them up first of all did not come
    /// to that.
    pub fn give_up(&self, first: u64) {
        let mut waiting = self.lock();
        waiting.requests.retain(|(number, _)| *number > first);
    }

    /// Waits until somebody asks. A request that waits already does not count: the attempt that it caused has failed.
    pub async fn asked(&self) {
        self.arrived.notified().await;
    }

    /// Waits until there is a request. Nothing is taken, so nothing is lost when the wait is given up.
    async fn arrived(&self) {
        loop {
            let arrived = self.arrived.notified();
            let mut arrived = std::pin::pin!(arrived);
            // From here on nothing is missed.
            arrived.as_mut().enable();
            if self.any() {
                return;
            }
            arrived.await;
        }
    }

    fn any(&self) -> bool {
        let mut waiting = self.lock();
        waiting
            .requests
            .retain(|(_, request)| !request.reply.is_closed());
        !waiting.requests.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Each change is one push or pop, and a number that only counts.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

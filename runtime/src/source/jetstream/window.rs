//! How much a reader asks for ahead.
//!
//! A server hangs up on a client to which it cannot send fast enough what was asked for (a slow consumer). Over a slow
//! network the same would happen again and again, so what is asked for is halved until it gets through.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::pull::Amount;
use crate::source::Lane;

/// Messages per pull request at the live tail; half of it is asked for again when half is used up.
const LIVE_MESSAGES: usize = 2_000;
/// Messages per pull request in a replay: measured to be the smallest window that keeps the server busy.
/// One and a half windows must stay below the client's subscription capacity of 65,536 messages.
const REPLAY_MESSAGES: usize = 5_000;
/// Bytes per pull request, so that large events do not fill the memory.
const BYTES: usize = 16 << 20;
/// Halvings at most: some twenty messages at a time, and two of the largest the server takes, get through wherever
/// anything does.
const HALVINGS_MAX: u32 = 8;

/// What is asked for over one connection.
#[derive(Debug, Default)]
pub(super) struct Window {
    halvings: AtomicU32,
}

impl Window {
    /// What one pull request asks for, where no event is larger than `max_payload` bytes.
    pub(super) fn request(&self, lane: Lane, max_payload: usize) -> Amount {
        Amount {
            messages: self.messages(lane),
            bytes: self.bytes(max_payload),
        }
    }

    fn messages(&self, lane: Lane) -> usize {
        let most = match lane {
            Lane::Live => LIVE_MESSAGES,
            Lane::Replay => REPLAY_MESSAGES,
        };
        (most >> self.halvings()).max(16)
    }

    fn bytes(&self, max_payload: usize) -> usize {
        // An event larger than a request's bytes would never be delivered.
        (BYTES >> self.halvings()).max(2 * max_payload)
    }

    /// The connection broke before one request was answered.
    pub(super) fn narrow(&self) {
        let halved = self
            .halvings
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |halvings| {
                (halvings < HALVINGS_MAX).then_some(halvings + 1)
            });
        if let Ok(before) = halved {
            tracing::debug!(halvings = before + 1, "asking for less at a time");
        }
    }

    /// Many requests were answered.
    pub(super) fn reset(&self) {
        self.halvings.store(0, Ordering::Relaxed);
    }

    fn halvings(&self) -> u32 {
        self.halvings.load(Ordering::Relaxed)
    }
}

/// Requests that must be answered before the next reader asks for everything again.
const STEADY_REQUESTS: u64 = 20;

/// What one reader has got of what it asked for.
#[derive(Debug)]
pub(super) struct Flow {
    window: Arc<Window>,
    /// Messages of one request.
    request: u64,
    received: u64,
}

impl Flow {
    pub(super) fn new(window: Arc<Window>, lane: Lane) -> Self {
        let request = window.messages(lane) as u64;
        Self {
            window,
            request,
            received: 0,
        }
    }

    /// One more message.
    pub(super) fn receive(&mut self) {
        self.received += 1;
        if self.received == STEADY_REQUESTS * self.request {
            self.window.reset();
        }
    }

    /// The connection broke while `pending` messages waited.
    pub(super) fn broke(&self, pending: u64) {
        if pending > 0 && self.received < self.request {
            self.window.narrow();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_halved_until_it_gets_through_and_asked_for_again_when_it_did() {
        let window = Arc::new(Window::default());
        let open = || Flow::new(Arc::clone(&window), Lane::Replay);
        for expected in [5_000, 2_500, 1_250] {
            assert_eq!(window.messages(Lane::Replay), expected);
            open().broke(10_000);
        }
        let mut steady = open();
        (0..20 * 625).for_each(|_| steady.receive());
        assert_eq!(window.messages(Lane::Replay), 5_000);
        (0..100).for_each(|_| window.narrow());
        assert_eq!(
            (window.messages(Lane::Replay), window.bytes(1)),
            (19, 64 << 10)
        );
        assert_eq!(window.bytes(1 << 20), 2 << 20);
    }

    #[test]
    fn a_break_that_has_another_cause_halves_nothing() {
        let window = Arc::new(Window::default());
        let mut flow = Flow::new(Arc::clone(&window), Lane::Live);
        flow.broke(0);
        (0..2_000).for_each(|_| flow.receive());
        flow.broke(10_000);
        assert_eq!(window.messages(Lane::Live), 2_000);
    }
}

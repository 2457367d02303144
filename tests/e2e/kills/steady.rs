//! Events that keep coming while the host is killed and started again.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use foldline_tests::orders::Event;
use foldline_tests::stream::Stream;

/// Events published at once, and the pause after them: fewer than 200 events a second.
const CHUNK: usize = 2;
const PAUSE: Duration = Duration::from_millis(10);

/// A publisher's progress.
#[derive(Default)]
pub(super) struct Steady {
    published: AtomicU64,
    done: AtomicBool,
}

/// Ends the publisher, also when the test fails.
pub(super) struct Ended<'s>(&'s Steady);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.done.store(true, Ordering::SeqCst);
    }
}

impl Steady {
    /// So many events are in the stream already.
    pub(super) fn after(published: usize) -> Self {
        Self {
            published: AtomicU64::new(published as u64),
            done: AtomicBool::default(),
        }
    }

    /// Events that may be in the stream.
    pub(super) fn published(&self) -> u64 {
        self.published.load(Ordering::SeqCst)
    }

    pub(super) fn until_dropped(&self) -> Ended<'_> {
        Ended(self)
    }

    /// Publishes the rest of the history until it is ended.
    pub(super) fn publish(&self, stream: &Stream, history: &[Event]) {
        let from = usize::try_from(self.published()).unwrap();
        for chunk in history[from..].chunks(CHUNK) {
            if self.done.load(Ordering::SeqCst) {
                return;
            }
            // Counted before: the host may be faster than the acknowledgement.
            self.published
                .fetch_add(chunk.len() as u64, Ordering::SeqCst);
            stream.publish(chunk);
            std::thread::sleep(PAUSE);
        }
        assert!(self.done.load(Ordering::SeqCst), "the history is too short");
    }
}

//! A steady load: order events, and notes of which a few fail.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{Scope, sleep};
use std::time::Duration;

use foldline_tests::orders::{Event, Orders};
use foldline_tests::stream::Stream;
use foldline_tests::wait::wait_until;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use crate::stage::Streams;

/// Events a second, of each stream.
const RATE: u64 = 150;

/// Events are published in bursts with this pause between them.
const PAUSE: Duration = Duration::from_millis(250);
const BURST: usize = 40;

/// One note in so many fails.
const POISON: u32 = 400;
const KEYS: u32 = 3_000;

/// Two histories, and how much of them is in the streams.
pub(crate) struct Load {
    pub(crate) orders: Flow,
    pub(crate) notes: Flow,
    is_quiet: AtomicBool,
    is_over: AtomicBool,
}

/// One history and its progress.
pub(crate) struct Flow {
    pub(crate) history: Vec<Event>,
    published: AtomicUsize,
    /// The publisher has seen that it is quiet.
    rests: AtomicBool,
}

/// Ends the publishers when it is dropped.
pub(crate) struct Publishing<'l>(&'l Load);

impl Drop for Publishing<'_> {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::SeqCst);
    }
}

impl Load {
    /// Enough for so long.
    pub(crate) fn new(seed: u64, whole: Duration) -> Self {
        let count = usize::try_from(RATE * (whole.as_secs() + 120)).expect("a soak ends");
        let mut random = StdRng::seed_from_u64(seed);
        let notes = (0..count).map(|_| note(&mut random)).collect();
        Self {
            orders: Flow::of(Orders::new(seed).events(count)),
            notes: Flow::of(notes),
            is_quiet: AtomicBool::default(),
            is_over: AtomicBool::default(),
        }
    }

    pub(crate) fn publish<'s, 'e: 's>(
        &'e self,
        scope: &'s Scope<'s, 'e>,
        streams: &Streams,
    ) -> Publishing<'e> {
        for (flow, stream) in [
            (&self.orders, &streams.orders),
            (&self.notes, &streams.notes),
        ] {
            let stream = stream.another();
            scope.spawn(move || self.flow(flow, &stream));
        }
        Publishing(self)
    }

    fn flow(&self, flow: &Flow, stream: &Stream) {
        while !self.is_over.load(Ordering::SeqCst) {
            let is_quiet = self.is_quiet.load(Ordering::SeqCst);
            flow.rests.store(is_quiet, Ordering::SeqCst);
            if !is_quiet {
                let until = flow.history.len().min(flow.published() + BURST);
                stream.publish_through_crashes(&flow.history[..until]);
                flow.published.store(until, Ordering::SeqCst);
            }
            sleep(PAUSE);
        }
    }

    /// Publishes nothing while `work` is done.
    pub(crate) fn quiet<T>(&self, work: impl FnOnce() -> T) -> T {
        self.is_quiet.store(true, Ordering::SeqCst);
        for flow in [&self.orders, &self.notes] {
            wait_until("the publisher rests", || {
                flow.rests.load(Ordering::SeqCst).then_some(())
            });
        }
        let done = work();
        self.is_quiet.store(false, Ordering::SeqCst);
        done
    }
}

impl Flow {
    fn of(history: Vec<Event>) -> Self {
        Self {
            history,
            published: AtomicUsize::default(),
            rests: AtomicBool::default(),
        }
    }

    /// Events that are in the stream.
    pub(crate) fn published(&self) -> usize {
        self.published.load(Ordering::SeqCst)
    }
}

fn note(random: &mut StdRng) -> Event {
    let payload = match random.random_range(0..2 * POISON) {
        0 => "reject this",
        1 => "panic now",
        _ => "fine",
    };
    Event {
        subject: format!("scribe.k{}.Noted", random.random_range(0..KEYS)),
        payload: payload.into(),
    }
}

//! The same events, cut into batches in every way that has shown mistakes.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::difference;
use super::event::{self, TestEvent};
use super::memory::{Lent, Memory};
use crate::projection::{Rejection, project_batch};
use crate::{Projection, ReadModel};

/// Runs with batches of mixed sizes, beside the one with all events in one batch and the one with
/// one event per batch.
const MIXED_RUNS: u64 = 8;
/// The largest of the mixed batches, in events.
const LARGEST_MIXED_BATCH: u64 = 7;

/// What came of one run over all events.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) tables: Memory,
    pub(super) rejected: Option<RejectedEvent>,
}

/// The event that ended a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RejectedEvent {
    /// Counted from 0 over all events of the test.
    pub(super) event: usize,
    pub(super) subject: String,
    pub(super) reason: String,
}

impl fmt::Display for RejectedEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RejectedEvent {
            event,
            subject,
            reason,
        } = self;
        write!(f, "event {event} (`{subject}`) was rejected: {reason}")
    }
}

/// An event that no subject filter matches would never reach the projection: a slip of the pen.
#[track_caller]
pub(super) fn check_subjects<P: Projection>(events: &[TestEvent]) {
    let filters = P::DEFINITION.subjects;
    for (number, event) in events.iter().enumerate() {
        let subject = event.subject();
        let seen = filters.iter().any(|filter| matches(filter, subject));
        assert!(
            seen,
            "event {number} has the subject `{subject}`, which none of the projection's subjects \
             {filters:?} matches"
        );
    }
}

fn matches(filter: &str, subject: &str) -> bool {
    let mut tokens = subject.split('.');
    for wanted in filter.split('.') {
        match (wanted, tokens.next()) {
            (_, None) => return false,
            (">", Some(_)) => return true,
            ("*", Some(_)) => {}
            (wanted, Some(token)) if wanted == token => {}
            _ => return false,
        }
    }
    tokens.next().is_none()
}

/// Runs in all batchings and gives back the run they all agree with.
#[track_caller]
pub(super) fn run_all<P: Projection>(events: &[TestEvent]) -> Run {
    let whole = run::<P>(events, &[events.len()]);
    let ones = (String::from("one event per batch"), vec![1; events.len()]);
    let mixed = (1..=MIXED_RUNS).map(|seed| {
        let sizes = mixed_sizes(seed, events.len());
        (format!("in batches of {sizes:?}"), sizes)
    });
    for (name, sizes) in std::iter::once(ones).chain(mixed) {
        let other = run::<P>(events, &sizes);
        if let Some(difference) = first_difference(&whole, &other, &name) {
            panic!(
                "the rows depend on how the events are cut into batches, or on something that \
                 is not in the events.\n\
                 Memory is fresh for every batch: keep in tables what has to last beyond one event.\n{difference}"
            );
        }
    }
    whole
}

fn first_difference(whole: &Run, other: &Run, name: &str) -> Option<String> {
    const WHOLE: &str = "all events in one batch";
    if whole.rejected != other.rejected {
        let [whole, other] = [whole, other].map(|run| {
            run.rejected
                .as_ref()
                .map_or_else(|| "every event was applied".to_owned(), ToString::to_string)
        });
        return Some(format!("  {WHOLE}: {whole}\n  {name}: {other}"));
    }
    let difference = difference::first_of_all(&whole.tables, &other.tables)?;
    Some(difference.between(WHOLE, name))
}

/// Batch sizes that add up to `events`, always the same ones for the same seed.
fn mixed_sizes(seed: u64, events: usize) -> Vec<usize> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut left = events;
    let mut sizes = Vec::new();
    while left > 0 {
        // xorshift64: a test needs variety, not randomness.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let size = usize::try_from(state % LARGEST_MIXED_BATCH)
            .map_or(1, |size| size + 1)
            .min(left);
        sizes.push(size);
        left -= size;
    }
    sizes
}

/// Projects batch after batch as the host does, up to the first rejected event.
#[track_caller]
fn run<P: Projection>(events: &[TestEvent], sizes: &[usize]) -> Run {
    let mut tables = Memory::new(P::DEFINITION.tables);
    let mut first = 0;
    for size in sizes {
        let batch = &events[first..events.len().min(first + size)];
        match run_batch::<P>(tables, batch, first) {
            Ok(committed) => tables = committed,
            Err(rejection) => {
                // Nothing of its batch is applied; then the events before the rejected one are.
                let event = first + rejection.index;
                let applied = run::<P>(&events[..event], sizes);
                let subject = events[event].subject().to_owned();
                let rejected = RejectedEvent {
                    event,
                    subject,
                    reason: rejection.reason,
                };
                return Run {
                    rejected: Some(rejected),
                    ..applied
                };
            }
        }
        first += batch.len();
    }
    Run {
        tables,
        rejected: None,
    }
}

/// One batch on a thread of its own, so that it starts with fresh thread-local variables.
#[track_caller]
fn run_batch<P: Projection>(
    tables: Memory,
    events: &[TestEvent],
    first: usize,
) -> Result<Memory, Rejection> {
    let projecting = AtomicUsize::new(0);
    let project = || {
        let lent = Rc::new(RefCell::new(tables));
        let mut rows = ReadModel::new(Lent(Rc::clone(&lent)));
        let batch = Rc::new(event::batch(events, first));
        project_batch::<P>(&batch, &mut rows, |event| {
            projecting.fetch_add(usize::from(event.is_some()), Ordering::Relaxed);
        })?;
        drop(rows);
        Ok(Rc::into_inner(lent).map(RefCell::into_inner))
    };
    let projected = thread::scope(|scope| scope.spawn(project).join());
    match projected {
        Ok(Ok(Some(tables))) => Ok(tables),
        Ok(Ok(None)) => unreachable!("the read model is dropped"),
        Ok(Err(rejection)) => Err(rejection),
        Err(cause) => {
            let index = projecting.into_inner().saturating_sub(1);
            let (event, subject) = (first + index, events[index].subject());
            panic!(
                "the projection panicked at event {event} (`{subject}`): {}",
                message(&*cause)
            )
        }
    }
}

fn message(cause: &(dyn Any + Send)) -> &str {
    let text = cause.downcast_ref::<&str>().copied();
    text.or_else(|| cause.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

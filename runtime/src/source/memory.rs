//! Streams in memory, for tests and for trying things out: the same promises, and faults on command.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::watch;

use crate::batch::BatchLimits;
use crate::event::{Event, Sequence, Timestamp};
use crate::subject::{SubjectError, SubjectFilter};

use super::{
    EventReader, EventSource, Lane, LostEvents, ReadFrom, SourceError, StreamState, only_one,
};
use reader::Reader;
use stream::Stream;

mod reader;
mod stream;
#[cfg(test)]
mod tests;

/// Time of the first event of all; each further one is a millisecond later, whatever its stream.
const FIRST_TIME: Timestamp = 1_700_000_000_000_000_000;

/// Streams that live as long as the source; clones share them.
#[derive(Debug, Clone, Default)]
pub struct MemorySource {
    streams: Arc<Mutex<Streams>>,
    /// Rises with every change, to wake the readers.
    changes: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct Streams {
    by_name: BTreeMap<String, Stream>,
    unreachable: Option<String>,
    published: Timestamp,
    /// Rises with every fault that ends readers.
    faults: u64,
}

/// A reader that was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Opening {
    /// Where it started.
    pub after: Sequence,
    /// What it was for.
    pub lane: Lane,
}

impl MemorySource {
    /// A source without streams.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes an empty stream, in place of one of the same name.
    ///
    /// # Errors
    /// If a subject is malformed.
    pub fn create_stream(&self, name: &str, subjects: &[&str]) -> Result<(), SubjectError> {
        let subjects = subjects
            .iter()
            .map(|subject| subject.parse())
            .collect::<Result<_, _>>()?;
        let stream = Stream::new(subjects);
        self.lock().by_name.insert(name.to_owned(), stream);
        self.wake();
        Ok(())
    }

    /// Deletes a stream; its readers end.
    pub fn delete_stream(&self, name: &str) {
        self.lock().by_name.remove(name);
        self.wake();
    }

    /// Lets the stream claim another retention than limits.
    pub fn set_retention(&self, stream: &str, retention: &str) {
        self.change(stream, |stream| {
            stream.retention = Some(retention.to_owned());
        });
    }

    /// Stores an event, with header lines `Name: value` CR LF; 0 if there is no such stream.
    pub fn publish(&self, stream: &str, subject: &str, headers: &[u8], payload: &[u8]) -> Sequence {
        let mut streams = self.lock();
        let time = FIRST_TIME + streams.published * 1_000_000;
        streams.published += 1;
        let found = streams.by_name.get_mut(stream);
        let sequence = found.map_or(0, |stream| stream.store(time, subject, headers, payload));
        drop(streams);
        self.wake();
        sequence
    }

    /// Deletes every event before `sequence`.
    pub fn purge_before(&self, stream: &str, sequence: Sequence) {
        self.change(stream, |stream| stream.purge_before(sequence));
    }

    /// Deletes one event.
    pub fn delete_event(&self, stream: &str, sequence: Sequence) {
        self.change(stream, |stream| stream.delete(sequence));
    }

    /// Loses one event, as a disk does.
    pub fn lose_event(&self, stream: &str, sequence: Sequence) {
        self.change(stream, |stream| stream.lose(sequence));
    }

    /// Ends all readers with an error, as a restarted server would.
    pub fn interrupt(&self) {
        self.fault(|_| {});
    }

    /// Makes every call fail for this reason and ends all readers, until [`Self::return_to_reach`].
    pub fn go_out_of_reach(&self, reason: &str) {
        self.fault(|streams| streams.unreachable = Some(reason.to_owned()));
    }

    /// Ends what [`Self::go_out_of_reach`] began.
    pub fn return_to_reach(&self) {
        self.lock().unreachable = None;
    }

    /// The readers opened so far, oldest first.
    pub fn openings(&self, stream: &str) -> Vec<Opening> {
        let streams = self.lock();
        let stream = streams.by_name.get(stream);
        stream.map_or_else(Vec::new, |stream| stream.openings.clone())
    }

    /// How many readers are open now.
    pub fn readers(&self, stream: &str) -> usize {
        let streams = self.lock();
        let stream = streams.by_name.get(stream);
        stream.map_or(0, |stream| Arc::strong_count(&stream.life) - 1)
    }

    fn lock(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, stream: &str, change: impl FnOnce(&mut Stream)) {
        if let Some(stream) = self.lock().by_name.get_mut(stream) {
            change(stream);
        }
        self.wake();
    }

    fn fault(&self, fault: impl FnOnce(&mut Streams)) {
        let mut streams = self.lock();
        streams.faults += 1;
        fault(&mut streams);
        drop(streams);
        self.wake();
    }

    fn wake(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }

    fn with_stream<T>(
        &self,
        name: &str,
        ask: impl FnOnce(&mut Stream) -> Result<T, SourceError>,
    ) -> Result<T, SourceError> {
        let mut streams = self.lock();
        streams.reached()?;
        let missing = || SourceError::StreamMissing {
            stream: name.to_owned(),
            read: 0,
        };
        ask(streams.by_name.get_mut(name).ok_or_else(missing)?)
    }

    fn open(
        &self,
        name: &str,
        from: ReadFrom,
        lane: Lane,
        limits: BatchLimits,
    ) -> Result<EventReader, SourceError> {
        let changes = self.changes.subscribe();
        let faults = self.lock().faults;
        let (pending, life) = self.with_stream(name, |stream| {
            let after = from.after();
            stream.openings.push(Opening { after, lane });
            Ok((stream.pending(after), Arc::clone(&stream.life)))
        })?;
        let reader = Reader {
            source: self.clone(),
            stream: name.to_owned(),
            at: from,
            limits,
            faults,
            changes,
            life,
        };
        Ok(reader.start(pending))
    }
}

impl Streams {
    fn reached(&self) -> Result<(), SourceError> {
        match &self.unreachable {
            None => Ok(()),
            Some(reason) => Err(SourceError::Unreachable {
                url: "memory".into(),
                reason: reason.clone(),
            }),
        }
    }
}

impl EventSource for MemorySource {
    fn find_stream<'a>(
        &'a self,
        filters: &'a [SubjectFilter],
    ) -> BoxFuture<'a, Result<String, SourceError>> {
        let streams = self.lock();
        let taking = |(name, stream): (&String, &Stream)| (name.clone(), stream.subjects.clone());
        let all: Vec<_> = streams.by_name.iter().map(taking).collect();
        let found = streams.reached().and_then(|()| only_one(&all, filters));
        futures::future::ready(found).boxed()
    }

    fn stream_state<'a>(
        &'a self,
        stream: &'a str,
    ) -> BoxFuture<'a, Result<StreamState, SourceError>> {
        let state = self.with_stream(stream, |found| match &found.retention {
            None => Ok(found.state()),
            Some(retention) => Err(SourceError::Retention {
                stream: stream.to_owned(),
                retention: retention.clone(),
            }),
        });
        futures::future::ready(state).boxed()
    }

    fn event<'a>(
        &'a self,
        stream: &'a str,
        sequence: Sequence,
    ) -> BoxFuture<'a, Result<Option<Event>, SourceError>> {
        let event = self.with_stream(stream, |stream| Ok(stream.event(sequence).cloned()));
        futures::future::ready(event).boxed()
    }

    fn next_sequence<'a>(
        &'a self,
        stream: &'a str,
        after: Sequence,
    ) -> BoxFuture<'a, Result<Option<Sequence>, SourceError>> {
        let next = self.with_stream(stream, |stream| Ok(stream.next_sequence(after)));
        futures::future::ready(next).boxed()
    }

    fn end_behind<'a>(
        &'a self,
        stream: &'a str,
        from: ReadFrom,
    ) -> BoxFuture<'a, Result<Option<Sequence>, SourceError>> {
        let end = self.with_stream(stream, |stream| {
            let state = stream.state();
            let end = from.end_of(state.first_sequence, state.last_sequence);
            let is_left = stream.pending(from.after()) > 0 || stream.lost(from.after()).is_some();
            Ok(end.filter(|_| !is_left))
        });
        futures::future::ready(end).boxed()
    }

    fn lost<'a>(
        &'a self,
        stream: &'a str,
        after: Sequence,
    ) -> BoxFuture<'a, Result<Option<LostEvents>, SourceError>> {
        let lost = self.with_stream(stream, |stream| Ok(stream.lost(after)));
        futures::future::ready(lost).boxed()
    }

    fn sequence_at<'a>(
        &'a self,
        stream: &'a str,
        time: Timestamp,
    ) -> BoxFuture<'a, Result<Sequence, SourceError>> {
        let sequence = self.with_stream(stream, |stream| Ok(stream.sequence_at(time)));
        futures::future::ready(sequence).boxed()
    }

    fn read<'a>(
        &'a self,
        stream: &'a str,
        from: ReadFrom,
        lane: Lane,
        limits: BatchLimits,
    ) -> BoxFuture<'a, Result<EventReader, SourceError>> {
        let reader = self.open(stream, from, lane, limits);
        futures::future::ready(reader).boxed()
    }
}

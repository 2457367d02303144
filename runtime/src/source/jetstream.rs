//! Events from NATS JetStream.
//!
//! `connection` holds the two connections, `lookup` asks the server about streams, and `reader` reads
//! one with a plain pull consumer that is thrown away on any doubt: `pull` asks for its messages, `pack` makes batches
//! of them. Neither ordered consumers nor `fetch` nor `batch` of the client are used: each was seen to lose or repeat
//! messages when a server restarts.

use std::sync::Arc;

use futures::future::BoxFuture;
use futures::{FutureExt as _, TryFutureExt as _};

use crate::batch::BatchLimits;
use crate::event::{Event, Sequence, Timestamp};
use crate::subject::SubjectFilter;

use super::{EventReader, EventSource, Lane, LostEvents, ReadFrom, SourceError, StreamState};
use connection::Connection;
pub use identity::{Identity, IdentityError};
pub(crate) use options::without_secrets;
pub use options::{JetStreamOptions, Tls};

mod connect_error;
mod connection;
mod consumer;
mod delivery;
mod forgets;
mod identity;
mod lookup;
mod missing;
mod options;
mod pack;
mod pull;
mod reader;
#[cfg(test)]
mod tests;
mod unreadable;
mod window;

/// Streams of one JetStream account.
///
/// Connections are made when they are first needed, so that a host starts without its server; after that the
/// client reconnects by itself.
#[derive(Debug)]
pub struct JetStreamSource {
    live: Arc<Connection>,
    replay: Connection,
}

impl JetStreamSource {
    /// A source that connects when it is first asked for something.
    pub fn new(options: &JetStreamOptions) -> Self {
        Self {
            live: Arc::new(Connection::new(options.clone())),
            replay: Connection::new(options.clone()),
        }
    }

    fn connection(&self, lane: Lane) -> &Connection {
        match lane {
            Lane::Live => &self.live,
            Lane::Replay => &self.replay,
        }
    }
}

impl EventSource for JetStreamSource {
    fn find_stream<'a>(
        &'a self,
        filters: &'a [SubjectFilter],
    ) -> BoxFuture<'a, Result<String, SourceError>> {
        Box::pin(lookup::find_stream(&self.live, filters))
    }

    fn stream_state<'a>(
        &'a self,
        stream: &'a str,
    ) -> BoxFuture<'a, Result<StreamState, SourceError>> {
        Box::pin(lookup::stream_state(&self.live, stream))
    }

    fn event<'a>(
        &'a self,
        stream: &'a str,
        sequence: Sequence,
    ) -> BoxFuture<'a, Result<Option<Event>, SourceError>> {
        Box::pin(lookup::event(&self.live, stream, sequence))
    }

    fn next_sequence<'a>(
        &'a self,
        stream: &'a str,
        after: Sequence,
    ) -> BoxFuture<'a, Result<Option<Sequence>, SourceError>> {
        let next = lookup::next_stored(&self.live, stream, after);
        next.map_ok(|next| next.map(|next| next.seq)).boxed()
    }

    fn end_behind<'a>(
        &'a self,
        stream: &'a str,
        from: ReadFrom,
    ) -> BoxFuture<'a, Result<Option<Sequence>, SourceError>> {
        Box::pin(missing::end_behind(&self.live, stream, from))
    }

    fn lost<'a>(
        &'a self,
        stream: &'a str,
        after: Sequence,
    ) -> BoxFuture<'a, Result<Option<LostEvents>, SourceError>> {
        Box::pin(missing::lost_behind(&self.live, stream, after))
    }

    fn sequence_at<'a>(
        &'a self,
        stream: &'a str,
        time: Timestamp,
    ) -> BoxFuture<'a, Result<Sequence, SourceError>> {
        Box::pin(consumer::sequence_at(&self.live, stream, time))
    }

    fn read<'a>(
        &'a self,
        stream: &'a str,
        from: ReadFrom,
        lane: Lane,
        limits: BatchLimits,
    ) -> BoxFuture<'a, Result<EventReader, SourceError>> {
        Box::pin(reader::open(
            self.connection(lane),
            Arc::clone(&self.live),
            stream,
            from,
            lane,
            limits,
        ))
    }
}

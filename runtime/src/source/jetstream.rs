//! Events from NATS JetStream.
//!
//! `connection` holds the two connections, `lookup` asks the server about streams, and `reader` reads
//! one with a plain pull consumer that is thrown away on any doubt. Neither ordered consumers nor `fetch` nor
//! `batch` of the client are used: each was seen to lose or repeat messages when a server restarts.

use std::path::PathBuf;

use futures::future::BoxFuture;

use crate::batch::BatchLimits;
use crate::event::{Sequence, Timestamp};
use crate::subject::SubjectFilter;

use super::{EventReader, EventSource, Lane, SourceError, StreamState};
use connection::Connection;

mod connection;
mod lookup;
mod pack;
mod reader;
#[cfg(test)]
mod tests;

/// How to reach the server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JetStreamOptions {
    /// `nats://host:port`; several separated by commas for the servers of one cluster. `tls://` asks for TLS.
    pub url: String,
    /// A `.creds` file with a user's JWT and key.
    pub credentials: Option<PathBuf>,
    /// User name, together with `password`.
    pub user: Option<String>,
    /// Password, together with `user`.
    pub password: Option<String>,
    /// Token.
    pub token: Option<String>,
    /// Seed of a user's nkey, `SU…`.
    pub nkey: Option<String>,
}

/// Streams of one JetStream account.
///
/// Connections are made when they are first needed, so that a host starts without its server; after that the
/// client reconnects by itself.
#[derive(Debug)]
pub struct JetStreamSource {
    live: Connection,
    replay: Connection,
}

impl JetStreamSource {
    /// A source that connects when it is first asked for something.
    pub fn new(options: &JetStreamOptions) -> Self {
        Self {
            live: Connection::new(options.clone()),
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

    fn event_time<'a>(
        &'a self,
        stream: &'a str,
        sequence: Sequence,
    ) -> BoxFuture<'a, Result<Option<Timestamp>, SourceError>> {
        Box::pin(lookup::event_time(&self.live, stream, sequence))
    }

    fn read<'a>(
        &'a self,
        stream: &'a str,
        after: Sequence,
        lane: Lane,
        limits: BatchLimits,
    ) -> BoxFuture<'a, Result<EventReader, SourceError>> {
        Box::pin(reader::open(
            self.connection(lane),
            stream,
            after,
            lane,
            limits,
        ))
    }
}

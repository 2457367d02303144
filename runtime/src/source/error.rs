//! Why events cannot be had.

use super::{LostEvents, ReadFrom};
use crate::event::{Position, Sequence};

/// Why events cannot be had. Each says what to do next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// The server cannot be reached, or did not answer in time.
    #[error("NATS at {url} does not answer: {reason}")]
    Unreachable {
        /// Where it was looked for.
        url: String,
        /// What the client said.
        reason: String,
    },
    /// The server does not accept who we say we are, or a credential cannot be used.
    #[error("NATS at {url}: {reason}")]
    Unauthorized {
        /// Where it is.
        url: String,
        /// Whom it does not accept, or what is wrong with the credential.
        reason: String,
    },
    /// No encrypted connection comes about.
    #[error("NATS at {url}: TLS fails: {reason}")]
    Tls {
        /// Where it is.
        url: String,
        /// What the TLS library said.
        reason: String,
    },
    /// The server answers, but does not let us: a permission is missing, or a limit is reached.
    #[error("NATS at {url} refuses: {reason}")]
    Refused {
        /// Where it is.
        url: String,
        /// The server's words.
        reason: String,
    },
    /// No stream has any of these subjects.
    #[error("no stream holds the subjects {subjects}")]
    NoStream {
        /// Those of the projection's subject filters that nobody holds.
        subjects: String,
    },
    /// More than one stream has these subjects, and order across streams is undefined.
    #[error("the subjects {subjects} are held by several streams: {streams}")]
    SeveralStreams {
        /// The projection's subject filters.
        subjects: String,
        /// The streams' names.
        streams: String,
    },
    /// The stream is gone, or was never there.
    #[error("stream {stream} does not exist{}", gone(*.read))]
    StreamMissing {
        /// Its name.
        stream: String,
        /// The last event that was read of it; 0 when none was.
        read: Sequence,
    },
    /// Reading would delete events, or the stream does not keep them.
    #[error("stream {stream} has {retention} retention; only limits retention can be replayed")]
    Retention {
        /// Its name.
        stream: String,
        /// "interest" or "work queue".
        retention: String,
    },
    /// What the server answers would be stored as events, and read as such, without end.
    #[error(
        "stream {stream} takes {subject}, and so would store what the server answers on {answers}"
    )]
    StoresAnswers {
        /// Its name.
        stream: String,
        /// The one of its subjects.
        subject: String,
        /// Where the host has answers sent.
        answers: String,
    },
    /// The event at the checkpoint is another one now.
    #[error(
        "stream {stream} is not the one this read model was built from: event {sequence} has another time"
    )]
    StreamReplaced {
        /// Its name.
        stream: String,
        /// The checkpoint's sequence.
        sequence: Sequence,
    },
    /// The stream ends before the checkpoint.
    #[error("stream {stream} ends at {last}, before this read model's checkpoint {checkpoint}")]
    StreamWentBack {
        /// Its name.
        stream: String,
        /// Its last sequence.
        last: Sequence,
        /// The checkpoint's sequence.
        checkpoint: Sequence,
    },
    /// Events were deleted before this projection read them.
    #[error("{}", lost_unread(stream, lost(*first, *last)))]
    EventsLost {
        /// Its name.
        stream: String,
        /// First lost sequence.
        first: Sequence,
        /// Last lost sequence.
        last: Sequence,
    },
    /// The client library cannot read an event that is stored: its connection breaks whenever it is delivered.
    #[error("event {sequence} of stream {stream} cannot be read: {reason}")]
    EventUnreadable {
        /// The stream's name.
        stream: String,
        /// The event.
        sequence: Sequence,
        /// What is wrong with it.
        reason: String,
    },
    /// A message was lost or repeated on the way, or the consumer is gone. Starting again from the checkpoint
    /// mends it.
    #[error("reading stream {stream} was interrupted: {reason}")]
    Interrupted {
        /// Its name.
        stream: String,
        /// What happened.
        reason: String,
    },
}

impl SourceError {
    /// Somebody has to do something, although it is tried again soon: a stream that was read and is gone, or an event in
    /// the way.
    pub fn needs_somebody(&self) -> bool {
        matches!(
            self,
            Self::StreamMissing { read: 1.., .. } | Self::EventUnreadable { .. }
        )
    }

    /// The events that are lost, if that is what it says.
    pub fn lost(&self) -> Option<LostEvents> {
        match *self {
            Self::EventsLost { first, last, .. } => Some(lost(first, last)),
            _ => None,
        }
    }

    /// Whether the same may work later without anybody doing anything.
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Unreachable { .. }
                | Self::Unauthorized { .. }
                | Self::Tls { .. }
                | Self::Refused { .. }
                | Self::NoStream { .. }
                | Self::StreamMissing { .. }
                | Self::EventUnreadable { .. }
                | Self::Interrupted { .. }
        )
    }

    /// What the end of a reader means to somebody who has read up to `at`: only what it has not read is lost.
    #[must_use]
    pub(super) fn to_reader_at(&self, at: Position) -> Self {
        match self {
            Self::EventsLost {
                stream,
                first,
                last,
            } => match ReadFrom::from(at) {
                ReadFrom::After(read) if read < *last => Self::EventsLost {
                    stream: stream.clone(),
                    first: *first.max(&(read + 1)),
                    last: *last,
                },
                _ => Self::Interrupted {
                    stream: stream.clone(),
                    reason: format!("another projection has lost {}", lost(*first, *last)),
                },
            },
            other => other.clone(),
        }
    }

    /// What it is called in every status, answer and log line: these words stay the same.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "unreachable",
            Self::Unauthorized { .. } => "unauthorized",
            Self::Tls { .. } => "tls",
            Self::Refused { .. } => "refused",
            Self::NoStream { .. } => "no_stream",
            Self::SeveralStreams { .. } => "several_streams",
            Self::StreamMissing { .. } => "stream_missing",
            Self::Retention { .. } => "stream_retention",
            Self::StoresAnswers { .. } => "stream_stores_answers",
            Self::StreamReplaced { .. } => "stream_replaced",
            Self::StreamWentBack { .. } => "stream_went_back",
            Self::EventsLost { .. } => "events_lost",
            Self::EventUnreadable { .. } => "event_unreadable",
            Self::Interrupted { .. } => "interrupted",
        }
    }

    /// What a person can do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => {
                "check that nats-server runs there with JetStream on, and the address in [nats] url or --nats"
            }
            Self::Unauthorized { .. } => {
                "correct the credentials in [nats] (credentials, nkey, user and password, or token), in FOLDLINE_NATS_… or NATS_… variables, or in the context; a file is read again at each attempt"
            }
            Self::Tls { .. } => {
                "check tls:// in [nats] url, tls_ca (the authority that signed the server's certificate), and tls_certificate with tls_key where the server asks for them"
            }
            Self::Refused { .. } => {
                "give the host's NATS user what the server names (a permission under $JS.API, or a higher limit of the stream or account); it is tried again by itself"
            }
            Self::NoStream { .. } => {
                "create the stream, or name one in [projection.NAME] stream; the projection starts when it appears"
            }
            Self::SeveralStreams { .. } => {
                "name one in [projection.NAME] stream, or make a stream that sources them: only one stream has an order"
            }
            Self::StreamMissing { read: 1.., .. } => {
                "restore the stream from its backup; a new stream of that name is not taken for it. The read model is still served, and goes on when the stream is back"
            }
            Self::StreamMissing { .. } => {
                "create the stream, or correct [projection.NAME] stream; the projection starts when it appears"
            }
            Self::Retention { .. } => {
                "make a stream with limits retention that sources or mirrors it, and name that in [projection.NAME] stream"
            }
            Self::StoresAnswers { .. } => {
                "give [nats] inbox_prefix another beginning (_INBOX is the default), or the stream other subjects"
            }
            Self::StreamReplaced { .. } | Self::StreamWentBack { .. } => {
                "restore the stream, or, if it was replaced on purpose, build the read model from the stream as it is now: `foldline rebuild NAME`, or [projection.NAME] on_lost_events = \"rebuild\""
            }
            Self::EventsLost { .. } => {
                "restore the stream's history, or go on without these events: `foldline accept NAME` this time, [projection.NAME] on_lost_events = \"accept\" always; `foldline rebuild NAME` builds the read model from what is left"
            }
            Self::EventUnreadable { .. } => {
                "delete this event (`nats stream rmm STREAM SEQUENCE`) and publish it again with headers and a subject that every client can read; the projection goes on by itself"
            }
            Self::Interrupted { .. } => {
                "nothing to do: reading starts again from the checkpoint by itself"
            }
        }
    }
}

fn lost(first: Sequence, last: Sequence) -> LostEvents {
    LostEvents { first, last }
}

fn lost_unread(stream: &str, lost: LostEvents) -> String {
    match lost.first == lost.last {
        true => format!("{lost} of stream {stream} is gone before it was read"),
        false => format!("{lost} of stream {stream} are gone before they were read"),
    }
}

fn gone(read: Sequence) -> String {
    match read {
        0 => String::new(),
        read => format!(" any more; it was read up to event {read}"),
    }
}

//! Questions about streams: which one, what it holds, when an event was stored.

use async_nats::HeaderMap;
use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::response::Response;
use async_nats::jetstream::stream::{
    self, Info, RawMessageError, RawMessageErrorKind, RetentionPolicy,
};
use async_nats::jetstream::{self, ErrorCode};
use futures::TryStreamExt;
use serde::Deserialize;
use serde_json::json;

use super::connection::Connection;
use super::forgets;
use super::pack::write_lines;
use crate::event::{Event, Sequence, Timestamp};
use crate::source::{Deletion, SourceError, StreamState, only_one};
use crate::subject::SubjectFilter;

pub(super) async fn find_stream(
    connection: &Connection,
    filters: &[SubjectFilter],
) -> Result<String, SourceError> {
    let streams: Vec<Info> = connection
        .ask(async |context| context.streams().try_collect().await)
        .await?
        .map_err(|error| connection.no_answer(&error))?;
    let streams: Vec<_> = streams.into_iter().map(taking).collect();
    only_one(&streams, filters)
}

fn taking(info: Info) -> (String, Vec<SubjectFilter>) {
    let subjects = subjects(&info.config);
    (info.config.name, subjects)
}

fn subjects(config: &stream::Config) -> Vec<SubjectFilter> {
    let subjects = config.subjects.iter();
    subjects
        .filter_map(|subject| subject.parse().ok())
        .collect()
}

/// The subjects of what the stream stores, where they can only be those that it listens to.
fn takes(config: &stream::Config) -> Option<Vec<SubjectFilter>> {
    let others = config.mirror.is_some() || config.sources.is_some();
    (!others && config.subject_transform.is_none()).then(|| subjects(config))
}

pub(super) async fn stream_state(
    connection: &Connection,
    stream: &str,
) -> Result<StreamState, SourceError> {
    let found = get_stream(connection, stream).await?;
    let info = found.cached_info();
    if info.config.retention != RetentionPolicy::Limits {
        return Err(SourceError::Retention {
            stream: stream.to_owned(),
            retention: match info.config.retention {
                RetentionPolicy::Interest => "interest".into(),
                _ => "work queue".into(),
            },
        });
    }
    not_for_answers(info, connection.answers())?;
    Ok(StreamState {
        forgets: forgets::forgets(info),
        deletion: forgets::deletion(&info.config),
        takes: takes(&info.config),
        ..kept(&info.state)
    })
}

/// What a stream holds; nothing is said of its configuration.
fn kept(state: &stream::State) -> StreamState {
    StreamState {
        // A stream that never held anything says 0, an emptied one its next sequence.
        first_sequence: match state.messages {
            0 => state.last_sequence + 1,
            _ => state.first_sequence,
        },
        last_sequence: state.last_sequence,
        missing: state.deleted_count.unwrap_or(0),
        deletion: Deletion::ByHand,
        first_time: (state.messages > 0).then(|| timestamp(state.first_timestamp)),
        forgets: Vec::new(),
        takes: None,
    }
}

/// That the stream stores nothing of what is answered to the host.
fn not_for_answers(info: &Info, answers: String) -> Result<(), SourceError> {
    let Ok(inbox) = answers.parse::<SubjectFilter>() else {
        return Ok(());
    };
    let stores = |subject: &&String| {
        let subject = subject.parse::<SubjectFilter>();
        subject.is_ok_and(|subject| subject.overlaps(&inbox))
    };
    match info.config.subjects.iter().find(stores) {
        None => Ok(()),
        Some(subject) => Err(SourceError::StoresAnswers {
            stream: info.config.name.clone(),
            subject: subject.clone(),
            answers,
        }),
    }
}

async fn get_stream(
    connection: &Connection,
    stream: &str,
) -> Result<jetstream::stream::Stream, SourceError> {
    connection
        .ask(async |context| context.get_stream(stream).await)
        .await?
        .map_err(|error| match error.kind() {
            GetStreamErrorKind::JetStream(error) => refused(connection, stream, &error),
            // No stream can have such a name.
            GetStreamErrorKind::EmptyName | GetStreamErrorKind::InvalidStreamName => {
                missing(stream)
            }
            GetStreamErrorKind::Request => connection.no_answer(&error),
        })
}

/// An event, asked of the stream's leader: a follower may be behind.
pub(super) async fn event(
    connection: &Connection,
    stream: &str,
    sequence: Sequence,
) -> Result<Option<Event>, SourceError> {
    let answer = connection
        .ask(async |context| {
            let found = context.get_stream_no_info(stream).await;
            let found = found.map_err(|_| missing(stream))?;
            Ok(found.get_raw_message(sequence).await)
        })
        .await?;
    let message = found(connection, stream, answer?)?;
    Ok(message.map(|message| Event {
        sequence: message.sequence,
        time: timestamp(message.time),
        subject: message.subject.into_string(),
        headers: header_lines(&message.headers).into(),
        payload: message.payload,
    }))
}

/// An answer of `$JS.API.STREAM.MSG.GET.*`, as far as it is looked at.
#[derive(Debug, Deserialize)]
struct Answer {
    message: StoredMessage,
}

/// A stored message as the server tells of it in JSON, in which a client has to understand nothing of it.
#[derive(Debug, Deserialize)]
pub(super) struct StoredMessage {
    pub(super) subject: String,
    pub(super) seq: Sequence,
    /// Base64; none where the event has no headers.
    pub(super) hdrs: Option<String>,
}

/// The first event behind `after` that the stream gives: also one that the client library cannot read.
pub(super) async fn next_stored(
    connection: &Connection,
    stream: &str,
    after: Sequence,
) -> Result<Option<StoredMessage>, SourceError> {
    let question = json!({ "seq": after + 1, "next_by_subj": ">" });
    let subject = format!("STREAM.MSG.GET.{stream}");
    let answer: Result<Response<Answer>, _> = connection
        .ask(async |context| context.request(subject, &question).await)
        .await?;
    match answer.map_err(|error| connection.no_answer(&error))? {
        Response::Ok(Answer { message }) => Ok(Some(message)),
        Response::Err { error } if error.error_code() == ErrorCode::NO_MESSAGE_FOUND => Ok(None),
        Response::Err { error } => Err(refused(connection, stream, &error)),
    }
}

/// The message that was asked for, if the stream holds it.
fn found(
    connection: &Connection,
    stream: &str,
    answer: Result<StreamMessage, RawMessageError>,
) -> Result<Option<StreamMessage>, SourceError> {
    match answer {
        Ok(message) => Ok(Some(message)),
        Err(error) => match error.kind() {
            RawMessageErrorKind::NoMessageFound => Ok(None),
            RawMessageErrorKind::JetStream(error) => Err(refused(connection, stream, &error)),
            _ => Err(connection.no_answer(&error)),
        },
    }
}

fn header_lines(headers: &HeaderMap) -> Vec<u8> {
    let mut lines = Vec::new();
    write_lines(headers, &mut lines);
    lines
}

/// What an error answer of the server about `stream` means.
pub(super) fn refused(
    connection: &Connection,
    stream: &str,
    error: &jetstream::Error,
) -> SourceError {
    match error.error_code() {
        ErrorCode::STREAM_NOT_FOUND => missing(stream),
        _ => connection.no_answer(error),
    }
}

fn missing(stream: &str) -> SourceError {
    SourceError::StreamMissing {
        stream: stream.to_owned(),
        read: 0,
    }
}

/// Nanoseconds since the epoch, as the server stored them.
pub(super) fn timestamp(time: async_nats::datetime::DateTime) -> Timestamp {
    // JetStream keeps times as 64-bit nanoseconds itself.
    Timestamp::try_from(time.unix_timestamp_nanos()).unwrap_or(Timestamp::MAX)
}

//! Questions about streams: which one, what it holds, when an event was stored.

use std::collections::BTreeSet;

use async_nats::HeaderMap;
use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::message::StreamMessage;
use async_nats::jetstream::stream::{
    self, Info, RawMessageError, RawMessageErrorKind, RetentionPolicy,
};
use async_nats::jetstream::{self, ErrorCode};
use futures::TryStreamExt;

use super::connection::Connection;
use super::forgets;
use super::pack::write_lines;
use crate::event::{Event, Sequence, Timestamp};
use crate::source::{ReadFrom, SourceError, StreamState, only_one};
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

/// Deleted sequences of a stream at most that are asked for, about 1 MB: a server tells all of them or none, and the answer
/// shares its connection with live events.
const DELETED_MAX: u64 = 100_000;

/// The stream's last sequence, if nothing is left between `from` and that.
///
/// A server says that it finds no message also where it cannot read its disk, so that is no proof. The list of what was
/// deleted is: it is made of what the server has in memory, at one moment (`fileStore.State` of nats-server).
pub(super) async fn end_behind(
    connection: &Connection,
    stream: &str,
    from: ReadFrom,
) -> Result<Option<Sequence>, SourceError> {
    let found = get_stream(connection, stream).await?;
    if !may_be_all_deleted(&found.cached_info().state, from)
        || is_left(connection, stream, from).await?
    {
        return Ok(None);
    }
    let details = connection
        .ask(async |_| found.info_builder().with_deleted(true).fetch().await)
        .await?
        .map_err(|error| connection.no_answer(&error))?;
    Ok(end_of_deleted(&details.info.state, from))
}

/// Whether the numbers of a stream allow that all behind `from` was deleted; saves asking for what.
fn may_be_all_deleted(state: &stream::State, from: ReadFrom) -> bool {
    let end = kept(state).end_behind(from);
    let behind = end.map_or(0, |end| end - from.after());
    // An emptied stream deleted nothing behind its beginning.
    let deleted = match state.messages {
        0 => behind,
        _ => state.deleted_count.unwrap_or(0),
    };
    behind > 0 && behind <= deleted && deleted <= DELETED_MAX
}

/// The stream's last sequence, if everything from behind `from` up to there is listed as deleted, or if the stream is
/// empty.
fn end_of_deleted(state: &stream::State, from: ReadFrom) -> Option<Sequence> {
    let end = kept(state).end_behind(from)?;
    let deleted = state.deleted.iter().flatten().copied();
    let deleted: BTreeSet<Sequence> = deleted
        .filter(|it| *it > from.after() && *it <= end)
        .collect();
    let all = deleted.len() as u64 == end - from.after();
    (all || state.messages == 0).then_some(end)
}

/// Whether the stream gives a message that stands behind `from`.
async fn is_left(
    connection: &Connection,
    stream: &str,
    from: ReadFrom,
) -> Result<bool, SourceError> {
    let next = from.after() + 1;
    let answer = connection
        .ask(async |context| {
            let found = context.get_stream_no_info(stream).await;
            let found = found.map_err(|_| missing(stream))?;
            Ok(found.get_first_raw_message_by_subject(">", next).await)
        })
        .await?;
    let left = found(connection, stream, answer?)?;
    Ok(left.is_some())
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a stream whose oldest message is `first`, which holds so many and has deleted these behind it.
    fn state(first: Sequence, last: Sequence, deleted: &[Sequence]) -> stream::State {
        let messages = (last + 1 - first) - deleted.len() as u64;
        let time = "2026-03-01T12:30:00Z";
        serde_json::from_value(serde_json::json!({
            "messages": messages, "bytes": 0, "consumer_count": 0,
            "first_seq": first, "first_ts": time, "last_seq": last, "last_ts": time,
            "num_deleted": deleted.len(), "deleted": deleted,
        }))
        .unwrap()
    }

    #[test]
    fn an_end_is_passed_over_only_where_every_event_before_it_is_listed_as_deleted() {
        let from = ReadFrom::After(5);
        assert_eq!(end_of_deleted(&state(1, 8, &[2, 6, 7, 8]), from), Some(8));
        assert_eq!(end_of_deleted(&state(1, 8, &[2, 6, 8]), from), None);
        assert_eq!(end_of_deleted(&state(1, 8, &[2, 6, 6, 8]), from), None);
        assert_eq!(end_of_deleted(&state(1, 8, &[]), from), None);
        assert_eq!(end_of_deleted(&state(1, 5, &[]), from), None);
        // The beginning has passed event 6: that is a loss.
        assert_eq!(end_of_deleted(&state(7, 9, &[8, 9]), from), None);
        assert_eq!(end_of_deleted(&state(9, 8, &[]), from), None);
        let oldest = ReadFrom::OldestAfter(5);
        assert_eq!(end_of_deleted(&state(9, 8, &[]), oldest), Some(8));
    }

    #[test]
    fn deleted_events_are_asked_for_only_where_there_are_as_many_as_are_missing_and_not_too_many() {
        let from = ReadFrom::After(5);
        assert!(may_be_all_deleted(&state(1, 8, &[6, 7, 8]), from));
        assert!(may_be_all_deleted(&state(1, 8, &[1, 2, 3]), from));
        assert!(!may_be_all_deleted(&state(1, 8, &[6, 7]), from));
        assert!(!may_be_all_deleted(&state(1, 5, &[2, 3]), from));
        let mut many = state(1, DELETED_MAX + 8, &[]);
        many.deleted_count = Some(DELETED_MAX + 1);
        assert!(!may_be_all_deleted(&many, ReadFrom::After(DELETED_MAX)));
    }
}

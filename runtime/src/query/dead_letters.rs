//! Dead letters: `/v1/projections/{name}/dead-letters`, of what is served, or with `?generation=N` of another generation;
//! and the events that were given up, `/v1/projections/{name}/discards`.

use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::extract::State;
use axum::http::Uri;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::blocking::blocking;
use super::commands::{parameters, problem};
use super::read::{READ_TIME_MAX, failed};
use super::target::{entry, not_open, segment};
use super::{HttpProblem, QueryState};
use crate::catalog::Discard;
use crate::event::{Sequence, rfc3339};
use crate::projection::directory::{Entry, GenerationEntry, ReadModelFile};
use crate::projection::requests::Action;
use crate::store::dead_letters::{Attempt, DeadLetter};
use crate::store::sqlite::reader::{ReadError, ReadLimits, Reader};
use crate::supervisor::{Command, CommandError, Outcome};

/// Dead letters, or discarded events, in one answer; `?after=SEQUENCE` asks for the next ones.
const LIST_MAX: usize = 1_000;

/// One dead letter in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetterSummary {
    /// The event's sequence.
    pub sequence: Sequence,
    /// When JetStream stored it, RFC 3339.
    pub time: String,
    /// Its full subject.
    pub subject: String,
    /// Its key, where it has one.
    pub key: Option<String>,
    /// Whether it and the later events of its key are held; otherwise it was passed over.
    pub held: bool,
    /// Attempts to apply it so far.
    pub attempts_made: u32,
    /// Why the last one failed.
    pub error: String,
    /// When that was, RFC 3339.
    pub failed_at: String,
    /// Digest of the module that failed.
    pub digest: String,
}

/// One dead letter with everything that is kept, or an event that has stopped a generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetterDetails {
    /// As in a list.
    #[serde(flatten)]
    pub summary: DeadLetterSummary,
    /// Number of the generation that has stopped at it; none where it was set aside.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub stops: Option<u32>,
    /// Events of its key that are held, with itself.
    pub held_events: u64,
    /// Its header lines.
    pub headers: String,
    /// How long they are, in bytes.
    pub headers_bytes: u64,
    /// Its payload, spelt as `payload_encoding` says.
    pub payload: String,
    /// "utf8" or "base64".
    pub payload_encoding: String,
    /// How long the payload is, in bytes.
    pub payload_bytes: u64,
    /// Whether headers or payload are only the beginning.
    pub cut_off: bool,
    /// The first attempt and the latest ones, oldest first.
    pub attempts: Vec<Attempt>,
}

impl From<&DeadLetter> for DeadLetterSummary {
    fn from(letter: &DeadLetter) -> Self {
        let last = letter.attempts.last();
        let of_last = |field: fn(&Attempt) -> &String| last.map(field).cloned().unwrap_or_default();
        let key = letter.key.as_ref();
        Self {
            sequence: letter.sequence,
            time: rfc3339(letter.time),
            subject: letter.subject.clone(),
            key: key.map(|key| String::from_utf8_lossy(key).into_owned()),
            held: letter.held,
            attempts_made: letter.attempts_made,
            error: of_last(|attempt| &attempt.error),
            failed_at: of_last(|attempt| &attempt.at),
            digest: of_last(|attempt| &attempt.digest),
        }
    }
}

impl DeadLetterDetails {
    fn new(letter: DeadLetter, held_events: u64) -> Self {
        let (payload, encoding) = match String::from_utf8(letter.payload.clone()) {
            Ok(text) => (text, "utf8"),
            Err(_) => (STANDARD.encode(&letter.payload), "base64"),
        };
        Self {
            summary: DeadLetterSummary::from(&letter),
            stops: None,
            held_events,
            headers: String::from_utf8_lossy(&letter.headers).into_owned(),
            headers_bytes: letter.headers_bytes,
            payload,
            payload_encoding: encoding.into(),
            payload_bytes: letter.payload_bytes,
            cut_off: letter.is_cut_off(),
            attempts: letter.attempts,
        }
    }
}

/// `GET /v1/projections/{name}/dead-letters`
pub(super) async fn list(
    State(state): State<QueryState>,
    uri: Uri,
) -> Result<Json<Vec<DeadLetterSummary>>, HttpProblem> {
    let [after, generation] = parameters(&uri, ["after", "generation"])?;
    let after = after.map(|text| number("after", &text)).transpose()?;
    let after = after.unwrap_or(0);
    let read = move |reader: &Reader, limits| reader.dead_letters(after, LIST_MAX, limits);
    let letters = on_file(&state, &uri, generation, read).await?;
    Ok(Json(letters.iter().map(DeadLetterSummary::from).collect()))
}

/// `GET /v1/projections/{name}/discards`
pub(super) async fn discards(
    State(state): State<QueryState>,
    uri: Uri,
) -> Result<Json<Vec<Discard>>, HttpProblem> {
    let name = segment(&uri, 2)?;
    let [after] = parameters(&uri, ["after"])?;
    let after = after.map(|text| number("after", &text)).transpose()?;
    let after = after.unwrap_or(0);
    let discards = state.supervision.discards(&name, after, LIST_MAX).await;
    discards.map(Json).map_err(|error| problem(&error, &name))
}

/// `GET /v1/projections/{name}/dead-letters/{sequence}`
pub(super) async fn show(
    State(state): State<QueryState>,
    uri: Uri,
) -> Result<Json<DeadLetterDetails>, HttpProblem> {
    let (name, sequence) = (segment(&uri, 2)?, sequence(&uri)?);
    let [generation] = parameters(&uri, ["generation"])?;
    let number = generation_number(generation.clone(), &name)?;
    let read = move |reader: &Reader, limits| reader.dead_letter(sequence, limits);
    if let Some((letter, held)) = on_file(&state, &uri, generation.clone(), read).await? {
        return Ok(Json(DeadLetterDetails::new(letter, held)));
    }
    let stopping = state.supervision.stopping(&name, sequence, number).await;
    if !matches!(stopping, Ok(Some(_)))
        && let Some(holder) = holder(&state, &uri, sequence, generation).await?
    {
        return Err(is_held(&name, sequence, holder, number));
    }
    let stopping = stopping.map_err(|error| problem(&error, &name))?;
    let stopping = stopping.ok_or_else(|| {
        let detail = format!("there is no dead letter {sequence}");
        HttpProblem::not_found(detail).hint(format!(
            "`foldline dead-letters list {name}` shows those there are, with --discarded those that were given up"
        ))
    })?;
    Ok(Json(DeadLetterDetails {
        stops: Some(stopping.generation),
        ..DeadLetterDetails::new(stopping.letter, 0)
    }))
}

fn is_held(
    name: &str,
    sequence: Sequence,
    holder: Sequence,
    generation: Option<u32>,
) -> HttpProblem {
    let detail = format!(
        "event {sequence} is no dead letter: it is held behind dead letter {holder} of its key"
    );
    let of = generation.map_or_else(String::new, |number| format!(" --generation {number}"));
    HttpProblem::not_found(detail).hint(format!(
        "`foldline dead-letters show {name} {holder}{of}` says why that one failed; when it is applied or discarded, what it holds follows"
    ))
}

/// `POST /v1/projections/{name}/dead-letters/{sequence}/{retry|discard}`
pub(super) async fn settle(
    State(state): State<QueryState>,
    uri: Uri,
) -> Result<Json<Outcome>, HttpProblem> {
    let (name, sequence) = (segment(&uri, 2)?, sequence(&uri)?);
    let action = match segment(&uri, 5)?.as_str() {
        "retry" => Action::Retry,
        "discard" => Action::Discard,
        other => {
            let detail = format!("a dead letter has no command {other:?}");
            return Err(HttpProblem::not_found(detail).hint("there are retry and discard"));
        }
    };
    let [generation] = parameters(&uri, ["generation"])?;
    let number = generation_number(generation.clone(), &name)?;
    let command = Command::DeadLetter {
        sequence,
        action,
        generation: number,
    };
    let refused = match state.supervision.command(&name, command).await {
        Ok(outcome) => return Ok(Json(outcome)),
        Err(refused) => refused,
    };
    let is_unknown = matches!(refused, CommandError::NoDeadLetter { stopped: None, .. });
    if is_unknown && let Some(holder) = holder(&state, &uri, sequence, generation).await? {
        return Err(is_held(&name, sequence, holder, number));
    }
    Err(problem(&refused, &name))
}

/// Sequence of the dead letter behind which an event is held, if it is.
async fn holder(
    state: &QueryState,
    uri: &Uri,
    sequence: Sequence,
    generation: Option<String>,
) -> Result<Option<Sequence>, HttpProblem> {
    let read = move |reader: &Reader, limits| reader.holder(sequence, limits);
    on_file(state, uri, generation, read).await
}

fn sequence(uri: &Uri) -> Result<Sequence, HttpProblem> {
    number("the dead letter's sequence", &segment(uri, 4)?)
}

fn number(what: &str, text: &str) -> Result<u64, HttpProblem> {
    text.parse().map_err(|_| {
        HttpProblem::bad_request(format!("{what} is no sequence: {text:?}"))
            .hint("write digits only")
    })
}

/// `?generation=N`
fn generation_number(text: Option<String>, name: &str) -> Result<Option<u32>, HttpProblem> {
    let parsed = text.map(|text| {
        text.parse().map_err(|_| {
            HttpProblem::bad_request(format!("generation={text} is no generation's number"))
                .hint(lists_generations(name))
        })
    });
    parsed.transpose()
}

fn lists_generations(name: &str) -> String {
    format!("`foldline status {name}` lists the generations with their numbers")
}

/// The file of the generation that is asked for, or is served; whether it is served.
fn file_of(
    entry: &Entry,
    generation: Option<u32>,
) -> Result<(&Arc<ReadModelFile>, bool), HttpProblem> {
    let is_asked = |one: &&GenerationEntry| generation == Some(one.record.number);
    let Some(number) = generation.filter(|_| !is_asked(&&entry.live)) else {
        let file = entry.read_model().ok_or_else(|| not_open(entry))?;
        return Ok((file, true));
    };
    let found = entry.others.iter().find(is_asked);
    let file = found.and_then(|other| other.read_model.get());
    let file = file.ok_or_else(|| {
        let name = &entry.live.record.definition.name;
        HttpProblem::not_found(format!("projection {name} has no generation {number}"))
            .hint(lists_generations(name))
    })?;
    Ok((file, false))
}

/// Reads the file of a generation, on a thread that may block.
async fn on_file<T: Send + 'static>(
    state: &QueryState,
    uri: &Uri,
    generation: Option<String>,
    read: impl FnOnce(&Reader, ReadLimits) -> Result<T, ReadError> + Send + 'static,
) -> Result<T, HttpProblem> {
    let name = segment(uri, 2)?;
    let entry = entry(&state.directory, &name)?;
    let (file, is_served) = file_of(&entry, generation_number(generation, &name)?)?;
    let turn = match is_served {
        true => state.served.turn(file).await?,
        false => state.served.turn_beside(file).await?,
    };
    let limits = ReadLimits {
        deadline: Instant::now() + READ_TIME_MAX,
        bytes_max: 0,
    };
    let read = blocking(move || read(&turn.reader, limits)).await?;
    read.map_err(|error| failed(&error, file))
}

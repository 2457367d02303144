//! Rows of read models.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};

use super::blocking::blocking;
use super::json::RowObject;
use super::params::ReadQuery;
use super::served::Served;
use super::target::Target;
use super::{HttpProblem, QueryState, etag, freshness};
use crate::definition::Column;
use crate::event::Sequence;
use crate::projection::directory::ReadModelFile;
use crate::store::Checkpoint;
use crate::store::sqlite::reader::{Page, ReadError, ReadLimits, Reader, Select};

/// The last event whose changes an answer contains.
pub(super) const FOLDLINE_SEQUENCE: HeaderName = HeaderName::from_static("foldline-sequence");

/// Time one read may take, after waiting for freshness and for its turn.
pub(super) const READ_TIME_MAX: Duration = Duration::from_secs(10);

/// How often one request is answered anew because another generation was put in the place of the one that was read.
/// Generations change far more slowly than rows are read.
const ATTEMPTS_MAX: usize = 5;

/// Bytes of rows one answer may hold.
const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// `GET /v1/read-models/{name}/{table}`
pub(super) async fn rows(
    State(state): State<QueryState>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, HttpProblem> {
    read(
        &state,
        Request {
            uri,
            headers,
            one: false,
        },
    )
    .await
}

/// `GET /v1/read-models/{name}/{table}/{key}`
pub(super) async fn row(
    State(state): State<QueryState>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, HttpProblem> {
    read(
        &state,
        Request {
            uri,
            headers,
            one: true,
        },
    )
    .await
}

/// What a client asked for.
struct Request {
    uri: Uri,
    headers: HeaderMap,
    /// One row by its key, or all that match.
    one: bool,
}

impl Request {
    fn query(&self, target: &Target) -> Result<ReadQuery, HttpProblem> {
        let table = target.table();
        if !self.one {
            return ReadQuery::of_rows(table, self.uri.query());
        }
        let mut query = ReadQuery::of_row(table, self.uri.query())?;
        query.select = Select {
            columns: query.select.columns,
            ..Select::by_key(table, target.key(&self.uri)?)
        };
        Ok(query)
    }
}

/// Reads what is served, and again when another generation was served in between: an answer never shows less than one
/// that was given before.
async fn read(state: &QueryState, request: Request) -> Result<Response, HttpProblem> {
    let (request, began) = (Arc::new(request), Instant::now());
    for _ in 0..ATTEMPTS_MAX {
        let target = Target::find(&state.directory, &request.uri)?;
        let answer = read_target(state, target.clone(), &request, began).await;
        let is_served = |now: &Target| Arc::ptr_eq(&now.file, &target.file);
        // What is not there any more is found out by the next attempt.
        if Target::find(&state.directory, &request.uri).is_ok_and(|now| is_served(&now)) {
            return answer;
        }
    }
    let detail = format!("{ATTEMPTS_MAX} generations took each other's place while this was read");
    Err(HttpProblem::busy(detail).hint("ask again"))
}

async fn read_target(
    state: &QueryState,
    target: Target,
    request: &Arc<Request>,
    began: Instant,
) -> Result<Response, HttpProblem> {
    let query = request.query(&target)?;
    if query.freshness.min_sequence > 0 {
        freshness::reached(&target.entry, query.freshness, began).await?;
    }
    let served = state.served.clone();
    let turn = served.turn(&target.file).await?;
    let request = Arc::clone(request);
    let work = move || {
        Read {
            target: &target,
            query: &query,
            reader: &turn.reader,
            served: &served,
        }
        .answer(&request)
    };
    blocking(work).await?
}

/// One read, on a thread that may block.
struct Read<'a> {
    target: &'a Target,
    query: &'a ReadQuery,
    reader: &'a Reader,
    served: &'a Served,
}

impl Read<'_> {
    fn answer(&self, request: &Request) -> Result<Response, HttpProblem> {
        let limits = ReadLimits {
            deadline: Instant::now() + READ_TIME_MAX,
            bytes_max: ANSWER_BYTES_MAX,
        };
        if request.headers.contains_key(header::IF_NONE_MATCH) {
            let checkpoint = self
                .reader
                .checkpoint(limits)
                .map_err(|error| failed(&error, &self.target.file))?;
            let etag = etag::of(&self.target.file, checkpoint.as_ref());
            if etag::known(&request.headers, &etag) {
                self.fresh(checkpoint.as_ref())?;
                return Ok(self.respond(
                    StatusCode::NOT_MODIFIED,
                    checkpoint.as_ref(),
                    Bytes::new(),
                ));
            }
        }
        let table = self.target.table();
        let page = self.reader.select(table, &self.query.select, limits);
        let page = page.map_err(|error| failed(&error, &self.target.file))?;
        self.fresh(page.checkpoint.as_ref())?;
        let body = self.served.sending(self.body(request, &page)?)?;
        Ok(self.respond(StatusCode::OK, page.checkpoint.as_ref(), body))
    }

    /// The file says how far it is; the status only said when it was worth looking.
    fn fresh(&self, checkpoint: Option<&Checkpoint>) -> Result<(), HttpProblem> {
        if sequence(checkpoint) >= self.query.freshness.min_sequence {
            return Ok(());
        }
        let status = self.target.entry.live.status.borrow();
        Err(freshness::not_reached(&status, self.query.freshness).at(sequence(checkpoint)))
    }

    fn body(&self, request: &Request, page: &Page) -> Result<Vec<u8>, HttpProblem> {
        let columns = &self.target.table().columns;
        let selected = self.query.select.columns.iter();
        let columns: Vec<&Column> = selected.map(|&i| &columns[i]).collect();
        let object = |row| RowObject {
            columns: &columns,
            row,
        };
        let mut objects = page.rows.iter().map(|row| object(row));
        let body = if request.one {
            let Some(object) = objects.next() else {
                return Err(no_row(&request.uri, page.sequence()));
            };
            serde_json::to_vec(&object)
        } else {
            serde_json::to_vec(&objects.collect::<Vec<_>>())
        };
        body.map_err(|error| {
            HttpProblem::internal(format!("a row cannot be written as JSON: {error}"))
        })
    }

    fn respond(&self, code: StatusCode, checkpoint: Option<&Checkpoint>, body: Bytes) -> Response {
        let mut response = (code, body).into_response();
        let headers = response.headers_mut();
        headers.remove(header::CONTENT_TYPE);
        if code == StatusCode::OK {
            headers.insert(
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/json"),
            );
        }
        headers.insert(FOLDLINE_SEQUENCE, sequence(checkpoint).into());
        // The tag is made of hexadecimal digits, so it is always a header's value.
        if let Ok(etag) = HeaderValue::try_from(etag::of(&self.target.file, checkpoint)) {
            headers.insert(header::ETAG, etag);
        }
        response
    }
}

fn sequence(checkpoint: Option<&Checkpoint>) -> Sequence {
    checkpoint.map_or(0, |checkpoint| checkpoint.sequence)
}

fn no_row(uri: &Uri, sequence: Sequence) -> HttpProblem {
    HttpProblem::not_found(format!("there is no row at {}", uri.path()))
        .at(sequence)
        .hint("to read what you have just published, pass min_sequence= with the sequence of its acknowledgement")
}

/// What a client is told; damage is told to the file's writer as well.
pub(super) fn failed(error: &ReadError, file: &ReadModelFile) -> HttpProblem {
    let detail = error.to_string();
    match error {
        ReadError::Damaged { reason, .. } => {
            file.found_damage(reason);
            let name = &file.definition.name;
            HttpProblem::internal(detail).hint(format!(
                "other rows may still be read; `foldline rebuild {name}` builds it again from the stream"
            ))
        }
        ReadError::Sqlite { .. } => {
            tracing::error!(error = %detail, "a read model cannot be read");
            HttpProblem::internal(detail).hint("see the host's log and the projection's status")
        }
        ReadError::TooSlow => HttpProblem::busy(detail)
            .hint("filter on the key or an indexed column, or ask for fewer rows"),
        ReadError::TooLarge { rows, .. } => HttpProblem::too_large(detail).hint(format!(
            "ask for limit={}, or for fewer columns with select=",
            (*rows).max(1)
        )),
    }
}

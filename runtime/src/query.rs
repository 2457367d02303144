//! HTTP over the committed read models: rows, and what the projections are doing.
//!
//! It only reads, and hands what operators ask for to the supervisor: the [`Directory`] says what is there, each read model's file is opened read-only, and nothing
//! here can delay a commit. Reads are bounded in time and number, and so are connections, requests and the memory of
//! the answers being sent; a client that is slow to ask or to take its answer loses its connection. The probes
//! `/livez` and `/readyz` are answered however many requests wait.
//!
//! Parameters of `/v1/read-models/{name}/{table}`, all optional:
//!
//! | parameter | meaning |
//! |---|---|
//! | `COLUMN=OP.VALUE` | a condition; several, at most 200, must all hold. [`OPERATORS`] lists the operators. Null is only found by `is.null`. |
//! | `column.COLUMN=OP.VALUE` | the same, for columns that are called like one of the [parameters below](RESERVED) |
//! | `select=a,b` | the columns to answer, in this order |
//! | `order=a.desc,b` | sorting, null first; the primary key decides what is left |
//! | `limit`, `offset` | which part of the rows: `limit` is 100 unless given, at most 1,000 |
//! | `min_sequence=N` | wait until the changes of event N are in the read model |
//! | `timeout=2s` | how long to wait for that: also `500ms`, or seconds; 5 s unless given, at most 60 s |
//!
//! `…/{table}/{key}` takes `select`, `min_sequence` and `timeout`. Blobs are base64, in values and in answers.

use std::future::Future;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::middleware;
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower_http::trace::{DefaultOnFailure, DefaultOnRequest, DefaultOnResponse, TraceLayer};
use tracing::Level;

use crate::config::Limits;
use crate::projection::directory::Directory;
use crate::supervisor::Supervision;

mod admin;
mod asked;
mod auth;
mod blocking;
mod bound;
mod commands;
mod dead_letters;
mod etag;
mod filter;
mod freshness;
mod json;
mod params;
mod plan;
mod problem;
mod read;
mod served;
mod server;
mod target;

#[doc(hidden)]
pub use asked::{Asked, asked_of_row, asked_of_rows};
pub use dead_letters::{DeadLetterDetails, DeadLetterSummary};
pub use filter::OPERATORS;
pub use params::{RESERVED, read_timeout};
use problem::HttpProblem;

/// What the handlers share. Cheap to clone.
#[derive(Debug, Clone)]
pub struct QueryState {
    directory: Directory,
    supervision: Supervision,
    token: Option<auth::TokenDigest>,
    served: Arc<served::Served>,
    requests: Arc<Semaphore>,
    plans: Arc<Semaphore>,
    module_bytes: usize,
}

impl QueryState {
    /// Answers from `directory`, and hands commands to `supervision`; with a token, only for those who send it as
    /// `authorization: Bearer …`.
    pub fn new(directory: Directory, supervision: Supervision, token: Option<&str>) -> Self {
        Self {
            directory,
            supervision,
            token: token.map(auth::TokenDigest::of),
            served: Arc::default(),
            requests: Arc::new(Semaphore::new(bound::REQUESTS_MAX)),
            plans: Arc::new(Semaphore::new(plan::PLANS_MAX)),
            module_bytes: Limits::default().guest().module_bytes,
        }
    }

    /// The same, taking modules of up to so many bytes.
    #[must_use]
    pub fn with_module_bytes(self, module_bytes: usize) -> Self {
        Self {
            module_bytes,
            ..self
        }
    }
}

/// Asked by orchestrators, who take a missing answer for a dead host: these need no token, and count for no limit.
const PROBES: [&str; 2] = ["/livez", "/readyz"];

fn is_probe(request: &Request) -> bool {
    PROBES.contains(&request.uri().path())
}

/// All routes.
pub fn router(state: QueryState) -> Router {
    let trace = TraceLayer::new_for_http()
        .make_span_with(|request: &Request| {
            tracing::debug_span!("request", method = %request.method(), uri = %request.uri())
        })
        .on_request(DefaultOnRequest::new().level(Level::DEBUG))
        .on_response(DefaultOnResponse::new().level(Level::DEBUG))
        .on_failure(DefaultOnFailure::new().level(Level::DEBUG));
    Router::new()
        .route("/livez", get(admin::livez))
        .route("/readyz", get(admin::readyz))
        .route("/v1/plan", post(plan::plan))
        .route("/v1/projections", get(admin::projections))
        .route("/v1/projections/{name}", get(admin::projection))
        .route("/v1/projections/{name}/accept", post(admin::accept))
        .route("/v1/projections/{name}/{command}", post(commands::command))
        .route(
            "/v1/projections/{name}/dead-letters",
            get(dead_letters::list),
        )
        .route(
            "/v1/projections/{name}/dead-letters/{sequence}",
            get(dead_letters::show),
        )
        .route(
            "/v1/projections/{name}/dead-letters/{sequence}/{action}",
            post(dead_letters::settle),
        )
        .route(
            "/v1/projections/{name}/discards",
            get(dead_letters::discards),
        )
        .route("/v1/read-models/{name}/{table}", get(read::rows))
        .route("/v1/read-models/{name}/{table}/{key}", get(read::row))
        .fallback(admin::unknown_route)
        .method_not_allowed_fallback(admin::unknown_method)
        .layer(middleware::from_fn_with_state(state.clone(), auth::check))
        .layer(middleware::from_fn_with_state(state.clone(), bound::check))
        .layer(trace)
        .with_state(state)
}

/// Serves until `shutdown`, then ends when the requests under way are answered; connections without one are closed
/// at once. A caller that does not want to wait drops the future, which closes every connection.
///
/// # Errors
/// None today: a connection that cannot be accepted is logged, and the next one tried.
pub fn serve(
    listener: TcpListener,
    state: QueryState,
    shutdown: CancellationToken,
) -> impl Future<Output = std::io::Result<()>> {
    server::serve(listener, router(state), shutdown, server::Limits::default())
}

#[cfg(test)]
mod tests;

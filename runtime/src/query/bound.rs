//! How many requests may be under way, most of them waiting for a sequence.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;

use super::{HttpProblem, QueryState, is_probe};

/// Requests under way at once. Waiting costs little memory, but it must end somewhere, and it must end before
/// [`CONNECTIONS_MAX`](super::server::CONNECTIONS_MAX): the rest is for probes and for telling clients so.
pub(super) const REQUESTS_MAX: usize = 512;

/// Lets a request pass while there are fewer than [`REQUESTS_MAX`]. Probes always pass: a host with many clients
/// is well, and must not be taken for dead.
pub(super) async fn check(
    State(state): State<QueryState>,
    request: Request,
    next: Next,
) -> Result<Response, HttpProblem> {
    if is_probe(&request) {
        return Ok(next.run(request).await);
    }
    match state.requests.try_acquire() {
        Ok(_permit) => Ok(next.run(request).await),
        Err(_) => Err(
            HttpProblem::busy(format!("{REQUESTS_MAX} requests are under way"))
                .hint("try again in a moment, or wait with fewer requests for min_sequence"),
        ),
    }
}

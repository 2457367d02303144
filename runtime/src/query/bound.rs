//! How many requests may be under way, most of them waiting for a sequence.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;

use super::{HttpProblem, QueryState};

/// Requests under way at once. Waiting costs little memory, but it must end somewhere.
pub(super) const REQUESTS_MAX: usize = 1_024;

/// Lets a request pass while there are fewer than [`REQUESTS_MAX`].
pub(super) async fn check(
    State(state): State<QueryState>,
    request: Request,
    next: Next,
) -> Result<Response, HttpProblem> {
    match state.requests.try_acquire() {
        Ok(_permit) => Ok(next.run(request).await),
        Err(_) => Err(
            HttpProblem::busy(format!("{REQUESTS_MAX} requests are under way"))
                .hint("try again in a moment, or wait with fewer requests for min_sequence"),
        ),
    }
}

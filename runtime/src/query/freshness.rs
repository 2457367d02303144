//! Waiting until a read model contains an event: how clients read what they have just written.

use std::time::Instant;

use super::HttpProblem;
use super::params::Freshness;
use crate::projection::directory::Entry;
use crate::projection::{State, Status};

/// Returns when the projection's checkpoint has reached the sequence asked for, at once if it asks for none. The wait
/// began with the request.
pub(super) async fn reached(
    entry: &Entry,
    freshness: Freshness,
    began: Instant,
) -> Result<(), HttpProblem> {
    let wanted = freshness.min_sequence;
    let left = freshness.timeout.saturating_sub(began.elapsed());
    let mut status = entry.live.status.clone();
    // A stopped projection goes nowhere, and a host that drains must not wait for its clients.
    let decided = |status: &Status| {
        status.checkpoint >= wanted || matches!(status.status, State::Stopped | State::Paused)
    };
    let waited = tokio::time::timeout(left, status.wait_for(decided)).await;
    if matches!(waited, Ok(Ok(status)) if status.checkpoint >= wanted) {
        return Ok(());
    }
    Err(not_reached(&entry.live.status.borrow(), freshness))
}

/// The answer for a read model that is not there yet.
pub(super) fn not_reached(status: &Status, freshness: Freshness) -> HttpProblem {
    let reason = status.last_error.as_ref();
    let reason = reason.map_or_else(String::new, |problem| format!(": {}", problem.error));
    let problem = HttpProblem::not_reached(format!(
        "projection {} is {} at sequence {}, and did not reach {} within {:?}{reason}",
        status.name, status.status, status.checkpoint, freshness.min_sequence, freshness.timeout
    ));
    let hint = status.last_error.as_ref().and_then(|p| p.hint.clone());
    problem
        .at(status.checkpoint)
        .hint(hint.unwrap_or_else(|| "try again, or give a longer timeout= of at most 60s".into()))
}

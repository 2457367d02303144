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
    let (name, at, wanted) = (&status.name, status.checkpoint, freshness.min_sequence);
    let said = format!(
        "projection {name} is {} at sequence {at}, and ",
        status.status
    );
    // One that goes nowhere is not waited for.
    let (said, hint) = match status.status {
        State::Paused => (
            format!("{said}does not go on to {wanted}{reason}"),
            format!("`foldline resume {name}` lets it go on"),
        ),
        State::Stopped => (
            format!("{said}does not go on to {wanted}{reason}"),
            "put its module file back into the modules folder, or, where the host is stopping, ask the next one".to_owned(),
        ),
        _ => {
            let within = freshness.timeout;
            let hint = status.last_error.as_ref().and_then(|p| p.hint.clone());
            let longer = || "try again, or give a longer timeout= of at most 60s".into();
            (
                format!("{said}did not reach {wanted} within {within:?}{reason}"),
                hint.unwrap_or_else(longer),
            )
        }
    };
    HttpProblem::not_reached(said).at(at).hint(hint)
}

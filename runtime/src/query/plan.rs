//! What a module file would mean: `POST /v1/plan` with the file as the body.

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::State;

use super::{HttpProblem, QueryState};
use crate::supervisor::Plan;

/// Plans at once: each holds a whole module and compiles it.
pub(super) const PLANS_MAX: usize = 2;

pub(super) async fn plan(
    State(state): State<QueryState>,
    body: Body,
) -> Result<Json<Plan>, HttpProblem> {
    let Ok(_permit) = state.plans.try_acquire() else {
        return Err(
            HttpProblem::busy(format!("{PLANS_MAX} modules are being looked at"))
                .hint("try again in a moment"),
        );
    };
    let limit = state.module_bytes;
    let bytes = to_bytes(body, limit).await.map_err(|error| {
        HttpProblem::bad_request(format!("the module cannot be taken: {error}")).hint(format!(
            "send the file as the body; it may have {limit} bytes at most ([limits] module_mib)"
        ))
    })?;
    let plan = state.supervision.plan(bytes.into()).await;
    plan.map(Json)
        .ok_or_else(|| HttpProblem::busy("the host is stopping").hint("try again when it runs"))
}

//! What the projections are doing, and whether the host is well.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{StatusCode, Uri};
use serde::Serialize;

use super::commands::parameters;
use super::target;
use super::{HttpProblem, QueryState};
use crate::projection::{RefusedModule, State as ProjectionState, Status};
use crate::source::LostEvents;

/// Everything the host runs, and every module file it does not run.
#[derive(Debug, Serialize)]
pub(super) struct Projections {
    projections: Vec<Status>,
    modules: Vec<RefusedModule>,
}

/// Whether the host can do its work, and what is in the way.
#[derive(Debug, Serialize)]
pub(super) struct Readiness {
    ready: bool,
    reasons: Vec<Reason>,
}

#[derive(Debug, Serialize)]
struct Reason {
    /// None when it is the host itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    projection: Option<String>,
    status: ProjectionState,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

impl Reason {
    /// The host cannot know yet what it has to run.
    fn host() -> Self {
        Self {
            projection: None,
            status: ProjectionState::Starting,
            code: None,
            error: Some("the modules folder has not been looked at yet".into()),
            hint: None,
        }
    }
}

impl From<Status> for Reason {
    fn from(status: Status) -> Self {
        let problem = status.last_error.as_ref();
        Self {
            projection: Some(status.name),
            status: status.status,
            code: problem.map(|problem| problem.code.clone()),
            error: problem.map(|problem| problem.error.clone()),
            hint: problem.and_then(|problem| problem.hint.clone()),
        }
    }
}

/// The process answers.
pub(super) async fn livez() -> &'static str {
    "ok\n"
}

/// Ready when the modules folder was looked at, and no projection is still starting, has failed or is stalled.
pub(super) async fn readyz(State(state): State<QueryState>) -> (StatusCode, Json<Readiness>) {
    let not_ready = [ProjectionState::Starting, ProjectionState::Failed];
    let host = (!state.directory.is_filled()).then(Reason::host);
    let statuses = state.directory.statuses().into_iter();
    let projections = statuses
        .filter(|status| status.behind.stalled || not_ready.contains(&status.status))
        .map(Reason::from);
    let reasons: Vec<_> = host.into_iter().chain(projections).collect();
    let ready = reasons.is_empty();
    let code = if ready {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (code, Json(Readiness { ready, reasons }))
}

pub(super) async fn projections(State(state): State<QueryState>) -> Json<Projections> {
    Json(Projections {
        projections: state.directory.statuses(),
        modules: state.directory.refused(),
    })
}

pub(super) async fn projection(
    State(state): State<QueryState>,
    uri: Uri,
) -> Result<Json<Status>, HttpProblem> {
    let name = target::segment(&uri, 2)?;
    let entry = target::entry(&state.directory, &name)?;
    Ok(Json(entry.status()))
}

/// What `accept` answers.
#[derive(Debug, Serialize)]
pub(super) struct Accepted {
    projection: String,
    /// What each of its runs had lost.
    accepted: Vec<LostEvents>,
}

/// Lets a projection go on that waits because events were lost before it read them.
pub(super) async fn accept(
    State(state): State<QueryState>,
    uri: Uri,
) -> Result<Json<Accepted>, HttpProblem> {
    let name = target::segment(&uri, 2)?;
    let [] = parameters(&uri, [])?;
    target::entry(&state.directory, &name)?;
    let accepted = state.directory.losses().accept(&name);
    if accepted.is_empty() {
        return Err(
            HttpProblem::conflict(format!("projection {name} waits for no lost events"))
                .hint("only a projection whose last_error has the code events_lost can go on by it; see its status"),
        );
    }
    for lost in &accepted {
        tracing::info!(projection = name, "the loss of {lost} was accepted");
    }
    Ok(Json(Accepted {
        projection: name,
        accepted,
    }))
}

pub(super) async fn unknown_route(uri: Uri) -> HttpProblem {
    HttpProblem::not_found(format!("nothing is served at {}", uri.path())).hint(
        "there are /livez, /readyz, /v1/plan, /v1/projections, /v1/projections/{name}, \
         /v1/projections/{name}/{rebuild|promote|rollback|diff|verify|pause|resume|remove|accept}, \
         /v1/projections/{name}/dead-letters, /v1/projections/{name}/dead-letters/{sequence}, \
         /v1/projections/{name}/dead-letters/{sequence}/{retry|discard}, /v1/projections/{name}/discards, \
         /v1/read-models/{name}/{table} and /v1/read-models/{name}/{table}/{key}",
    )
}

pub(super) async fn unknown_method(request: Request) -> HttpProblem {
    let (method, path) = (request.method(), request.uri().path());
    let use_instead = if method == axum::http::Method::GET {
        "use POST"
    } else {
        "use GET"
    };
    HttpProblem::method_not_allowed(format!("{method} is not answered at {path}")).hint(use_instead)
}

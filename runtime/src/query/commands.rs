//! What operators ask for over HTTP: `POST /v1/projections/{name}/{command}`.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;

use super::target::{decoded, segment};
use super::{HttpProblem, QueryState};
use crate::event::Sequence;
use crate::supervisor::{Command, CommandError, Outcome};

pub(super) async fn command(
    State(state): State<QueryState>,
    uri: Uri,
) -> Result<Json<Outcome>, HttpProblem> {
    let (name, word) = (segment(&uri, 2)?, segment(&uri, 3)?);
    let command = match word.as_str() {
        "rebuild" => Command::Rebuild { from: from(&uri)? },
        "promote" => Command::Promote,
        "rollback" => Command::Rollback,
        "pause" => Command::Pause,
        "resume" => Command::Resume,
        "remove" => Command::Remove,
        other => {
            return Err(
                HttpProblem::not_found(format!("there is no command {other:?}"))
                    .hint("there are rebuild, promote, rollback, pause, resume and remove"),
            );
        }
    };
    let outcome = state.supervision.command(&name, command).await;
    outcome.map(Json).map_err(|error| problem(&error))
}

/// `?from=SEQUENCE`
fn from(uri: &Uri) -> Result<Option<Sequence>, HttpProblem> {
    let pairs = uri.query().unwrap_or_default().split('&');
    for pair in pairs.filter(|pair| !pair.is_empty()) {
        let Some(("from", text)) = pair.split_once('=') else {
            return Err(
                HttpProblem::bad_request(format!("{pair:?} is not understood"))
                    .hint("rebuild takes from=SEQUENCE"),
            );
        };
        let text = decoded(text)?;
        let sequence = text.parse().ok().filter(|&sequence| sequence > 0);
        return sequence.map(Some).ok_or_else(|| {
            HttpProblem::bad_request(format!("from={text} is no sequence"))
                .hint("sequences are whole numbers from 1 on")
        });
    }
    Ok(None)
}

fn problem(error: &CommandError) -> HttpProblem {
    let detail = error.to_string();
    let problem = if error.is_unknown() {
        HttpProblem::not_found(detail)
    } else if error.is_internal() {
        HttpProblem::internal(detail)
    } else if matches!(error, CommandError::Stopping) {
        HttpProblem::busy(detail)
    } else {
        HttpProblem::conflict(detail)
    };
    problem.hint(error.hint())
}

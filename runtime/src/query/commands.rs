//! What operators ask for over HTTP: `POST /v1/projections/{name}/{command}`.

use axum::Json;
use axum::extract::State;
use axum::http::Uri;

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::target::{decoded, segment};
use super::{HttpProblem, QueryState};
use crate::event::Timestamp;
use crate::projection::named;
use crate::supervisor::{BuildFrom, Command, CommandError, Outcome};

/// Rows that differ shown for each table, if nothing else is asked for, and at most.
const EXAMPLES_DEFAULT: usize = 10;
const EXAMPLES_MAX: usize = 1_000;

pub(super) async fn command(
    State(state): State<QueryState>,
    uri: Uri,
) -> Result<Json<Outcome>, HttpProblem> {
    let (name, word) = (segment(&uri, 2)?, segment(&uri, 3)?);
    let command = match word.as_str() {
        "rebuild" => Command::Rebuild { from: from(&uri)? },
        "diff" => Command::Diff {
            examples: examples(&uri)?,
        },
        "verify" => alone(&uri, Command::Verify)?,
        "promote" => alone(&uri, Command::Promote)?,
        "rollback" => alone(&uri, Command::Rollback)?,
        "cancel" => alone(&uri, Command::Cancel)?,
        "pause" => alone(&uri, Command::Pause)?,
        "resume" => alone(&uri, Command::Resume)?,
        "remove" => alone(&uri, Command::Remove)?,
        other => {
            return Err(
                HttpProblem::not_found(format!("there is no command {other:?}"))
                    .hint("there are rebuild, promote, rollback, diff, verify, cancel, pause, resume, remove and accept"),
            );
        }
    };
    let outcome = state.supervision.command(&name, command).await;
    outcome.map(Json).map_err(|error| problem(&error, &name))
}

/// `?from=SEQUENCE` or `?from=TIME`
fn from(uri: &Uri) -> Result<Option<BuildFrom>, HttpProblem> {
    let Some(text) = parameter(uri, "from")? else {
        return Ok(None);
    };
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        let sequence = text.parse().ok().filter(|&sequence| sequence > 0);
        return sequence.map(BuildFrom::Sequence).map(Some).ok_or_else(|| {
            HttpProblem::bad_request(format!("from={text} is no number from 1 on"))
                .hint("write digits only")
        });
    }
    let time = OffsetDateTime::parse(&text, &Rfc3339).ok();
    let nanoseconds = time.and_then(|time| Timestamp::try_from(time.unix_timestamp_nanos()).ok());
    nanoseconds.map(BuildFrom::Time).map(Some).ok_or_else(|| {
        HttpProblem::bad_request(format!("from={text} is neither a sequence nor a time"))
            .hint("write a sequence from 1 on, or a time as in 2026-11-21T08:00:00Z (RFC 3339)")
    })
}

/// `?examples=N`
fn examples(uri: &Uri) -> Result<usize, HttpProblem> {
    let examples = parameter(uri, "examples")?;
    let Some(text) = examples else {
        return Ok(EXAMPLES_DEFAULT);
    };
    let number = text.parse().ok().filter(|&number| number <= EXAMPLES_MAX);
    number.ok_or_else(|| {
        HttpProblem::bad_request(format!("examples={text} is no number of rows"))
            .hint(format!("for each table 0 to {EXAMPLES_MAX} rows are shown"))
    })
}

/// A command without parameters.
fn alone(uri: &Uri, command: Command) -> Result<Command, HttpProblem> {
    parameters(uri, []).map(|[]: [Option<String>; 0]| command)
}

/// The only parameter of a command.
fn parameter(uri: &Uri, name: &str) -> Result<Option<String>, HttpProblem> {
    parameters(uri, [name]).map(|[value]| value)
}

/// The parameters of these names, each at most once and no others.
pub(super) fn parameters<const N: usize>(
    uri: &Uri,
    names: [&str; N],
) -> Result<[Option<String>; N], HttpProblem> {
    let mut values = [const { None }; N];
    let query = uri.query().unwrap_or_default();
    for part in query.split('&').filter(|part| !part.is_empty()) {
        let known = part.split_once('=').and_then(|(key, text)| {
            let place = names.iter().position(|name| *name == key)?;
            values[place].is_none().then_some((place, text))
        });
        let Some((place, text)) = known else {
            let hint = match names.map(|name| format!("{name}=…")).join(" and ") {
                none if none.is_empty() => "ask without what stands behind the `?`".to_owned(),
                those => format!("there is only {those}"),
            };
            return Err(
                HttpProblem::bad_request(format!("{query:?} is not understood")).hint(hint),
            );
        };
        values[place] = Some(decoded(text)?);
    }
    Ok(values)
}

pub(super) fn problem(error: &CommandError, projection: &str) -> HttpProblem {
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
    problem.hint(named(&error.hint(), projection))
}

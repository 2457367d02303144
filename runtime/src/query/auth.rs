//! The bearer token, when one is configured.

use axum::extract::{Request, State};
use axum::http::header;
use axum::middleware::Next;
use axum::response::Response;
use sha2::{Digest, Sha256};

use super::{HttpProblem, QueryState, is_probe};

/// A token's digest. Comparing digests takes a time that says nothing about how much of a guess was right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TokenDigest([u8; 32]);

impl TokenDigest {
    pub(super) fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }
}

/// Lets a request pass if it carries the token, or needs none.
pub(super) async fn check(
    State(state): State<QueryState>,
    request: Request,
    next: Next,
) -> Result<Response, HttpProblem> {
    let Some(expected) = &state.token else {
        return Ok(next.run(request).await);
    };
    if is_probe(&request)
        || bearer(&request).is_some_and(|token| TokenDigest::of(token) == *expected)
    {
        return Ok(next.run(request).await);
    }
    Err(
        HttpProblem::unauthorized("the request carries no token, or a wrong one").hint(
            "send `authorization: Bearer TOKEN` with the token from [http] token; \
             the command line takes it from FOLDLINE_HTTP_TOKEN",
        ),
    )
}

fn bearer(request: &Request) -> Option<&str> {
    let value = request.headers().get(header::AUTHORIZATION)?;
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim_start())
}

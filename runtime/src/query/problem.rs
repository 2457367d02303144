//! Errors as clients get them: `application/problem+json` (RFC 9457).

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::read::FOLDLINE_SEQUENCE;
use crate::event::Sequence;

/// Seconds after which a client may try again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");

/// An error as it is answered. `type` is a stable name that programs can rely on; the texts are for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct HttpProblem {
    #[serde(rename = "type")]
    ty: &'static str,
    title: &'static str,
    #[serde(serialize_with = "as_number")]
    status: StatusCode,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sequence: Option<Sequence>,
}

fn as_number<S: serde::Serializer>(status: &StatusCode, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u16(status.as_u16())
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $status:ident, $ty:literal, $title:literal;)*) => {
        impl HttpProblem {$(
            $(#[$doc])*
            pub(super) fn $name(detail: impl Into<String>) -> Self {
                Self {
                    ty: concat!("urn:foldline:problem:", $ty),
                    title: $title,
                    status: StatusCode::$status,
                    detail: detail.into(),
                    hint: None,
                    sequence: None,
                }
            }
        )*}
    };
}

kinds! {
    /// The request itself is wrong.
    bad_request = BAD_REQUEST, "bad-request", "The request cannot be understood";
    /// No token, or not the right one.
    unauthorized = UNAUTHORIZED, "unauthorized", "A token is needed";
    /// There is no such thing.
    not_found = NOT_FOUND, "not-found", "There is no such thing";
    /// The route exists, for other methods.
    method_not_allowed = METHOD_NOT_ALLOWED, "method-not-allowed", "This method is not answered here";
    /// The rows asked for do not fit into an answer.
    too_large = BAD_REQUEST, "too-large", "The answer would be too large";
    /// `min_sequence` was not reached in time.
    not_reached = SERVICE_UNAVAILABLE, "not-reached", "The read model has not come that far";
    /// The read model is not open yet.
    not_open = SERVICE_UNAVAILABLE, "not-open", "The read model cannot be read yet";
    /// What is asked for cannot be done as things are.
    conflict = CONFLICT, "conflict", "This cannot be done now";
    /// Too many reads, or one that takes too long.
    busy = SERVICE_UNAVAILABLE, "busy", "The read could not be done in time";
    /// Something in the host broke.
    internal = INTERNAL_SERVER_ERROR, "internal", "The host failed";
}

impl HttpProblem {
    /// What to do about it.
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// How far the read model has come.
    pub(super) fn at(mut self, sequence: Sequence) -> Self {
        self.sequence = Some(sequence);
        self
    }
}

impl IntoResponse for HttpProblem {
    fn into_response(self) -> Response {
        let mut response = (self.status, axum::Json(&self)).into_response();
        let headers = response.headers_mut();
        let problem = HeaderValue::from_static("application/problem+json");
        headers.insert(header::CONTENT_TYPE, problem);
        if let Some(sequence) = self.sequence {
            headers.insert(FOLDLINE_SEQUENCE, sequence.into());
        }
        match self.status {
            StatusCode::SERVICE_UNAVAILABLE => headers.insert(header::RETRY_AFTER, RETRY_AFTER),
            StatusCode::UNAUTHORIZED => headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"foldline\""),
            ),
            _ => None,
        };
        response
    }
}

//! Why a connection could not be made, in words that say whom to ask.

use std::error::Error;
use std::time::Duration;

use async_nats::rustls;
use async_nats::{ConnectError, ConnectErrorKind};

use super::JetStreamOptions;
use crate::source::SourceError;

/// What a failed attempt to connect means. `within` is how long it was given.
pub(super) fn meaning(
    error: &ConnectError,
    options: &JetStreamOptions,
    within: Duration,
) -> SourceError {
    let url = options.shown_url();
    let detail = || error.source().map_or_else(String::new, ToString::to_string);
    let reason = match error.kind() {
        ConnectErrorKind::AuthorizationViolation => return unauthorized(options),
        ConnectErrorKind::Authentication => {
            // The client could not even make what it has to send.
            return SourceError::Unauthorized {
                url,
                reason: own_words(&detail()).to_owned(),
            };
        }
        ConnectErrorKind::Tls => {
            return SourceError::Tls {
                url,
                reason: detail(),
            };
        }
        ConnectErrorKind::TimedOut => format!("nobody answered within {within:?}"),
        ConnectErrorKind::Dns => format!("the name cannot be resolved: {}", detail()),
        ConnectErrorKind::ServerParse => format!("this is no server address: {}", detail()),
        ConnectErrorKind::Io => match tls_fault(error) {
            Some(fault) => {
                let reason = fault.to_string();
                return SourceError::Tls { url, reason };
            }
            None => detail(),
        },
        _ => error.to_string(),
    };
    SourceError::Unreachable { url, reason }
}

/// That the server does not know who we say we are.
pub(super) fn unauthorized(options: &JetStreamOptions) -> SourceError {
    SourceError::Unauthorized {
        url: options.shown_url(),
        reason: format!("the server does not accept {}", options.identity),
    }
}

/// Whether the client's word for what went wrong while it reconnected is about who we are.
pub(super) fn is_about_identity(trouble: &str) -> bool {
    [
        ConnectErrorKind::AuthorizationViolation,
        ConnectErrorKind::Authentication,
    ]
    .iter()
    .any(|kind| trouble.contains(&kind.to_string()))
}

/// TLS's own reason, where the connection failed by it: most come as errors of reading and writing.
fn tls_fault<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e rustls::Error> {
    if let Some(fault) = error.downcast_ref() {
        return Some(fault);
    }
    if let Some(io) = error.downcast_ref::<std::io::Error>() {
        return tls_fault(io.get_ref()?);
    }
    tls_fault(error.source()?)
}

/// The text that our own callback gave the client, which wraps it.
fn own_words(text: &str) -> &str {
    let inner = text.strip_prefix("AuthError(");
    inner
        .and_then(|text| text.strip_suffix(')'))
        .unwrap_or(text)
}

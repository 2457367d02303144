//! Stored events that the client library cannot read.
//!
//! The server takes headers and subjects that the client refuses: it ends the connection when one is delivered, so a reader
//! would come upon the same event again and again, and every other reader of that connection would be interrupted each
//! time. So where a connection has broken, the next event is looked at before it is asked for, in a form in which
//! nothing has to be understood: JSON with the headers as base64.

use std::str::FromStr as _;

use async_nats::HeaderName;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::connection::Connection;
use super::lookup::{self, StoredMessage};
use crate::event::Sequence;
use crate::source::SourceError;

/// Looks at the first event behind `after`, if there is one.
///
/// # Errors
/// [`SourceError::EventUnreadable`], or that the server does not answer.
pub(super) async fn check_next(
    connection: &Connection,
    stream: &str,
    after: Sequence,
) -> Result<(), SourceError> {
    let next = lookup::next_stored(connection, stream, after).await?;
    let fault = next.and_then(|stored| Some((stored.seq, fault(&stored)?)));
    fault.map_or(Ok(()), |(sequence, reason)| {
        Err(SourceError::EventUnreadable {
            stream: stream.to_owned(),
            sequence,
            reason,
        })
    })
}

/// What the client would not take, as its parser of `MSG` and `HMSG` reads them.
fn fault(stored: &StoredMessage) -> Option<String> {
    // What is not UTF-8 is replaced in JSON.
    if stored.subject.contains(char::REPLACEMENT_CHARACTER) {
        return Some("its subject is not UTF-8".into());
    }
    let headers = BASE64.decode(stored.hdrs.as_ref()?).ok()?;
    if stored.subject.contains(char::is_whitespace) {
        return Some("its subject has a white space in it".into());
    }
    let Ok(headers) = std::str::from_utf8(&headers) else {
        return Some("its headers are not UTF-8".into());
    };
    let mut lines = headers.lines().skip(1).peekable();
    while let Some(line) = lines.next() {
        if line.is_empty() {
            continue;
        }
        let Some((name, _)) = line.split_once(':') else {
            return Some(format!("its header line {line:?} has no colon"));
        };
        if HeaderName::from_str(name).is_err() {
            return Some(format!(
                "its header name {name:?} is not one that clients take"
            ));
        }
        while lines
            .next_if(|next| next.starts_with(char::is_whitespace))
            .is_some()
        {}
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault_of(subject: &str, headers: Option<&[u8]>) -> Option<String> {
        fault(&StoredMessage {
            subject: subject.into(),
            seq: 1,
            hdrs: headers.map(|headers| BASE64.encode(headers)),
        })
    }

    #[test]
    fn what_the_client_reads_has_no_fault() {
        for headers in [
            "NATS/1.0\r\n\r\n",
            "NATS/1.0\r\nTrace: a\r\n b\r\nEmpty: \r\nText: Müller\r\n\r\n",
            "NATS/1.0 503\r\n\r\n",
        ] {
            let fault = fault_of("orders.1", Some(headers.as_bytes()));
            assert_eq!(fault, None, "{headers}");
        }
        assert_eq!(fault_of("orders.\u{a0}", None), None);
    }

    #[test]
    fn what_the_client_refuses_is_named() {
        for (headers, named) in [
            (&b"NATS/1.0\r\nMy Name: x\r\n\r\n"[..], "My Name"),
            (b"NATS/1.0\r\nnone\r\n\r\n", "no colon"),
            (b"NATS/1.0\r\nName: M\xfcller\r\n\r\n", "not UTF-8"),
        ] {
            let fault = fault_of("orders.1", Some(headers)).unwrap();
            assert!(fault.contains(named), "{fault}");
        }
        let plain = Some(&b"NATS/1.0\r\nA: b\r\n\r\n"[..]);
        assert!(fault_of("orders.\u{a0}", plain).is_some());
        assert!(fault_of("orders.\u{fffd}", None).is_some());
    }
}

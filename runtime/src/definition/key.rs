//! Which events belong together: an event's key, read from its subject or its headers.

use super::EventKey;

impl EventKey {
    /// The key of one event; none where it has none, and in a projection without event key. `headers` are its lines
    /// `Name: value` CR LF.
    pub fn of<'e>(&self, subject: &'e [u8], headers: &'e [u8]) -> Option<&'e [u8]> {
        match self {
            Self::None => None,
            Self::SubjectToken(index) => subject.split(|&b| b == b'.').nth(*index as usize),
            Self::Header(name) => headers
                .split(|&b| b == b'\n')
                .find_map(|line| value(line, name.as_bytes())),
        }
    }
}

/// The value of a header line of this name. Upper and lower case differ, as in NATS.
fn value<'h>(line: &'h [u8], name: &[u8]) -> Option<&'h [u8]> {
    let colon = line.iter().position(|&b| b == b':')?;
    (&line[..colon] == name).then(|| line[colon + 1..].trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_token_of_the_subject_or_the_first_header_of_its_name() {
        let headers = b"Order: a\r\nOrder-Id:  o-1 \r\nOrder-Id: o-2\r\nEmpty:\r\n";
        let of = |key: EventKey| key.of(b"orders.o-1.Placed", headers);
        assert_eq!(of(EventKey::SubjectToken(1)), Some(&b"o-1"[..]));
        assert_eq!(of(EventKey::SubjectToken(3)), None);
        let header = |name: &str| of(EventKey::Header(name.into()));
        assert_eq!(header("Order-Id"), Some(&b"o-1"[..]));
        assert_eq!(header("Empty"), Some(&b""[..]));
        assert_eq!(header("order-id"), None);
        assert_eq!(of(EventKey::None), None);
    }
}

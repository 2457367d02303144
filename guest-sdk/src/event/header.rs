//! NATS headers as they travel: lines `Name: value`, each ended by CR LF.

/// Names and values of an event's headers, sorted by name. A name that was sent
/// several times comes several times.
#[derive(Clone, Debug)]
pub struct Headers<'e> {
    lines: std::str::Lines<'e>,
}

impl<'e> Headers<'e> {
    pub(super) fn new(block: &'e str) -> Self {
        Headers {
            lines: block.lines(),
        }
    }
}

impl<'e> Iterator for Headers<'e> {
    type Item = (&'e str, &'e str);

    fn next(&mut self) -> Option<Self::Item> {
        let line = self.lines.next()?;
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        // ASCII alone, as the host reads an event key from a header.
        Some((name, value.trim_ascii()))
    }
}

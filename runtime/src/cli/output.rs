//! How text gets to a terminal: tables, and nothing that a terminal would obey.

use std::fmt::Write as _;
use std::io::IsTerminal as _;

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};

/// Columns of a terminal below which tables are not fitted into it: cells of a letter or two help nobody.
const WIDTH_MIN: u16 = 40;

/// Escapes what a terminal would obey instead of showing: control characters, and marks that change the
/// direction of writing. Data must not be able to clear the screen or hide a line.
pub(crate) fn printable(text: &str) -> String {
    escaped(text, |c, out| {
        let _ = write!(out, "{}", c.escape_default());
    })
}

/// The same for JSON, in JSON's own spelling. Line breaks between values stay.
pub(crate) fn printable_json(json: &str) -> String {
    escaped(json, |c, out| match c {
        '\n' => out.push(c),
        // Everything [`obeyed`] names is below U+10000, so one escape is enough.
        _ => {
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        }
    })
}

fn escaped(text: &str, escape: impl Fn(char, &mut String)) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if obeyed(c) {
            escape(c, &mut out);
        } else {
            out.push(c);
        }
    }
    out
}

fn obeyed(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Digits in groups of three: `1,234,567`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A table without lines, which fits the terminal when there is one and is not broken up when there is none.
pub(crate) fn table<'a>(header: impl IntoIterator<Item = &'a str>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    // A terminal that does not know its width says 0.
    let fits = std::io::stdout().is_terminal() && table.width().is_some_and(|w| w >= WIDTH_MIN);
    let arrangement = if fits {
        ContentArrangement::Dynamic
    } else {
        ContentArrangement::Disabled
    };
    table.set_content_arrangement(arrangement);
    table.set_header(header.into_iter().map(printable));
    if let Some(first) = table.column_mut(0) {
        first.set_padding((0, 1));
    }
    table
}

/// A cell with text, made safe.
pub(crate) fn text(text: &str) -> Cell {
    Cell::new(printable(text))
}

/// A cell with something to compare by its digits.
pub(crate) fn number(number: &str) -> Cell {
    Cell::new(number).set_alignment(CellAlignment::Right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_cannot_steer_the_terminal() {
        assert_eq!(
            printable("a\u{1b}[2Jb\r\n\u{9b}1m"),
            "a\\u{1b}[2Jb\\r\\n\\u{9b}1m"
        );
        assert_eq!(printable("x\u{202e}y"), "x\\u{202e}y");
        assert_eq!(printable("Zürich 東京 ✓"), "Zürich 東京 ✓");
    }

    #[test]
    fn escaped_json_is_the_same_json() {
        let value = serde_json::json!({"a": "\u{9b}2J\u{7f}\u{202e}\n\u{1b}"});
        let json = value.to_string();
        let shown = printable_json(&json);
        assert!(!shown.chars().any(obeyed), "{shown:?}");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&shown).unwrap(),
            value
        );
    }

    #[test]
    fn numbers_are_grouped_by_threes() {
        for (number, shown) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), shown);
        }
    }
}

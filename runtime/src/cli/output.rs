//! How text gets to a terminal: tables, and nothing that a terminal would obey.

use std::fmt::Write as _;

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, presets};
use foldline::telemetry;

/// Spaces between the columns of a table.
const GAP: usize = 2;

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
        // Everything [`telemetry::is_obeyed`] names is below U+10000, so one escape is enough.
        _ => {
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        }
    })
}

fn escaped(text: &str, escape: impl Fn(char, &mut String)) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if telemetry::is_obeyed(c) {
            escape(c, &mut out);
        } else {
            out.push(c);
        }
    }
    out
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

/// A table without lines, to be shown by [`shown`].
pub(crate) fn table<'a>(header: impl IntoIterator<Item = &'a str>) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(header.into_iter().map(printable));
    if let Some(first) = table.column_mut(0) {
        first.set_padding((0, 1));
    }
    table
}

/// The table as text; on a terminal that is too narrow for it, one line for each cell instead, as rows that are
/// broken up cannot be read.
pub(crate) fn shown(table: &Table) -> String {
    let widths = table.column_max_content_widths();
    let cells: usize = widths.iter().copied().map(usize::from).sum();
    let needed = cells + GAP * widths.len().saturating_sub(1);
    match table.width().map(usize::from) {
        // A terminal that does not know its width says 0.
        Some(width @ 1..) if width < needed => records(table),
        _ => table.trim_fmt(),
    }
}

fn records(table: &Table) -> String {
    let names: Vec<String> = table.header().map_or_else(Vec::new, |header| {
        header.cell_iter().map(Cell::content).collect()
    });
    let longest = names.iter().map(|name| name.chars().count()).max();
    let width = longest.unwrap_or(0) + GAP;
    let record = |row: &comfy_table::Row| {
        let cells = names.iter().zip(row.cell_iter());
        cells.fold(String::new(), |mut lines, (name, cell)| {
            let _ = writeln!(lines, "{name:<width$}{}", cell.content());
            lines
        })
    };
    let records: Vec<String> = table.row_iter().map(record).collect();
    records.join("\n").trim_end().to_owned()
}

/// A size for people: `900 bytes`, `12.3 MiB`.
pub(crate) fn bytes(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    let mut size = bytes as f64 / 1024.0;
    for unit in units {
        if size < 1024.0 && bytes >= 1024 {
            return format!("{size:.1} {unit}");
        }
        size /= 1024.0;
    }
    format!("{} bytes", grouped(bytes))
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
    fn a_table_that_does_not_fit_becomes_a_line_for_each_cell() {
        let mut table = table(["id", "total"]);
        table.add_row([text("o-1"), number("10.5")]);
        table.add_row([text("o-22"), number("7")]);
        let wide = "id    total\no-1    10.5\no-22      7";
        assert_eq!(shown(table.set_width(11)), wide);
        assert_eq!(
            shown(table.set_width(10)),
            "id     o-1\ntotal  10.5\n\nid     o-22\ntotal  7"
        );
        assert_eq!(shown(table.set_width(0)), wide);
    }

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
        assert!(!shown.chars().any(telemetry::is_obeyed), "{shown:?}");
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

    #[test]
    fn sizes_are_shown_in_a_unit_that_fits() {
        assert_eq!(bytes(900), "900 bytes");
        assert_eq!(bytes(1024), "1.0 KiB");
        assert_eq!(bytes(12_900_000), "12.3 MiB");
        assert_eq!(bytes(5 << 40), "5.0 TiB");
    }
}

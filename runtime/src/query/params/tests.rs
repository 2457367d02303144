//! Any text is either understood or refused; nothing panics.

use axum::http::Uri;
use proptest::prelude::*;

use super::*;
use crate::query::target::decoded;
use crate::store::sqlite::reader::fixture::definition;

/// Parts that get a random query past the first checks.
fn query_part() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z_.]{0,12}",
        ".{0,8}",
        prop::sample::select(vec![
            "order_id",
            "total",
            "items",
            "paid",
            "raw",
            "meta",
            "=",
            "&",
            "eq.",
            "is.",
            "gt.",
            "null",
            "%",
            "%C3",
            "+",
            "limit",
            "order",
            "select",
            "timeout",
            "min_sequence",
            "offset",
            "column.",
            ",",
            ".desc",
            "1e999",
            "-",
            "9999999999999999999999",
            "ms",
            "s",
        ])
        .prop_map(str::to_owned),
    ]
}

proptest! {
    #[test]
    fn any_query_string_is_understood_or_refused(parts in prop::collection::vec(query_part(), 0..12)) {
        let query = parts.concat();
        for table in &definition().tables {
            if let Ok(read) = ReadQuery::of_rows(table, Some(&query)) {
                prop_assert!((1..=LIMIT_MAX).contains(&read.select.limit));
                prop_assert!(read.freshness.timeout <= TIMEOUT_MAX);
                prop_assert!(!read.select.columns.is_empty());
            }
            let _ = ReadQuery::of_row(table, Some(&query));
        }
    }

    #[test]
    fn any_filter_of_any_column_is_understood_or_refused(value in ".{0,16}", operator in "(eq|neq|gt|lte|is|x)?\\.?") {
        for table in &definition().tables {
            for column in &table.columns {
                let _ = filter::comparison(column, &format!("{operator}{value}"));
            }
        }
    }

    #[test]
    fn decoding_undoes_encoding(text in ".{0,32}") {
        let encoded = percent_encoding::utf8_percent_encode(&text, percent_encoding::NON_ALPHANUMERIC).to_string();
        prop_assert_eq!(decoded(&encoded).unwrap(), text);
    }

    #[test]
    fn any_path_is_taken_apart(path in "[/a-z%0-9,]{0,32}") {
        if let Ok(uri) = format!("/{path}").parse::<Uri>() {
            for i in 0..6 {
                let _ = crate::query::target::segment(&uri, i);
            }
        }
    }
}

#[test]
fn timeouts_are_seconds_unless_they_say_milliseconds() {
    for (text, millis) in [
        ("2s", 2_000),
        ("500ms", 500),
        ("3", 3_000),
        ("0.25", 250),
        ("0", 0),
        ("60s", 60_000),
    ] {
        assert_eq!(
            timeout(text).unwrap(),
            Duration::from_millis(millis),
            "{text}"
        );
    }
}

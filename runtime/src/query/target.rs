//! What a path names: a projection, one of its tables, a row's key.

use std::sync::Arc;

use axum::http::Uri;
use percent_encoding::percent_decode_str;

use super::HttpProblem;
use super::filter;
use crate::definition::Table;
use crate::projection::directory::{Directory, Entry, ReadModelFile};
use crate::value::Key;

/// A table that can be read now.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) entry: Entry,
    pub(super) file: Arc<ReadModelFile>,
    table: usize,
}

impl Target {
    /// Finds the table that `/v1/read-models/{name}/{table}…` names.
    pub(super) fn find(directory: &Directory, uri: &Uri) -> Result<Self, HttpProblem> {
        let name = segment(uri, 2)?;
        let entry = entry(directory, &name)?;
        let file = entry
            .read_model()
            .cloned()
            .ok_or_else(|| not_open(&entry))?;
        let wanted = segment(uri, 3)?;
        let tables = &file.definition.tables;
        let Some(table) = tables.iter().position(|table| table.name == wanted) else {
            let names = tables.iter().map(|table| table.name.as_str());
            return Err(HttpProblem::not_found(format!(
                "projection {name} has no table {wanted:?}"
            ))
            .hint(format!("its tables: {}", listed(names))));
        };
        Ok(Self { entry, file, table })
    }

    pub(super) fn table(&self) -> &Table {
        &self.file.definition.tables[self.table]
    }

    /// The key in the path: its parts separated by commas, each percent-encoded, in the order of the key's
    /// columns.
    pub(super) fn key(&self, uri: &Uri) -> Result<Key, HttpProblem> {
        key(self.table(), raw_segment(uri, 4))
    }
}

/// The key of a row of `table` as it stands in a path.
pub(super) fn key(table: &Table, text: &str) -> Result<Key, HttpProblem> {
    let columns = table.key.iter().map(|&i| &table.columns[i]);
    let parts: Vec<_> = text.split(',').collect();
    if parts.len() != columns.len() {
        let names = listed(columns.map(|column| column.name.as_str()));
        return Err(HttpProblem::bad_request(format!(
            "the key has {} parts, but the key of {} is: {names}",
            parts.len(),
            table.name
        ))
        .hint("separate the parts by commas, and write a comma inside a part as %2C"));
    }
    columns
        .zip(parts)
        .map(|(column, part)| filter::value(column, &decoded(part)?))
        .collect()
}

/// The projection of this name.
pub(super) fn entry(directory: &Directory, name: &str) -> Result<Entry, HttpProblem> {
    directory.get(name).ok_or_else(|| {
        if !directory.is_filled() {
            let detail = "the host is starting and has not looked at its modules folder yet";
            return HttpProblem::not_open(detail).hint("try again in a moment");
        }
        let statuses = directory.statuses();
        let names = listed(statuses.iter().map(|status| status.name.as_str()));
        HttpProblem::not_found(format!("there is no projection {name:?}")).hint(format!(
            "there are: {names}; /v1/projections also lists refused modules"
        ))
    })
}

pub(super) fn not_open(entry: &Entry) -> HttpProblem {
    let status = entry.live.status.borrow();
    let state = format!("projection {} is {}", status.name, status.status);
    match &status.last_error {
        Some(problem) => HttpProblem::not_open(format!("{state}: {}", problem.error)).hint(
            problem
                .hint
                .clone()
                .unwrap_or_else(|| "see /v1/projections".into()),
        ),
        None => HttpProblem::not_open(format!("{state} and has not opened its read model yet"))
            .hint("try again in a moment"),
    }
}

/// Part number `i` of the path, decoded.
pub(super) fn segment(uri: &Uri, i: usize) -> Result<String, HttpProblem> {
    decoded(raw_segment(uri, i))
}

fn raw_segment(uri: &Uri, i: usize) -> &str {
    uri.path().split('/').nth(i + 1).unwrap_or_default()
}

/// Undoes percent-encoding.
pub(super) fn decoded(text: &str) -> Result<String, HttpProblem> {
    let bytes = text.as_bytes();
    let broken = |(i, _)| {
        let digits = bytes.get(i + 1..i + 3);
        !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    let text_problem = |what| {
        HttpProblem::bad_request(format!("{text:?} {what}"))
            .hint("percent-encode as UTF-8; a literal % is %25")
    };
    if text.match_indices('%').any(broken) {
        return Err(text_problem(
            "has a % that no two hexadecimal digits follow",
        ));
    }
    let decoded = percent_decode_str(text).decode_utf8();
    decoded
        .map(std::borrow::Cow::into_owned)
        .map_err(|_| text_problem("is not UTF-8"))
}

/// Names for people: `a, b, c`, or a word that there are none.
pub(super) fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.collect();
    if names.is_empty() {
        return "none".into();
    }
    names.join(", ")
}

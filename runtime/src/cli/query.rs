//! `foldline query`: rows of a read model, from a running host.

use std::fmt;
use std::io::{self, Write};

use clap::Args;
use comfy_table::Cell;
use foldline::query::{OPERATORS, RESERVED, read_timeout};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use super::CliError;
use super::client::{Client, HostArguments};
use super::output::{grouped, number, shown, table, text};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The projection.
    name: String,
    /// One of its tables.
    table: String,
    /// Conditions that must all hold: column=op.value with eq, neq, gt, gte, lt, lte, is (null, not_null);
    /// column=value means eq.
    #[arg(value_name = "COLUMN=OP.VALUE", value_parser = filter)]
    filters: Vec<(String, String)>,
    /// Sorting, as in total.desc,order_id; by the primary key when not given.
    #[arg(long, value_name = "COLUMN[.desc],…")]
    order: Option<String>,
    /// Most rows, 1 to 1000 [host's default: 100].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    limit: Option<u32>,
    /// Rows to pass over first.
    #[arg(long, value_name = "N")]
    offset: Option<u64>,
    /// The columns to show.
    #[arg(long, value_name = "COLUMN,…")]
    select: Option<String>,
    /// Wait until this event's changes are in the read model.
    #[arg(long, value_name = "N")]
    min_sequence: Option<u64>,
    /// How long to wait for --min-sequence, as in 2s or 500ms, at most 60s [host's default: 5s].
    #[arg(long, value_name = "TIME", value_parser = timeout)]
    timeout: Option<String>,
    /// Print the rows as a JSON array.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    host: HostArguments,
}

pub(crate) fn execute(arguments: &Arguments) -> Result<(), CliError> {
    let answer = Client::new(&arguments.host).get(&arguments.path())?;
    let mut stdout = io::stdout().lock();
    if arguments.json {
        return Ok(writeln!(stdout, "{}", answer.json())?);
    }
    let rows: Vec<RowObject> = answer.parse()?;
    Ok(render(&rows, answer.sequence, &mut stdout)?)
}

impl Arguments {
    /// The request's path and query.
    fn path(&self) -> String {
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let options = [
            ("order", self.order.clone()),
            ("limit", self.limit.map(|n| n.to_string())),
            ("offset", self.offset.map(|n| n.to_string())),
            ("select", self.select.clone()),
            ("min_sequence", self.min_sequence.map(|n| n.to_string())),
            ("timeout", self.timeout.clone()),
        ];
        let options = options.into_iter();
        let options = options.filter_map(|(name, value)| Some((name.to_owned(), value?)));
        let pairs = self.filters.iter().cloned().chain(options);
        let pairs: Vec<_> = pairs
            .map(|(name, value)| format!("{}={}", encode(&name), encode(&value)))
            .collect();
        let (name, table) = (encode(&self.name), encode(&self.table));
        format!("/v1/read-models/{name}/{table}?{}", pairs.join("&"))
    }
}

/// The host reads it again; what it would refuse is wrong usage.
fn timeout(argument: &str) -> Result<String, String> {
    let known = read_timeout(argument).map(|_| argument.to_owned());
    known.ok_or_else(|| "write for example 2s, 500ms or 2, at most 60s".into())
}

/// Reads `column=op.value` or `column=value`.
fn filter(argument: &str) -> Result<(String, String), String> {
    let Some((column, condition)) = argument.split_once('=').filter(|(c, _)| !c.is_empty()) else {
        return Err("write COLUMN=OP.VALUE, as in status=eq.paid, or COLUMN=VALUE".into());
    };
    let operator = condition
        .split_once('.')
        .map_or("", |(operator, _)| operator);
    let condition = if OPERATORS.contains(&operator) {
        condition.to_owned()
    } else {
        format!("eq.{condition}")
    };
    // Options have switches of their own here, so what stands before `=` is always a column.
    let prefix = if RESERVED.contains(&column) {
        "column."
    } else {
        ""
    };
    Ok((format!("{prefix}{column}"), condition))
}

fn render(rows: &[RowObject], sequence: Option<u64>, out: &mut impl Write) -> io::Result<()> {
    if let Some(first) = rows.first() {
        let mut table = table(first.0.iter().map(|(name, _)| name.as_str()));
        for row in rows {
            table.add_row(row.0.iter().map(|(_, value)| cell(value)));
        }
        writeln!(out, "{}\n", shown(&table))?;
    }
    let count = match rows.len() {
        0 => "no rows".to_owned(),
        1 => "1 row".to_owned(),
        n => format!("{} rows", grouped(n as u64)),
    };
    match sequence {
        Some(sequence) => writeln!(out, "{count}, at sequence {}", grouped(sequence)),
        None => writeln!(out, "{count}"),
    }
}

fn cell(value: &Value) -> Cell {
    match value {
        Value::String(value) => text(value),
        Value::Number(value) => number(&value.to_string()),
        other => text(&other.to_string()),
    }
}

/// A row's columns in the order the host sent them, which a map would lose.
struct RowObject(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for RowObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Columns;
        impl<'de> Visitor<'de> for Columns {
            type Value = RowObject;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a row object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RowObject, A::Error> {
                let mut columns = Vec::new();
                while let Some(column) = map.next_entry()? {
                    columns.push(column);
                }
                Ok(RowObject(columns))
            }
        }
        deserializer.deserialize_map(Columns)
    }
}

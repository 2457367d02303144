//! `foldline diff` and `foldline verify`: two read models of one projection, compared by the host.

use std::io::{self, Write};

use clap::Args;
use foldline::projection::Comparison;
use foldline::store::sqlite::compare::{Example, Side, TableDifference};
use foldline::supervisor::Outcome;

use super::CliError;
use super::client::{Client, HostArguments};
use super::operate::path;
use super::output::{grouped, printable, printable_json};
use super::wait::{self, Built};

#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// The projection.
    name: String,
    /// Rows that differ to show for each table.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(..=1_000))]
    examples: u32,
    /// Print the comparison as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    host: HostArguments,
}

#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// The projection.
    name: String,
    /// Print the comparison as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    host: HostArguments,
}

/// Shows how two generations differ. That they do is no failure: it is what was asked for.
pub(crate) fn diff(arguments: &Diff) -> Result<(), CliError> {
    let client = Client::new(&arguments.host);
    let command = format!("diff?examples={}", arguments.examples);
    let answer = client.post(&path(&arguments.name, &command))?;
    let outcome: Outcome = answer.parse()?;
    let mut stdout = io::stdout().lock();
    let Some(comparison) = outcome.comparison else {
        return Ok(writeln!(stdout, "{}", printable(&outcome.message))?);
    };
    show(&comparison, arguments.json, &mut stdout)
}

/// Fails when the read model that was built again is another one.
pub(crate) fn verify(arguments: &Verify) -> Result<(), CliError> {
    let client = Client::new(&arguments.host);
    let name = &arguments.name;
    let answer = client.post(&path(name, "verify"))?;
    let generation = answer.parse::<Outcome>()?.generation.unwrap_or_default();
    let Built::Verified(comparison) = wait::built(&client, name, generation)? else {
        return Err(CliError::failed(format!(
            "generation {generation} of {name} was replaced before it could be compared"
        ))
        .hint("run `foldline verify` again when nothing is being built"));
    };
    show(&comparison, arguments.json, &mut io::stdout().lock())?;
    if comparison.difference.equal {
        return Ok(());
    }
    Err(CliError::failed(format!(
        "the live read model of {name} is not what its module gives now"
    ))
    .hint(format!(
        "`foldline rebuild {name}` replaces it by one that is"
    )))
}

fn show(comparison: &Comparison, json: bool, out: &mut impl Write) -> Result<(), CliError> {
    if json {
        let json = serde_json::to_string(comparison).map_err(io::Error::from)?;
        return Ok(writeln!(out, "{}", printable_json(&json))?);
    }
    Ok(render(comparison, out)?)
}

fn render(comparison: &Comparison, out: &mut impl Write) -> io::Result<()> {
    let verdict = if comparison.difference.equal {
        "equal"
    } else {
        "different"
    };
    writeln!(
        out,
        "{verdict} at sequence {}: generation {} (version {}, live) and generation {} (version {})",
        grouped(comparison.difference.sequence),
        comparison.live,
        comparison.live_version,
        comparison.other,
        comparison.other_version
    )?;
    if let Some(set_aside) = &comparison.set_aside {
        writeln!(out, "note: {}", printable(set_aside))?;
    }
    let tables = &comparison.difference.tables;
    tables.iter().try_for_each(|table| render_table(table, out))
}

fn render_table(table: &TableDifference, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "\ntable {}", printable(&table.table))?;
    if let Some(why) = &table.incomparable {
        return writeln!(out, "  not compared: {why}");
    }
    for (columns, of) in [
        (&table.columns_only_live, "live"),
        (&table.columns_only_other, "other"),
    ] {
        if !columns.is_empty() {
            writeln!(
                out,
                "  columns only in the {of} one: {}",
                printable(&columns.join(", "))
            )?;
        }
    }
    for (name, count) in [
        ("rows, live", table.rows_live),
        ("rows, other", table.rows_other),
        ("only live", table.only_live),
        ("only other", table.only_other),
        ("changed", table.changed),
    ] {
        writeln!(out, "  {name:<12} {}", grouped(count))?;
    }
    for (name, hash) in [("live", &table.hash_live), ("other", &table.hash_other)] {
        writeln!(
            out,
            "  hash, {name:<6} {}",
            hash.get(..16).unwrap_or_default()
        )?;
    }
    table
        .examples
        .iter()
        .try_for_each(|example| render_example(example, out))
}

fn render_example(example: &Example, out: &mut impl Write) -> io::Result<()> {
    let key: Vec<_> = example.key.iter().map(ToString::to_string).collect();
    let key = printable(&key.join(", "));
    match example.only {
        Some(Side::Live) => writeln!(out, "  {key}: only live"),
        Some(Side::Other) => writeln!(out, "  {key}: only other"),
        None => example.columns.iter().try_for_each(|cell| {
            let (live, other) = (cell.live.to_string(), cell.other.to_string());
            let (column, live, other) = (&cell.column, printable(&live), printable(&other));
            writeln!(out, "  {key}: {column} is {live}, in the other {other}")
        }),
    }
}

//! `foldline inspect`: what is in a projection module file. Needs no host.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Args;
use foldline::config::Limits;
use foldline::definition::{Definition, Table};
use foldline::guest::{Engine, GuestModule};
use serde::Serialize;

use super::CliError;
use super::output::{grouped, printable, printable_json, shown, table, text};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A projection module.
    file: PathBuf,
    /// Print everything as one JSON object.
    #[arg(long)]
    json: bool,
}

/// What there is to say of a module that passed every check.
#[derive(Debug, Serialize)]
struct Inspection {
    #[serde(flatten)]
    definition: Definition,
    /// Lower-case hexadecimal SHA-256 of the file.
    digest: String,
    /// Bytes of the file.
    size: u64,
    /// Always "accepted": a module that is not is an error.
    verdict: &'static str,
}

pub(crate) fn execute(arguments: &Arguments) -> Result<(), CliError> {
    let inspection = load(&arguments.file)?;
    let mut stdout = io::stdout().lock();
    if arguments.json {
        let json = serde_json::to_string(&inspection).map_err(io::Error::from)?;
        return Ok(writeln!(stdout, "{}", printable_json(&json))?);
    }
    Ok(render(&inspection, &mut stdout)?)
}

/// Loads and checks the module as a host with the default limits would.
fn load(file: &Path) -> Result<Inspection, CliError> {
    let engine = Engine::uncached()
        .map_err(|error| CliError::failed(format!("the Wasm engine does not start: {error:#}")))?;
    let limits = Limits::default().guest();
    let module = GuestModule::load(&engine, file, limits).map_err(|error| {
        CliError::failed(format!("{} is refused: {error}", file.display())).hint(error.hint())
    })?;
    Ok(Inspection {
        definition: (*module.definition).clone(),
        digest: module.digest.to_string(),
        size: module.size as u64,
        verdict: "accepted",
    })
}

fn render(inspection: &Inspection, out: &mut impl Write) -> io::Result<()> {
    let definition = &inspection.definition;
    let lines = [
        ("name", definition.name.clone()),
        ("version", definition.version.to_string()),
        ("verdict", inspection.verdict.to_owned()),
        ("subjects", definition.subjects.join(", ")),
        ("event key", definition.key.to_string()),
        ("size", format!("{} bytes", grouped(inspection.size))),
        ("digest", inspection.digest.clone()),
    ];
    for (name, value) in lines {
        writeln!(out, "{name:<10} {}", printable(&value))?;
    }
    definition
        .tables
        .iter()
        .try_for_each(|table| render_table(table, out))
}

fn render_table(of: &Table, out: &mut impl Write) -> io::Result<()> {
    let mut columns = table(["COLUMN", "TYPE", "NULL", "KEY", "INDEX"]);
    for (i, column) in of.columns.iter().enumerate() {
        let key = of.key.iter().position(|&key| key == i);
        let indexes = of.indexes.iter().enumerate();
        let indexes: Vec<_> = indexes
            .filter(|(_, columns)| columns.contains(&i))
            .map(|(number, _)| (number + 1).to_string())
            .collect();
        columns.add_row([
            text(&column.name),
            text(&column.ty.to_string()),
            text(if column.nullable { "yes" } else { "no" }),
            text(&key.map_or_else(String::new, |place| (place + 1).to_string())),
            text(&indexes.join(", ")),
        ]);
    }
    writeln!(out, "\ntable {}\n{}", printable(&of.name), shown(&columns))
}

//! `foldline plan`: what a running host would do with a module file.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use foldline::supervisor::{Plan, PlannedReplay};

use super::CliError;
use super::client::{Client, HostArguments};
use super::output::{bytes, grouped, printable};
use super::status::seconds;

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// A projection module.
    file: PathBuf,
    /// Print the host's answer as JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    host: HostArguments,
}

/// Shows it. Fails if the module would be refused.
pub(crate) fn execute(arguments: &Arguments) -> Result<(), CliError> {
    let shown = arguments.file.display();
    let module = std::fs::read(&arguments.file).map_err(|error| {
        CliError::failed(format!("cannot read {shown}: {error}"))
            .hint("name the .wasm file that cargo has built")
    })?;
    let answer = Client::new(&arguments.host).post_module("/v1/plan", &module)?;
    let plan: Plan = answer.parse()?;
    let mut stdout = io::stdout().lock();
    if arguments.json {
        writeln!(stdout, "{}", answer.json())?;
    } else {
        render(&plan, &mut stdout)?;
    }
    if !plan.is_refused() {
        return Ok(());
    }
    let refused = CliError::failed(format!("{shown} would be refused: {}", plan.message));
    Err(match plan.hint {
        Some(hint) => refused.hint(hint),
        None => refused,
    })
}

fn render(plan: &Plan, out: &mut impl Write) -> io::Result<()> {
    let mut line = |name: &str, value: &str| writeln!(out, "{name:<12} {}", printable(value));
    line("verdict", &plan.verdict)?;
    if let Some(module) = &plan.module {
        let (name, version) = (&module.name, module.version);
        let live = module.live_version;
        let live = live.map_or_else(String::new, |live| format!(", live is version {live}"));
        line("module", &format!("{name}, version {version}{live}"))?;
    }
    for (i, difference) in plan.differences.iter().enumerate() {
        line(if i == 0 { "differences" } else { "" }, difference)?;
    }
    if plan.is_refused() {
        return Ok(());
    }
    line("then", &plan.message)?;
    if let Some(replay) = &plan.replay {
        for (name, value) in of_replay(replay) {
            line(name, &value)?;
        }
    }
    for warning in &plan.warnings {
        line("warning", warning)?;
    }
    let file = plan.module.as_ref().and_then(|module| module.file.as_ref());
    if plan.verdict == "start" {
        line("to do it", "copy the file into the modules folder")?;
    } else if let Some(file) = file.filter(|_| plan.verdict != "unchanged") {
        line(
            "to do it",
            &format!("copy the file over {file} in the modules folder"),
        )?;
    }
    Ok(())
}

fn of_replay(replay: &PlannedReplay) -> Vec<(&'static str, String)> {
    if let Some(obstacle) = &replay.obstacle {
        return vec![("obstacle", obstacle.clone())];
    }
    let (events, stream) = (replay.events.unwrap_or_default(), &replay.stream);
    let stream = stream.as_deref().unwrap_or_default();
    let time = match (replay.seconds, replay.events_per_second) {
        (Some(time), Some(rate)) => format!(
            "about {}, at {} events/s as measured with {}",
            seconds(time),
            grouped(rate.round() as u64),
            replay.measured_with.as_deref().unwrap_or_default()
        ),
        _ => "not known: no replay was measured on this host yet".into(),
    };
    let disk = replay.disk_bytes.map_or_else(
        || "not known: there is no live read model to go by".into(),
        |disk| format!("about {}, going by the live read model", bytes(disk)),
    );
    let mut lines = vec![
        (
            "to read",
            format!("{} events of stream {stream}", grouped(events)),
        ),
        ("time", time),
        ("disk", disk),
    ];
    let warnings = replay.warnings.iter();
    lines.extend(warnings.map(|warning| ("warning", warning.clone())));
    lines
}

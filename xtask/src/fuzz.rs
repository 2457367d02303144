//! `cargo xtask fuzz`: each fuzz target for a minute, from the inputs that were found worth keeping.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::failure::{Failure, OrFail as _};
use crate::process;
use crate::setup;
use crate::step::step;
use crate::workspace::Workspace;

/// What to fuzz.
#[derive(Args)]
pub struct Options {
    /// Only this target: the name of a file in fuzz/fuzz_targets
    target: Option<String>,
    /// How long each target runs
    #[arg(long, default_value_t = 60)]
    seconds: u64,
}

/// The versions that the folder `fuzz/` is laid out for.
const CARGO_FUZZ: &str = "^0.13";

/// Beyond its time a target may need this long to take up the corpus and to end.
const SLACK: Duration = Duration::from_secs(120);

/// Most memory of a target, in MiB, and the seconds that one input may take.
const MEMORY_MIB: u32 = 2_048;
const INPUT_SECONDS: u32 = 20;

/// Runs each target, also behind one that found something.
///
/// # Errors
/// When a tool is missing, or an input breaks a property: its path, and how to try it again.
pub fn run(workspace: &Workspace, options: &Options) -> Result<()> {
    let fuzz = Fuzz {
        cargo_fuzz: setup::cargo_tool(workspace, "cargo-fuzz", CARGO_FUZZ)?,
        folder: workspace.root.join("fuzz"),
        workspace,
    };
    let targets = fuzz.targets(options.target.as_deref())?;
    step(
        "build the fuzz targets (takes minutes the first time)",
        || fuzz.build(),
    )?;
    println!(
        "==> fuzz {} targets, {} s each",
        targets.len(),
        options.seconds
    );
    let mut found = Vec::new();
    for target in &targets {
        found.extend(fuzz.run(target, options.seconds)?);
    }
    if found.is_empty() {
        return Ok(());
    }
    bail!(Failure::new(
        found.join("\n"),
        "an input in fuzz/corpus/TARGET is tried again by every `cargo test -p foldline-properties`: \
         copy it there, mend what it breaks, and keep it"
    ))
}

struct Fuzz<'a> {
    cargo_fuzz: PathBuf,
    folder: PathBuf,
    workspace: &'a Workspace,
}

impl Fuzz<'_> {
    fn targets(&self, only: Option<&str>) -> Result<Vec<String>> {
        let sources = fs::read_dir(self.folder.join("fuzz_targets"))?;
        let mut targets = Vec::new();
        for source in sources {
            let name = source?
                .path()
                .file_stem()
                .map(|stem| stem.to_string_lossy().into_owned());
            targets.extend(name);
        }
        targets.sort();
        let Some(only) = only else { return Ok(targets) };
        if !targets.iter().any(|target| target == only) {
            let message = format!("there is no fuzz target {only}");
            bail!(Failure::new(
                message,
                format!("there are: {}", targets.join(", "))
            ));
        }
        Ok(vec![only.to_owned()])
    }

    /// Without a sanitizer, which only nightly Rust has: Foldline has no `unsafe` code of its own to find fault with.
    fn command(&self, what: &str) -> Command {
        let mut command = Command::new(&self.cargo_fuzz);
        command
            .current_dir(&self.workspace.root)
            .args(["fuzz", what, "--sanitizer", "none", "--fuzz-dir"])
            .arg(&self.folder)
            .arg("--target-dir")
            .arg(self.folder.join("target"));
        command
    }

    fn build(&self) -> Result<()> {
        process::run(&mut self.command("build")).or_fail(
            "the fuzz targets could not be built",
            "libFuzzer is compiled from its source: a C++ compiler must be on PATH",
        )
    }

    /// Runs one target and prints its line; what it found, if anything.
    fn run(&self, target: &str, seconds: u64) -> Result<Option<String>> {
        let grown = self.folder.join("grown").join(target);
        fs::create_dir_all(&grown).with_context(|| format!("creating {}", grown.display()))?;
        let log = self.folder.join("grown").join(format!("{target}.log"));
        let mut command = self.command("run");
        command
            .arg(target)
            .arg(&grown)
            .arg(self.folder.join("corpus").join(target));
        command.args([
            "--".to_owned(),
            format!("-max_total_time={seconds}"),
            format!("-rss_limit_mb={MEMORY_MIB}"),
            format!("-timeout={INPUT_SECONDS}"),
            "-print_final_stats=1".to_owned(),
        ]);
        let ended = process::run_quietly(&mut command, Duration::from_secs(seconds) + SLACK, &log);
        let text = fs::read(&log).with_context(|| format!("reading {}", log.display()))?;
        let seen = Seen::of(&String::from_utf8_lossy(&text));
        println!("    {target:<14} {seen}");
        match (ended, seen.finding) {
            (_, Some(finding)) => Ok(Some(format!("fuzz target {target}: {finding}"))),
            (Err(error), None) => Err(error),
            (Ok(()), None) => Ok(None),
        }
    }
}

/// What libFuzzer says of a run.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    executions: String,
    per_second: String,
    coverage: String,
    finding: Option<String>,
}

impl Seen {
    fn of(log: &str) -> Self {
        let mut seen = Self::default();
        let mut why = None;
        for line in log.lines() {
            let last_word = || line.rsplit(' ').next().unwrap_or_default().to_owned();
            if line.starts_with("stat::number_of_executed_units") {
                seen.executions = last_word();
            } else if line.starts_with("stat::average_exec_per_sec") {
                seen.per_second = last_word();
            } else if let Some((_, rest)) = line.split_once(" cov: ") {
                seen.coverage = rest.split(' ').next().unwrap_or_default().to_owned();
            } else if line.contains("panicked at") || line.contains("ERROR: libFuzzer: ") {
                why = why.or_else(|| Some(line.trim().to_owned()));
            } else if let Some((_, input)) = line.split_once("Test unit written to ") {
                let why = why.take().unwrap_or_else(|| "it broke".into());
                seen.finding = Some(format!(
                    "{why}\n  with the input {}",
                    Path::new(input).display()
                ));
            }
        }
        seen
    }
}

impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            executions,
            per_second,
            coverage,
            finding,
        } = self;
        let found = if finding.is_some() {
            "FOUND SOMETHING"
        } else {
            "nothing found"
        };
        write!(
            f,
            "{executions:>10} executions, {per_second:>6}/s, coverage {coverage:>5}: {found}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_run_did_is_read_from_its_log() {
        let log = "#2\tINITED cov: 5 ft: 6 corp: 1/1b exec/s: 0 rss: 28Mb\n\
                   #9\tDONE   cov: 2279 ft: 9798 corp: 1803/173Kb lim: 381 exec/s: 25195 rss: 33Mb\n\
                   stat::number_of_executed_units: 403122\n\
                   stat::average_exec_per_sec:     25195\n";
        let seen = Seen::of(log);
        assert_eq!(seen.finding, None);
        let line = seen.to_string();
        assert!(
            line.contains("403122 executions,  25195/s, coverage  2279: nothing"),
            "{line}"
        );
    }

    #[test]
    fn a_finding_names_its_cause_and_its_input() {
        let log = "thread '<unnamed>' (1) panicked at tests/properties/src/row.rs:7:1:\n\
                   ==1== ERROR: libFuzzer: deadly signal\n\
                   artifact_prefix='x/'; Test unit written to fuzz/artifacts/row/crash-1\n";
        let finding = Seen::of(log).finding.unwrap();
        assert!(finding.contains("row.rs:7:1"), "{finding}");
        assert!(finding.ends_with("fuzz/artifacts/row/crash-1"), "{finding}");
    }
}

//! `cargo xtask test`: every check, the real tests last.

use std::process::Command;

use anyhow::Result;
use clap::Args;

use crate::guests;
use crate::process;
use crate::setup::Setup;
use crate::step::step;
use crate::workspace::Workspace;

/// What to run.
#[derive(Args)]
pub struct Options {
    /// Run only tests whose name contains this
    filter: Option<String>,
    /// Leave out format, lints, documentation and licences
    #[arg(long)]
    quick: bool,
}

/// Runs all checks in the order of how fast they fail, stopping at the first that does.
pub fn run(workspace: &Workspace, setup: &Setup, options: &Options) -> Result<()> {
    if !options.quick {
        lint(workspace)?;
    }
    guests::build(workspace, &setup.guest_toolchain)?;
    step("build the host", || workspace.build(&["foldline"]))?;
    let tests = Tests {
        workspace,
        setup,
        filter: options.filter.as_deref(),
    };
    step("documentation tests", || tests.run("test", &["--doc"]))?;
    if process::on_path("cargo-nextest").is_some() {
        step("tests", || tests.run("nextest", &["run"]))
    } else {
        step("tests (without cargo-nextest)", || {
            tests.run("test", &["--lib", "--bins", "--tests"])
        })
    }
}

fn lint(workspace: &Workspace) -> Result<()> {
    let cargo = |arguments: &[&str]| {
        let mut command = workspace.cargo();
        command.args(arguments);
        command
    };
    step("rustfmt", || {
        process::run(&mut cargo(&["fmt", "--all", "--check"]))
    })?;
    step("clippy", || {
        let all = ["clippy", "--workspace", "--all-targets", "--", "-Dwarnings"];
        process::run(&mut cargo(&all))
    })?;
    step("rustdoc", || {
        let mut doc = cargo(&["doc", "--workspace", "--no-deps"]);
        process::run(doc.env("RUSTDOCFLAGS", "-Dwarnings"))
    })?;
    if process::on_path("cargo-deny").is_none() {
        println!("==> cargo-deny: skipped, it is not installed (`cargo install cargo-deny`)");
        return Ok(());
    }
    step("cargo-deny", || {
        process::run(&mut cargo(&["deny", "check"]))
    })
}

/// One way to start a test runner.
struct Tests<'a> {
    workspace: &'a Workspace,
    setup: &'a Setup,
    filter: Option<&'a str>,
}

impl Tests<'_> {
    fn run(&self, runner: &str, arguments: &[&str]) -> Result<()> {
        let mut command: Command = self.workspace.cargo();
        command
            .arg(runner)
            .args(arguments)
            .arg("--workspace")
            .args(self.filter);
        self.setup.tell(self.workspace, &mut command);
        process::run(&mut command)
    }
}

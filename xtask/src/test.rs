//! `cargo xtask test`: every check, the real tests last.

use std::process::Command;

use anyhow::Result;
use clap::Args;

use crate::failure::OrFail as _;
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
///
/// # Errors
/// When a check fails or a tool is missing.
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
    tests.run_last()
}

fn lint(workspace: &Workspace) -> Result<()> {
    let cargo = |arguments: &[&str]| {
        let mut command = workspace.cargo();
        command.args(arguments);
        command
    };
    step("rustfmt", || {
        process::run(&mut cargo(&["fmt", "--all", "--check"]))
            .or_fail("the code is not formatted", "`cargo fmt --all` formats it")
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
        process::run(&mut cargo(&["deny", "check"])).or_fail(
            "a dependency is not acceptable",
            "deny.toml says what is; without a network the list of advisories cannot be fetched",
        )
    })
}

/// One way to start a test runner.
struct Tests<'a> {
    workspace: &'a Workspace,
    setup: &'a Setup,
    filter: Option<&'a str>,
}

impl Tests<'_> {
    /// Without a step's closing line: the last lines of the whole command are the runner's summary.
    fn run_last(&self) -> Result<()> {
        if process::on_path("cargo-nextest").is_some() {
            println!("==> tests");
            return self.run("nextest", &["run"]);
        }
        println!("==> tests (cargo-nextest would be faster; it is not installed)");
        self.run("test", &["--lib", "--bins", "--tests"])
    }

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

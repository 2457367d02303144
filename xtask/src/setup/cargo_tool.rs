//! Subcommands of cargo that are published as crates.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::failure::OrFail as _;
use crate::process;
use crate::step::step;
use crate::workspace::Workspace;

/// Installing compiles a few hundred crates, once.
const INSTALL_LIMIT: Duration = Duration::from_secs(1_800);

/// A program that cargo can install: from `PATH`, or in these versions installed into the project.
///
/// # Errors
/// When it cannot be installed.
pub fn cargo_tool(workspace: &Workspace, name: &str, versions: &str) -> Result<PathBuf> {
    if let Some(found) = process::on_path(name) {
        return Ok(found);
    }
    let root = workspace.tools.join(name);
    let own = root.join("bin").join(name);
    if own.is_file() {
        return Ok(own);
    }
    fs::create_dir_all(&root).with_context(|| format!("creating {}", root.display()))?;
    step(&format!("install {name} into .tools (a minute)"), || {
        let mut install = workspace.cargo();
        install.args(["install", name, "--locked", "--version", versions, "--root"]);
        let log = root.join("install.log");
        process::run_quietly(install.arg(&root), INSTALL_LIMIT, &log).or_fail(
            format_args!("{name} could not be installed"),
            format_args!("`cargo install {name}`, then again"),
        )
    })?;
    Ok(own)
}

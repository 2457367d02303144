//! The peers written in Python, with their packages in a folder of the project.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use xtask::process;

use crate::stage::Programs;

/// For slow networks.
const INSTALL_LIMIT: Duration = Duration::from_secs(600);

/// The interpreter of a virtual environment that has `packages`, made if it is not there.
///
/// # Errors
/// When there is no python3 with its module venv, or a package cannot be installed.
pub(crate) fn interpreter(programs: &Programs, name: &str, packages: &[&str]) -> Result<PathBuf> {
    let folder = programs.tools.join(name);
    let (python, complete) = (folder.join("bin/python"), folder.join("complete"));
    if complete.exists() {
        return Ok(python);
    }
    let log = programs.results()?.join(format!("{name}.log"));
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv", "--clear"]).arg(&folder);
    process::run_quietly(&mut venv, INSTALL_LIMIT, &log)?;
    let mut pip = Command::new(&python);
    pip.args(["-m", "pip", "install", "--quiet", "--only-binary=:all:"])
        .args(packages);
    process::run_quietly(&mut pip, INSTALL_LIMIT, &log)?;
    std::fs::write(&complete, packages.join("\n"))
        .context("marking the environment as complete")?;
    Ok(python)
}

/// A peer's script.
pub(crate) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("peers")
        .join(name)
        .with_extension("py")
}

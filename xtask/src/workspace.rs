//! Where things are in the project.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;

/// The folders every command works with; all paths are absolute.
pub struct Workspace {
    /// The folder of the workspace's `Cargo.toml`.
    pub root: PathBuf,
    /// Cargo's target folder: `CARGO_TARGET_DIR`, else `target`.
    pub target: PathBuf,
    /// What [`crate::setup`] unpacks and builds; ignored by git, safe to delete.
    pub tools: PathBuf,
}

impl Workspace {
    /// # Errors
    /// When the current folder no longer exists, which a relative `CARGO_TARGET_DIR` needs.
    pub fn locate() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .context("the xtask crate has no parent folder")?
            .to_path_buf();
        let target = match env::var_os("CARGO_TARGET_DIR") {
            Some(dir) => std::path::absolute(dir)?,
            None => root.join("target"),
        };
        let tools = root.join(".tools");
        Ok(Self {
            root,
            target,
            tools,
        })
    }

    /// Host cargo, run from the workspace root with an unambiguous target folder.
    pub fn cargo(&self) -> Command {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", &self.target);
        command
    }

    /// Where guests end up: one `.wasm` file per projection.
    pub fn guests(&self) -> PathBuf {
        self.target.join("wasm32-unknown-unknown/release")
    }

    /// The development build of a program of this workspace.
    pub fn binary(&self, name: &str) -> PathBuf {
        self.target.join("debug").join(name)
    }

    /// Builds programs for [`Workspace::binary`]. Naming the workspace and not their packages keeps
    /// the features of shared dependencies those of the test build: nothing is compiled twice.
    ///
    /// # Errors
    /// When one does not compile.
    pub fn build(&self, binaries: &[&str]) -> Result<()> {
        let mut command = self.cargo();
        command.args(["build", "--workspace"]);
        for binary in binaries {
            command.args(["--bin", binary]);
        }
        process::run(&mut command)
    }
}

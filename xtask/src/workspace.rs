//! Where things are in the project.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

/// The folders every command works with; all paths are absolute.
pub(crate) struct Workspace {
    /// The folder of the workspace's `Cargo.toml`.
    pub(crate) root: PathBuf,
    /// Cargo's target folder: `CARGO_TARGET_DIR`, else `target`.
    pub(crate) target: PathBuf,
    /// What [`crate::setup`] unpacks and builds; ignored by git, safe to delete.
    pub(crate) tools: PathBuf,
}

impl Workspace {
    /// # Errors
    /// When the current folder no longer exists, which a relative `CARGO_TARGET_DIR` needs.
    pub(crate) fn locate() -> Result<Self> {
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
    pub(crate) fn cargo(&self) -> Command {
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command
            .current_dir(&self.root)
            .env("CARGO_TARGET_DIR", &self.target);
        command
    }

    /// Where guests end up: one `.wasm` file per projection.
    pub(crate) fn guests(&self) -> PathBuf {
        self.target.join("wasm32-unknown-unknown/release")
    }

    /// The development build of the host.
    pub(crate) fn host_binary(&self) -> PathBuf {
        self.target
            .join("debug")
            .join(format!("foldline{}", env::consts::EXE_SUFFIX))
    }
}

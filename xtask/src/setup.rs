//! Finds what the other commands need and installs what is missing; safe to run again at any time,
//! also after it was killed: everything is made under another name and moved into place when done.

mod cargo_tool;
mod debian;
mod nats_server;
mod sysroot;
mod wasm_target;

use std::fmt;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

pub use cargo_tool::cargo_tool;
pub use wasm_target::{GuestToolchain, TARGET};

use crate::workspace::Workspace;

/// What was found or installed.
pub struct Setup {
    /// How guests are compiled.
    pub guest_toolchain: GuestToolchain,
    /// A nats-server of at least version 2.12.
    pub nats_server: PathBuf,
}

impl Setup {
    /// Says nothing and takes no time when nothing is missing; else one line for each thing it does.
    ///
    /// # Errors
    /// When something can neither be found nor installed; the hint says how to do it by hand.
    pub fn complete(workspace: &Workspace) -> Result<Self> {
        let _lock = lock(workspace)?;
        Ok(Self {
            guest_toolchain: wasm_target::ensure(workspace)?,
            nats_server: nats_server::ensure(workspace)?,
        })
    }

    /// Tells a program where things are, by the environment variables tests and the demo look at.
    pub fn tell(&self, workspace: &Workspace, program: &mut Command) {
        program.env("FOLDLINE_NATS_SERVER", &self.nats_server);
        program.env("FOLDLINE_BIN", workspace.binary("foldline"));
        program.env("FOLDLINE_GUESTS", workspace.guests());
    }
}

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Wasm target:  {}", self.guest_toolchain)?;
        write!(f, "nats-server:  {}", self.nats_server.display())
    }
}

/// Two commands started at once would install the same thing twice into one folder. The lock ends
/// with the process, however it ends.
fn lock(workspace: &Workspace) -> Result<File> {
    let folder = &workspace.tools;
    fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))?;
    let path = folder.join("lock");
    let file = File::create(&path).with_context(|| format!("creating {}", path.display()))?;
    if let Err(TryLockError::WouldBlock) = file.try_lock() {
        say("another `cargo xtask` is setting things up: waiting for it");
        file.lock()
            .with_context(|| format!("locking {}", path.display()))?;
    }
    Ok(file)
}

/// One plain line about what the setup does.
fn say(line: impl fmt::Display) {
    println!("setup: {line}");
}

/// An empty folder of this name, whatever an earlier run left there.
fn empty_folder(folder: &Path) -> Result<()> {
    remove_folder(folder)?;
    fs::create_dir_all(folder).with_context(|| format!("creating {}", folder.display()))
}

fn remove_folder(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("removing {}", folder.display()))?;
    }
    Ok(())
}

//! A compiler for `wasm32-unknown-unknown`: cargo itself where its rustc has the target's standard
//! library, which rustup can add; else Debian's packages.

use std::env;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, bail};

use crate::failure::Failure;
use crate::process;
use crate::setup::{debian, say};
use crate::workspace::Workspace;

/// Guests are compiled for this target: it brings no imports of its own.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// The download has about 20 MB; rustup without a network gives up by itself before this.
const RUSTUP_LIMIT: Duration = Duration::from_secs(180);

/// How guests are compiled.
pub enum GuestToolchain {
    /// The cargo and rustc that compile the host.
    Host,
    /// Debian's cargo and rustc, with a standard library built into the project.
    Debian(debian::Toolchain),
}

impl GuestToolchain {
    /// A cargo that can build for [`TARGET`], run from the workspace root. Compiler flags of the
    /// environment are meant for the host and would replace those of `.cargo/config.toml`.
    pub fn cargo(&self, workspace: &Workspace) -> Command {
        let mut command = workspace.cargo();
        if let Self::Debian(toolchain) = self {
            command = toolchain.cargo(workspace);
        }
        command
            .env_remove("RUSTFLAGS")
            .env_remove("CARGO_ENCODED_RUSTFLAGS");
        command
    }
}

impl fmt::Display for GuestToolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("part of the Rust toolchain"),
            Self::Debian(toolchain) => toolchain.fmt(f),
        }
    }
}

/// A usable toolchain, installed if there is none.
pub(crate) fn ensure(workspace: &Workspace) -> Result<GuestToolchain> {
    if host_has_target()? {
        return Ok(GuestToolchain::Host);
    }
    if let Some(toolchain) = debian::find(workspace) {
        return Ok(GuestToolchain::Debian(toolchain));
    }
    install(workspace)
}

fn install(workspace: &Workspace) -> Result<GuestToolchain> {
    if rustup_adds_target(workspace) {
        return Ok(GuestToolchain::Host);
    }
    if process::on_path("apt-get").is_none() || process::on_path("dpkg-query").is_none() {
        bail!(Failure::new(
            format_args!("this Rust toolchain cannot compile for {TARGET}"),
            "with rustup: `rustup target add wasm32-unknown-unknown`; with a Rust of your system: \
             install its package of the standard library for this target",
        ));
    }
    debian::install(workspace).map(GuestToolchain::Debian)
}

fn host_has_target() -> Result<bool> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let mut command = Command::new(rustc);
    let folder = process::read(command.args(["--print", "target-libdir", "--target", TARGET]))?;
    Ok(has_standard_library(Path::new(&folder)))
}

/// Whether a folder of compiled crates holds std; a folder that is not there does not.
pub(super) fn has_standard_library(folder: &Path) -> bool {
    let mut files = fs::read_dir(folder).into_iter().flatten().flatten();
    files.any(|file| file.file_name().to_string_lossy().starts_with("libstd-"))
}

/// Not an error when it fails: there is another way, and the person sees why it is taken.
fn rustup_adds_target(workspace: &Workspace) -> bool {
    if process::on_path("rustup").is_none() {
        return false;
    }
    say(format_args!(
        "this Rust toolchain lacks the target {TARGET}: asking rustup (20 MB)"
    ));
    let log: PathBuf = workspace.tools.join("rustup.log");
    let mut rustup = Command::new("rustup");
    let answer = process::run_quietly(rustup.args(["target", "add", TARGET]), RUSTUP_LIMIT, &log);
    let added = answer.is_ok() && host_has_target().unwrap_or(false);
    if !added {
        say(format_args!(
            "rustup could not add it ({}): trying Debian's packages",
            log.display()
        ));
    }
    added
}

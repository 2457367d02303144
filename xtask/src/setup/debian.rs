//! The Wasm target on Debian and Ubuntu where rustup cannot reach its servers.
//!
//! The compiler comes from its packages; the standard library for the target has to be compiled
//! ([`sysroot`]). It is kept in the project, in a folder named after the packages' version: the
//! folder is there when it is complete, and a new version of the compiler makes a new one.

use std::fmt;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use crate::failure::{Failure, OrFail};
use crate::process;
use crate::setup::wasm_target::{TARGET, has_standard_library};
use crate::setup::{say, sysroot};
use crate::workspace::Workspace;

/// Debian's compiler for its browsers: newer than the rustc of the same release.
const PACKAGES: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];
pub(super) const CARGO: &str = "/usr/bin/cargo";
pub(super) const RUSTC: &str = "/usr/bin/rustc";
/// For a host toolchain that comes without a linker for WebAssembly.
const LINKER_PACKAGE: &str = "lld-19";
const LINKER: &str = "wasm-ld-19";

/// The packages have about 150 MB.
const APT_LIMIT: Duration = Duration::from_secs(900);
/// Debian's cargo and rustc with the standard library they lack.
pub struct Toolchain {
    /// Version of the packages, like `1.96.0+dfsg1-1~deb12u2`.
    version: String,
    /// Has `lib/rustlib/wasm32-unknown-unknown/lib`.
    sysroot: PathBuf,
    linker: PathBuf,
}

impl Toolchain {
    /// Debian's cargo. The flags are for the target alone and are added to those of
    /// `.cargo/config.toml`; macros and build scripts are compiled for this machine without them.
    pub fn cargo(&self, workspace: &Workspace) -> Command {
        let mut command = Command::new(CARGO);
        command
            .current_dir(&workspace.root)
            .env("CARGO_TARGET_DIR", &workspace.target);
        command.env("RUSTC", RUSTC);
        set(&mut command, "linker", &json!(self.linker));
        set(
            &mut command,
            "rustflags",
            &json!(["--sysroot", self.sysroot]),
        );
        command
    }

    fn has_sysroot(&self) -> bool {
        has_standard_library(&self.sysroot.join(sysroot::LIBRARY))
    }
}

/// Sets one key of the target in cargo's configuration. A JSON string or list is a TOML one too.
fn set(cargo: &mut Command, key: &str, value: &Value) {
    cargo
        .arg("--config")
        .arg(format!("target.{TARGET}.{key} = {value}"));
}

impl fmt::Display for Toolchain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Debian's rustc-web {} with {}",
            self.version,
            self.sysroot.display()
        )
    }
}

/// The toolchain if nothing has to be done for it.
pub(crate) fn find(workspace: &Workspace) -> Option<Toolchain> {
    let toolchain = toolchain(workspace, installed_version()?)?;
    toolchain.has_sysroot().then_some(toolchain)
}

/// Installs the packages and builds the standard library, whichever is missing.
pub(crate) fn install(workspace: &Workspace) -> Result<Toolchain> {
    if installed_version().is_none() {
        apt_install(workspace, &PACKAGES)?;
    }
    let version = installed_version().context("apt-get succeeded, but the packages are missing")?;
    check_is_new_enough(&version)?;
    if linker().is_none() {
        apt_install(workspace, &[LINKER_PACKAGE])?;
    }
    let toolchain = toolchain(workspace, version).context("no linker for WebAssembly is here")?;
    if !toolchain.has_sysroot() {
        sysroot::build(workspace, &toolchain.sysroot)?;
    }
    Ok(toolchain)
}

fn toolchain(workspace: &Workspace, version: String) -> Option<Toolchain> {
    let sysroot = workspace.tools.join("wasm-sysroot").join(&version);
    Some(Toolchain {
        version,
        sysroot,
        linker: linker()?,
    })
}

/// The version of [`PACKAGES`], if all of them are installed in one version.
fn installed_version() -> Option<String> {
    let mut query = Command::new("dpkg-query");
    query
        .args(["--show", "--showformat=${db:Status-Status} ${Version}\n"])
        .args(PACKAGES);
    let output = query.output().ok()?;
    common_version(&String::from_utf8_lossy(&output.stdout))
}

fn common_version(listing: &str) -> Option<String> {
    let versions: Option<Vec<&str>> = listing
        .lines()
        .map(|line| line.strip_prefix("installed "))
        .collect();
    let versions = versions.filter(|versions| versions.len() == PACKAGES.len())?;
    let all_equal = versions.windows(2).all(|pair| pair[0] == pair[1]);
    all_equal.then(|| versions[0].to_owned())
}

fn check_is_new_enough(version: &str) -> Result<()> {
    let needed = env!("CARGO_PKG_RUST_VERSION");
    if numbers(version) < numbers(needed) {
        bail!(Failure::new(
            format_args!("Debian's rustc-web {version} is older than Rust {needed}"),
            format_args!("`rustup target add {TARGET}` on a machine that reaches rustup's servers"),
        ));
    }
    Ok(())
}

/// Major and minor of a version like `1.96.0+dfsg1`.
fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// rustup's own linker lies beside the standard library of the host.
fn linker() -> Option<PathBuf> {
    let host_library = process::read(Command::new("rustc").args(["--print", "target-libdir"]));
    let of_rustup = host_library
        .ok()
        .map(|folder| Path::new(&folder).join("../bin/rust-lld"));
    of_rustup
        .filter(|file| file.is_file())
        .or_else(|| process::on_path(LINKER))
}

/// Never removes a package: rustc-web cannot be installed beside Debian's own rustc, and whoever
/// has that one should decide.
fn apt_install(workspace: &Workspace, packages: &[&str]) -> Result<()> {
    let by_hand = format!(
        "sudo apt-get update && sudo apt-get install {}",
        packages.join(" ")
    );
    say(format_args!(
        "installing Debian's {} (150 MB, about a minute)",
        packages.join(", ")
    ));
    let hint = format_args!("`{by_hand}` by hand shows why; then run this command again");
    let mut update = apt_get()?;
    let mut install = apt_get()?;
    update.arg("update");
    install
        .args(["install", "--yes", "--no-install-recommends", "--no-remove"])
        .args(packages);
    let log = workspace.tools.join("apt.log");
    if process::run_quietly(&mut update, APT_LIMIT, &log).is_err() {
        say("apt-get update failed, perhaps for an unrelated source: trying all the same");
    }
    process::run_quietly(&mut install, APT_LIMIT, &log).or_fail("apt-get install failed", hint)
}

/// `apt-get` as root: directly, or through a sudo that asks for no password. In a process group of
/// its own it finishes in peace when Ctrl-C ends this command: half-installed packages need repair.
/// A second run waits for the first one's lock.
fn apt_get() -> Result<Command> {
    let is_root = process::read(Command::new("id").arg("-u"))? == "0";
    let mut command = Command::new(if is_root { "env" } else { "sudo" });
    if !is_root {
        if process::on_path("sudo").is_none() {
            let packages = PACKAGES.join(" ");
            bail!(Failure::new(
                format_args!(
                    "{packages} are needed to compile for {TARGET}; only root can install"
                ),
                format_args!("as root: apt-get update && apt-get install {packages}"),
            ));
        }
        command.args(["--non-interactive", "env"]);
    }
    command.args([
        "DEBIAN_FRONTEND=noninteractive",
        "apt-get",
        "-o",
        "DPkg::Lock::Timeout=300",
    ]);
    command.process_group(0);
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_of_different_versions_count_as_missing() {
        let same = "installed 1.96.0\ninstalled 1.96.0\ninstalled 1.96.0\n";
        assert_eq!(common_version(same).as_deref(), Some("1.96.0"));
        let mixed = "installed 1.96.0\ninstalled 1.96.0\ninstalled 1.85.0\n";
        assert_eq!(common_version(mixed), None);
    }

    #[test]
    fn a_package_that_was_removed_counts_as_missing() {
        let removed = "installed 1.96.0\nconfig-files 1.96.0\ninstalled 1.96.0\n";
        assert_eq!(common_version(removed), None);
        assert_eq!(common_version("installed 1.96.0\n"), None);
    }

    #[test]
    fn an_old_compiler_is_refused_with_advice() {
        assert!(check_is_new_enough("1.85.0+dfsg3-1~deb12u3").is_err());
        assert!(check_is_new_enough("1.96.0+dfsg1-1~deb12u2").is_ok());
    }
}

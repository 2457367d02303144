//! Builds the projection modules: every crate in `projections/`, and the modules that only tests
//! use in `tests/guests/`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::failure::Failure;
use crate::process;
use crate::setup::{GuestToolchain, TARGET};
use crate::step::step;
use crate::workspace::Workspace;

/// Folders whose sub-folders are guests, each a member of the workspace.
const FOLDERS: [&str; 2] = ["projections", "tests/guests"];

/// Builds all guests; returns the folder of their `.wasm` files.
///
/// # Errors
/// When a guest does not compile, or leaves no module under the name of its folder.
pub fn build(workspace: &Workspace, toolchain: &GuestToolchain) -> Result<PathBuf> {
    let guests = discover(&workspace.root)?;
    step(&format!("build {} guests", guests.len()), || {
        let mut command = toolchain.cargo(workspace);
        command.args(["build", "--release", "--lib", "--target", TARGET]);
        for guest in &guests {
            command.args(["--package", guest]);
        }
        process::run(&mut command)
    })?;
    let folder = workspace.guests();
    for guest in &guests {
        let file = module(&folder, guest);
        if !file.is_file() {
            return Err(missing(guest, &file).into());
        }
        println!("    {}", file.display());
    }
    Ok(folder)
}

/// The module that the guest of this name is built to.
pub fn module(folder: &Path, guest: &str) -> PathBuf {
    folder.join(guest.replace('-', "_")).with_extension("wasm")
}

fn missing(guest: &str, file: &Path) -> Failure {
    Failure::new(
        format_args!(
            "the guest {guest} was built, but {} is not there",
            file.display()
        ),
        "its package needs the name of its folder and `crate-type = [\"cdylib\", \"rlib\"]`",
    )
}

/// Names of the guests, which are those of their folders and of their packages.
fn discover(root: &Path) -> Result<Vec<String>> {
    let mut guests = Vec::new();
    for parent in FOLDERS.map(|folder| root.join(folder)) {
        if !parent.is_dir() {
            continue;
        }
        for entry in
            fs::read_dir(&parent).with_context(|| format!("reading {}", parent.display()))?
        {
            let entry = entry?;
            if entry.path().join("Cargo.toml").is_file() {
                guests.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
    }
    guests.sort();
    Ok(guests)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_folder_with_a_manifest_is_a_guest() {
        let root = tempfile::tempdir().unwrap();
        for guest in ["projections/totals", "tests/guests/loops"] {
            fs::create_dir_all(root.path().join(guest)).unwrap();
            fs::write(root.path().join(guest).join("Cargo.toml"), "").unwrap();
        }
        fs::create_dir_all(root.path().join("projections/target")).unwrap();
        assert_eq!(discover(root.path()).unwrap(), ["loops", "totals"]);
    }

    #[test]
    fn a_module_is_named_like_the_library() {
        assert_eq!(
            module(Path::new("/out"), "order-summary"),
            Path::new("/out/order_summary.wasm")
        );
    }
}

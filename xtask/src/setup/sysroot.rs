//! Rust's standard library for the Wasm target, compiled from Debian's package of its source.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::failure::OrFail;
use crate::process;
use crate::setup::debian::{CARGO, RUSTC};
use crate::setup::wasm_target::TARGET;
use crate::setup::{empty_folder, say};
use crate::workspace::Workspace;

/// It takes 40 s on two quiet cores.
const BUILD_LIMIT: Duration = Duration::from_secs(900);

/// Where a sysroot has the libraries of the target.
pub(super) const LIBRARY: &str = "lib/rustlib/wasm32-unknown-unknown/lib";

/// Its own workspace, so that cargo does not look for it in Foldline's.
const EMPTY_CRATE: &str = r#"
[package]
name = "empty"
version = "0.0.0"
edition = "2024"

[workspace]
"#;

/// Compiles the standard library by building an empty crate with it, then keeps the libraries.
///
/// # Errors
/// When the build fails, most likely because crates.io cannot be reached.
pub(super) fn build(workspace: &Workspace, sysroot: &Path) -> Result<()> {
    say(format_args!(
        "compiling Rust's standard library for {TARGET} (once, about a minute)"
    ));
    let fresh = workspace.tools.join("wasm-sysroot.new");
    let crate_folder = fresh.join("empty");
    empty_folder(&crate_folder.join("src"))?;
    fs::write(crate_folder.join("Cargo.toml"), EMPTY_CRATE)?;
    fs::write(crate_folder.join("src/lib.rs"), "")?;
    process::run_quietly(
        &mut build_std(&crate_folder),
        BUILD_LIMIT,
        &fresh.join("build.log"),
    )
    .or_fail(
        "Rust's standard library could not be compiled",
        "cargo fetches its dependencies from crates.io: check that this machine reaches it",
    )?;
    keep_libraries(&crate_folder.join("target"), &fresh.join("complete"))?;
    empty_folder(&workspace.tools.join("wasm-sysroot"))?;
    fs::rename(fresh.join("complete"), sysroot)?;
    fs::remove_dir_all(fresh)?;
    Ok(())
}

/// `-Zbuild-std` is not stable, hence the bootstrap flag. Without bitcode in the libraries, guests
/// could not be built with link-time optimisation.
fn build_std(crate_folder: &Path) -> Command {
    let mut command = Command::new(CARGO);
    command.current_dir(crate_folder);
    command.args([
        "build",
        "--release",
        "--target",
        TARGET,
        "-Zbuild-std=std,panic_abort",
    ]);
    command.env("RUSTC", RUSTC).env("RUSTC_BOOTSTRAP", "1");
    command
        .env_remove("CARGO_ENCODED_RUSTFLAGS")
        .env("RUSTFLAGS", "-Cembed-bitcode=yes");
    command.env("CARGO_TARGET_DIR", crate_folder.join("target"));
    command
}

fn keep_libraries(target: &Path, sysroot: &Path) -> Result<()> {
    let kept = sysroot.join(LIBRARY);
    empty_folder(&kept)?;
    for entry in fs::read_dir(target.join(TARGET).join("release/deps"))? {
        let entry = entry?;
        let name = entry.file_name();
        let is_library = name.to_string_lossy().ends_with(".rlib");
        if is_library && !name.to_string_lossy().starts_with("libempty-") {
            fs::rename(entry.path(), kept.join(name))?;
        }
    }
    Ok(())
}

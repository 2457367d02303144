//! The built projection modules, and changed copies of them.

use std::path::PathBuf;

/// The bytes of a built module: of `order-summary`, the file `order_summary.wasm` in `FOLDLINE_GUESTS`, else
/// in the workspace's target folder.
///
/// # Panics
/// If it is not built.
pub fn module(name: &str) -> Vec<u8> {
    let file = folder().join(name.replace('-', "_")).with_extension("wasm");
    std::fs::read(&file).unwrap_or_else(|error| {
        let file = file.display();
        panic!("{file}: {error}\nhint: `cargo xtask build-guests` builds the modules")
    })
}

/// The same module built again: other bytes and another digest, the same behaviour. A custom section with
/// `label` in it is appended, which every WebAssembly runtime ignores.
///
/// # Panics
/// If the label is longer than 100 bytes.
pub fn rebuilt(module: &[u8], label: &str) -> Vec<u8> {
    const NAME: &[u8] = b"build";
    let size = u8::try_from(1 + NAME.len() + label.len())
        .ok()
        .filter(|size| *size < 0x80);
    let size = size.expect("the section's size fits one LEB128 byte");
    let mut rebuilt = module.to_vec();
    rebuilt.extend([0, size, 5]);
    rebuilt.extend(NAME);
    rebuilt.extend(label.as_bytes());
    rebuilt
}

/// The same module with one text of its data replaced by another of the same length, wherever it stands.
///
/// # Panics
/// If it does not stand there, or the lengths differ.
pub fn renamed(module: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len(), "{from} and {to}");
    let mut renamed = module.to_vec();
    let places: Vec<_> = (0..module.len())
        .filter(|&at| module[at..].starts_with(from.as_bytes()))
        .collect();
    assert!(!places.is_empty(), "the module does not hold {from}");
    for at in places {
        renamed[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
    renamed
}

fn folder() -> PathBuf {
    std::env::var_os("FOLDLINE_GUESTS").map_or_else(
        || target().join("wasm32-unknown-unknown/release"),
        PathBuf::from,
    )
}

/// The workspace's target folder: test binaries are in `target/PROFILE/deps`.
pub(crate) fn target() -> PathBuf {
    profile_folder()
        .parent()
        .expect("it is in the target folder")
        .to_owned()
}

/// Where this profile's binaries are: `target/PROFILE`.
pub(crate) fn profile_folder() -> PathBuf {
    let binary = std::env::current_exe().expect("this process has a file");
    binary
        .ancestors()
        .nth(2)
        .expect("test binaries are in target/PROFILE/deps")
        .to_owned()
}

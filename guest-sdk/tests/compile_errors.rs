//! Bad user code gives an error that says what to write instead. After a wording changed on
//! purpose, run with `TRYBUILD=overwrite` and read the difference.

use std::io;
use std::process::Command;

/// The compilers that put the messages of `tests/ui/types` together as they are recorded there.
const RECORDED_WITH: [&str; 2] = ["rustc 1.95.", "rustc 1.96."];

#[test]
fn bad_attributes_say_what_to_write_instead() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}

/// Here the text is ours, but the compiler finds the mistake and draws the arrows, and the arrows
/// move between its versions: other versions are not asked.
#[test]
fn bad_types_say_what_to_write_instead() -> io::Result<()> {
    let compiler = compiler()?;
    if RECORDED_WITH
        .iter()
        .any(|version| compiler.starts_with(version))
    {
        trybuild::TestCases::new().compile_fail("tests/ui/types/*.rs");
    }
    Ok(())
}

fn compiler() -> io::Result<String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("--version").output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

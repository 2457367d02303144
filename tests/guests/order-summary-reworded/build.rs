//! Makes the changed projection from the example itself, so that the two can never differ in more
//! than the word: a reload needs the same name, version and tables.

use std::path::Path;
use std::{env, fs};

const EXAMPLE: &str = "../../../projections/order-summary/src/lib.rs";
const BEFORE: &str = "\"shipped\"";
const AFTER: &str = "\"on_its_way\"";

fn main() -> Result<(), String> {
    println!("cargo::rerun-if-changed={EXAMPLE}");
    let example = fs::read_to_string(EXAMPLE).map_err(|error| format!("{EXAMPLE}: {error}"))?;
    if !example.contains(BEFORE) {
        return Err(format!(
            "{EXAMPLE} no longer has the word {BEFORE}: choose another to change"
        ));
    }
    let folder = env::var("OUT_DIR").map_err(|error| error.to_string())?;
    let changed = without_crate_documentation(&example).replace(BEFORE, AFTER);
    fs::write(Path::new(&folder).join("projection.rs"), changed).map_err(|error| error.to_string())
}

/// `include!` takes items only.
fn without_crate_documentation(source: &str) -> String {
    source
        .lines()
        .skip_while(|line| line.starts_with("//!"))
        .collect::<Vec<_>>()
        .join("\n")
}

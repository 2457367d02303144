//! The inputs that fuzzing found worth keeping, in every run of the tests.

use std::fs;
use std::path::{Path, PathBuf};

use foldline_properties::ALL;

fn inputs(property: &str) -> Vec<PathBuf> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let Ok(folder) = fs::read_dir(corpus.join(property)) else {
        return Vec::new();
    };
    let mut inputs: Vec<_> = folder.map(|entry| entry.unwrap().path()).collect();
    inputs.sort();
    inputs
}

/// One test, because memory is measured over the whole process.
#[test]
fn what_fuzzing_found_worth_keeping_still_holds() {
    for (name, holds) in ALL {
        let inputs = inputs(name);
        assert!(!inputs.is_empty(), "fuzz/corpus/{name} is empty");
        for input in inputs {
            eprintln!("{}", input.display());
            holds(&fs::read(&input).unwrap());
        }
        holds(&[]);
    }
}

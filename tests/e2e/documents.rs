//! The tests that documents name are there.

use std::fs;
use std::path::Path;

/// `a::b::some_test` → the file of its module, and its own name.
fn place(named: &str) -> (String, &str) {
    let (module, test) = named.rsplit_once("::").unwrap();
    (module.replace("::", "/"), test)
}

#[test]
fn every_test_that_the_reliability_document_names_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let document = fs::read_to_string(root.join("RELIABILITY.md")).unwrap();
    let code = document.split('`').skip(1).step_by(2);
    let named: Vec<_> = code
        .filter(|code| code.contains("::") && !code.contains(' '))
        .collect();
    assert!(named.len() > 20, "{named:?}");
    for named in named.iter().filter(|named| **named != "module::test") {
        let (module, test) = place(named);
        let file = root.join(format!("tests/e2e/{module}.rs"));
        let source =
            fs::read_to_string(&file).unwrap_or_else(|_| panic!("{named}: no {}", file.display()));
        assert!(
            source.contains(&format!("\nfn {test}()")),
            "{named} is not in {}",
            file.display()
        );
    }
}

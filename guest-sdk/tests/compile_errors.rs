//! Bad user code gives an error that says what to write instead. After a wording changed on purpose, run
//! with `TRYBUILD=overwrite` and read the difference.

#[test]
fn bad_code_says_what_to_write_instead() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}

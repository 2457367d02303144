//! Files that are no projection modules, each refused with its own reason. Guests that pass these checks and
//! misbehave later need a compiler for Wasm and are in the end-to-end tests.

use std::time::Duration;

use super::*;

fn limits() -> GuestLimits {
    GuestLimits {
        module_bytes: 1 << 20,
        memory_bytes: 1 << 24,
        call: Duration::from_secs(5),
        changes: 1000,
        change_bytes: 1 << 20,
        row_bytes: 1 << 16,
        find_rows: 100,
        find_bytes: 1 << 20,
        log_lines: 10,
        batches: 0,
    }
}

/// What is said of a module given as text.
fn refusal(wat: &str) -> LoadError {
    refusal_of(&wat::parse_str(wat).unwrap())
}

fn refusal_of(bytes: &[u8]) -> LoadError {
    let engine = Engine::uncached().unwrap();
    match GuestModule::from_bytes(&engine, bytes, limits()) {
        Err(error) => error,
        Ok(_) => panic!("the module was accepted"),
    }
}

#[test]
fn text_is_not_wasm() {
    assert!(matches!(refusal_of(b"hello"), LoadError::NotWasm));
    assert!(matches!(refusal_of(b""), LoadError::NotWasm));
}

#[test]
fn a_truncated_module_is_invalid() {
    let whole = wat::parse_str("(module (memory 1) (data (i32.const 0) \"abcdefgh\"))").unwrap();
    assert!(matches!(
        refusal_of(&whole[..whole.len() - 4]),
        LoadError::Invalid(_)
    ));
    let component = wat::parse_str("(component (core module (memory 1)))").unwrap();
    assert!(matches!(
        refusal_of(&component[..component.len() - 2]),
        LoadError::Invalid(_)
    ));
}

#[test]
fn modules_of_another_world_lack_the_exports() {
    assert!(matches!(
        refusal("(component)"),
        LoadError::MissingExport("describe")
    ));
    assert!(matches!(
        refusal("(module)"),
        LoadError::MissingExport("describe")
    ));
}

#[test]
fn foreign_imports_are_named() {
    let component =
        refusal("(component (import \"wasi:clocks/monotonic-clock@0.2.0\" (instance)))");
    assert!(
        matches!(&component, LoadError::ForeignImport(name) if name == "wasi:clocks/monotonic-clock@0.2.0")
    );
    assert!(component.hint().contains("wasm32-unknown-unknown"));
    let core = refusal("(module (import \"wasi_snapshot_preview1\" \"fd_write\" (func)))");
    assert!(matches!(core, LoadError::ForeignImport(_)), "{core}");
    let env = refusal("(module (import \"env\" \"now\" (func)))");
    assert!(
        matches!(&env, LoadError::ForeignImport(name) if name == "env::now"),
        "{env}"
    );
}

#[test]
fn another_version_of_the_contract_is_told_apart() {
    let error = refusal("(component (import \"foldline:projection/log@0.2.0\" (instance)))");
    assert!(
        matches!(&error, LoadError::OtherVersion { found } if found.ends_with("@0.2.0")),
        "{error}"
    );
}

#[test]
fn a_file_over_the_limit_is_not_even_read() {
    let file = tempfile::NamedTempFile::new().unwrap();
    file.as_file()
        .set_len(limits().module_bytes as u64 + 1)
        .unwrap();
    let loaded = GuestModule::load(&Engine::uncached().unwrap(), file.path(), limits());
    assert!(matches!(loaded, Err(LoadError::TooLarge { .. })));
}

#[test]
fn types_nested_as_deep_as_is_allowed_are_refused_and_no_end_of_the_host() {
    let levels = 3_900;
    let types = [&[1], &*[0x41, 1, 1].repeat(levels), &[0x7f]].concat();
    let length = [(types.len() & 0x7f) as u8 | 0x80, (types.len() >> 7) as u8];
    let component = [&b"\0asm\x0d\0\x01\0\x07"[..], &length, &types].concat();
    let refusal = refusal_of(&component).to_string();
    assert!(!refusal.contains("nested"), "it was looked into: {refusal}");

    let mut core = wat::parse_str("(module)").unwrap();
    let custom = [&[16], &b"component-type:x"[..], &component].concat();
    let length = [
        (custom.len() & 0x7f) as u8 | 0x80,
        (custom.len() >> 7) as u8,
    ];
    core.extend([&[0], &length[..], &custom].concat());
    let refusal = refusal_of(&core).to_string();
    assert!(!refusal.contains("nested"), "it was looked into: {refusal}");
}

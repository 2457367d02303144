//! Modules written by hand that break the rules of the binary interface itself, which no compiler for Wasm does.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use wit_component::{StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

use super::*;
use crate::batch::BatchBuilder;
use crate::event::Position;
use crate::guest::{Engine, LoadError};
use crate::store::memory::{MemoryReadModel, MemoryStore};

const LIMITS: GuestLimits = GuestLimits {
    module_bytes: 1 << 20,
    memory_bytes: 64 << 20,
    call: Duration::from_millis(200),
    changes: 1_000,
    change_bytes: 1 << 20,
    row_bytes: 1 << 16,
    find_rows: 100,
    find_bytes: 1 << 20,
    log_lines: 10,
    batches: 0,
};

/// The parts of a module that a test may replace.
struct Parts<'a> {
    memory: &'a str,
    /// The body of `describe`, which gives the place of the definition.
    describe: &'a str,
    /// The body of `project`, which gives the place of its result.
    project: &'a str,
    /// The body of the function that makes room for what the host sends.
    realloc: &'a str,
    /// Anything else.
    more: &'a str,
}

/// A module that keeps the rules: its table `t` has the one column `k`, and it applies every event by doing nothing.
const HONEST: Parts<'_> = Parts {
    memory: "(memory (export \"memory\") 320)",
    describe: "(i32.const 0)",
    project: "(i32.const 512)",
    realloc: "(i32.const 65536)",
    more: "",
};

impl Parts<'_> {
    fn module(&self) -> Vec<u8> {
        let Self {
            memory,
            describe,
            project,
            realloc,
            more,
        } = self;
        let parameters = "i32 ".repeat(16);
        let text = format!(
            r#"(module
                {memory}
                {DEFINITION}
                {more}
                (func (export "describe") (result i32) {describe})
                (func (export "project") (param {parameters}) (result i32) {project})
                (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) {realloc})
            )"#
        );
        let mut module = wat::parse_str(&text).unwrap();
        let mut resolve = Resolve::default();
        let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../guest-sdk/wit");
        let (package, _) = resolve.push_dir(wit).unwrap();
        let world = resolve.select_world(&[package], Some("projection"));
        embed_component_metadata(&mut module, &resolve, world.unwrap(), StringEncoding::UTF8)
            .unwrap();
        module
    }

    fn load(&self) -> Result<GuestModule, LoadError> {
        GuestModule::from_bytes(&Engine::uncached().unwrap(), &self.module(), LIMITS)
    }

    /// What is said of it when it is loaded.
    fn refusal(&self) -> String {
        let loaded = self.load();
        loaded.err().expect("it was accepted").to_string()
    }

    /// What is said of it when it is given an event.
    fn fault(&self) -> GuestFault {
        let projected = self.projected(Duration::ZERO);
        projected.expect_err("it was given an event")
    }

    /// What becomes of an event, with a read model whose indexes take this long to be made.
    fn projected(&self, indexing: Duration) -> Result<(), GuestFault> {
        let module = self.load().unwrap();
        let store = MemoryStore::open(&MemoryReadModel::new(&module.definition));
        let store = store.with_indexes_made_in(indexing);
        let definition = Arc::clone(&module.definition);
        let session = Session::new(Box::new(store), definition, 1 << 20).unwrap();
        let mut instance = GuestInstance::new(module, LIMITS, session).unwrap();
        let mut events = BatchBuilder::default();
        let at = Position {
            sequence: 1,
            time: 1,
        };
        events.push(at, "orders.1", b"", b"payload");
        instance.project(&events.finish(at, 0))
    }
}

/// The definition at 0: name at 100 "a", version 1, subjects at 108 [">"], no key, tables at 128; the result "done" at
/// 512 is zero anyway. A text or list is its place and its length, 32 bits each.
const DEFINITION: &str = r#"
    (data (i32.const 0) "\64\00\00\00\01\00\00\00\01\00\00\00\6c\00\00\00\01\00\00\00\00\00\00\00\00\00\00\00\00\00\00\00\80\00\00\00\01\00\00\00")
    (data (i32.const 100) "a\00\00\00>\00\00\00\68\00\00\00\01\00\00\00")
    (data (i32.const 128) "\b8\00\00\00\01\00\00\00\a0\00\00\00\01\00\00\00\bc\00\00\00\01\00\00\00\00\00\00\00\00\00\00\00")
    (data (i32.const 160) "\b9\00\00\00\01\00\00\00\01\00\00\00")
    (data (i32.const 184) "tk\00\00\00\00\00\00")
"#;

#[test]
fn a_module_by_hand_that_keeps_the_rules_is_loaded_and_projects() {
    let module = HONEST.load().unwrap();
    assert_eq!(module.definition.tables[0].columns[0].name, "k");
    let odd = Parts {
        // The result is an error at event 0 with an empty reason.
        more: r#"(data (i32.const 512) "\01")"#,
        ..HONEST
    };
    assert!(matches!(odd.fault(), GuestFault::Rejected { index: 0, .. }));
}

#[test]
fn a_definition_that_breaks_the_binary_interface_is_refused() {
    for (more, said) in [
        // The name's place, its length, its bytes.
        (r#"(data (i32.const 0) "\f0\ff\ff\ff")"#, "out of bounds"),
        (r#"(data (i32.const 4) "\ff\ff\ff\7f")"#, "out of bounds"),
        (r#"(data (i32.const 100) "\ff")"#, "utf-8"),
        // A million subjects, all of them empty and within the memory; more of them than fit.
        (
            r#"(data (i32.const 12) "\00\00\04\00\40\42\0f\00")"#,
            "size limit reached: the module sent more than 1114112 bytes",
        ),
        (r#"(data (i32.const 16) "\00\00\00\40")"#, "out of bounds"),
        // A place for a list that no list can have; a kind of key and of column that there is not.
        (r#"(data (i32.const 12) "\6d")"#, "not aligned"),
        (r#"(data (i32.const 20) "\09")"#, "discriminant"),
        (r#"(data (i32.const 168) "\77")"#, "discriminant"),
    ] {
        let refusal = Parts { more, ..HONEST }.refusal();
        assert!(refusal.contains(said), "{more}: {refusal}");
    }
    for describe in ["(i32.const -8)", "(i32.const 2147483644)", "(i32.const 3)"] {
        let refusal = Parts { describe, ..HONEST }.refusal();
        assert!(refusal.contains("`describe` failed"), "{refusal}");
    }
}

#[test]
fn a_module_that_wants_too_much_before_it_is_asked_anything_is_refused() {
    let endless = "(func $endless (loop (br 0))) (start $endless)";
    let table = "(table 2000000 funcref)";
    for (more, said) in [(endless, "time limit"), (table, "describe` failed")] {
        let refusal = Parts { more, ..HONEST }.refusal();
        assert!(refusal.contains(said), "{refusal}");
    }
    let memory = "(memory (export \"memory\") 2000)";
    let refused = Parts { memory, ..HONEST }.load();
    let refusal = refused.err().expect("it was accepted");
    let said = "memory limit reached: 131072000 bytes wanted, 67108864 allowed";
    assert!(refusal.to_string().contains(said), "{refusal}");
    assert!(refusal.hint().contains("limits.memory_mib"), "{refusal}");
}

#[test]
fn growth_that_fails_neither_counts_nor_makes_room_for_more() {
    // Beyond the memory's own most, for ever.
    let memory = "(memory (export \"memory\") 320 320)";
    let more = "(func $asks (loop (drop (memory.grow (i32.const 700))) (br 0))) (start $asks)";
    let refusal = Parts {
        memory,
        more,
        ..HONEST
    }
    .refusal();
    assert!(refusal.contains("time limit"), "{refusal}");

    // One page at a time, each followed by what no memory can have: accepted once it has 68,812,800 bytes.
    let more = "(func $creeps (loop
            (if (i32.eq (memory.grow (i32.const 1)) (i32.const -1)) (then (unreachable)))
            (drop (memory.grow (i32.const 65536)))
            (br_if 0 (i32.lt_u (memory.size) (i32.const 1050)))))
        (start $creeps)";
    let refusal = Parts { more, ..HONEST }.refusal();
    let said = "memory limit reached: 67174400 bytes wanted, 67108864 allowed";
    assert!(refusal.contains(said), "{refusal}");
}

#[test]
fn a_module_that_makes_no_honest_room_for_events_is_stopped() {
    for realloc in [
        "(i32.const -16)",
        "(i32.const 20971519)",
        "(i32.const 65537)",
        "(unreachable)",
    ] {
        let fault = Parts { realloc, ..HONEST }.fault();
        assert!(
            matches!(fault, GuestFault::Trap { .. }),
            "{realloc}: {fault}"
        );
    }
    let realloc = "(loop (br 0)) (i32.const 0)";
    let fault = Parts { realloc, ..HONEST }.fault();
    assert!(matches!(fault, GuestFault::Time { .. }), "{fault}");
}

#[test]
fn a_result_that_breaks_the_binary_interface_is_a_trap() {
    for (project, more) in [
        ("(i32.const -8)", ""),
        ("(i32.const 513)", ""),
        // Neither done nor failed; a reason beyond the memory, and one that is no text.
        (HONEST.project, r#"(data (i32.const 512) "\07")"#),
        (
            HONEST.project,
            r#"(data (i32.const 512) "\01\00\00\00\00\00\00\00\00\00\ff\ff\01\00\00\00")"#,
        ),
        (
            HONEST.project,
            r#"(data (i32.const 512) "\01\00\00\00\00\00\00\00\58\02\00\00\01\00\00\00")"#,
        ),
    ] {
        let fault = Parts {
            project,
            more: &format!("{more} (data (i32.const 600) \"\\ff\")"),
            ..HONEST
        }
        .fault();
        assert!(
            matches!(fault, GuestFault::Trap { .. }),
            "{project} {more}: {fault}"
        );
    }
}

/// It searches its table by its one index, and loops a little afterwards.
const SEARCHES: Parts<'_> = Parts {
    memory: r#"
        (import "foldline:projection/read-model@0.1.0" "find" (func $find (param i32 i32 i32 i32 i32 i32)))
        (memory (export "memory") 320)"#,
    more: r#"
        (data (i32.const 152) "\bc\02\00\00\01\00\00\00")
        (data (i32.const 700) "\bc\00\00\00\01\00\00\00")
        (data (i32.const 800) "\03\07\00\00\00\00\00\00\00")"#,
    project: "(local $turns i32)
        (call $find (i32.const 0) (i32.const 0) (i32.const 800) (i32.const 9) (i32.const 1) (i32.const 900))
        (loop $again
            (local.set $turns (i32.add (local.get $turns) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get $turns) (i32.const 1000))))
        (i32.const 512)",
    ..HONEST
};

#[test]
fn the_time_in_which_indexes_are_made_is_not_the_guests() {
    SEARCHES.projected(LIMITS.call * 2).unwrap();
    let project = SEARCHES
        .project
        .replace("(i32.const 512)", "(loop (br 0)) (i32.const 512)");
    let endless = Parts {
        project: &project,
        ..SEARCHES
    };
    let fault = endless.projected(LIMITS.call * 2).unwrap_err();
    assert!(matches!(fault, GuestFault::Time { .. }), "{fault}");
}

#[test]
fn a_function_whose_name_has_no_end_is_named_as_far_as_there_is_room() {
    let name = format!("_Z1f1PIiiE{}", "S_IS0_S0_ES_IS1_S1_E".repeat(100));
    let traps = Parts {
        more: &format!("(func $\"{name}\" (unreachable))"),
        project: &format!("(call $\"{name}\") (i32.const 512)"),
        ..HONEST
    };
    assert!(matches!(traps.fault(), GuestFault::Trap { .. }));
}

//! What a module file means for the projection of its name. Decided before anything changes.

use crate::definition::Definition;
use crate::guest::GuestModule;

/// What becomes of a module file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing runs under its name, and a read model that exists was built by the same definition.
    Start,
    /// It is what runs.
    Unchanged,
    /// Same version and definition: swapped in at a commit boundary.
    Reload,
    /// It may not run; what runs goes on.
    Refused { error: String, hint: &'static str },
}

/// A module as far as a verdict depends on it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Module<'a> {
    pub(super) file: &'a str,
    pub(super) definition: &'a Definition,
    pub(super) digest: &'a str,
}

impl<'a> Module<'a> {
    pub(super) fn new(file: &'a str, module: &'a GuestModule) -> Self {
        Self {
            file,
            definition: &module.definition,
            digest: &module.digest,
        }
    }
}

/// Compares a module with the one that runs under its name.
pub(super) fn beside(new: Module<'_>, running: Module<'_>) -> Verdict {
    if new.file != running.file {
        return Verdict::Refused {
            error: format!(
                "projection {} already runs from {}",
                new.definition.name, running.file
            ),
            hint: "remove one of the two files, or give one projection another name",
        };
    }
    if new.digest == running.digest {
        return Verdict::Unchanged;
    }
    refusal(new.definition, running.definition).unwrap_or(Verdict::Reload)
}

/// Compares a module with the definition its read model was built by, where there is one.
pub(super) fn at_start(new: Module<'_>, stored: Option<&Definition>) -> Verdict {
    stored
        .and_then(|stored| refusal(new.definition, stored))
        .unwrap_or(Verdict::Start)
}

/// Why `new` cannot go on with a read model that `live` built; none if it can.
fn refusal(new: &Definition, live: &Definition) -> Option<Verdict> {
    let differences = new.differences(live);
    if differences.is_empty() {
        return None;
    }
    let hint = if new.version == live.version {
        "put the old definition back, or count the version up"
    } else {
        "a module is only reloaded within its version; to change the version, stop the host and move this \
         projection's data folder away: it is then built from the stream's beginning"
    };
    let differences = differences.join("; ");
    Some(Verdict::Refused {
        error: format!("{} does not fit its read model: {differences}", new.name),
        hint,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::definition::{Column, ColumnType, EventKey, Table};

    fn definition(version: u32, column: &str) -> Definition {
        let column = Column {
            name: column.into(),
            ty: ColumnType::Text,
            nullable: false,
        };
        let table = Table {
            name: "orders".into(),
            columns: vec![column],
            key: vec![0],
            indexes: vec![],
        };
        Definition {
            name: "order-summary".into(),
            version,
            subjects: vec!["orders.>".into()],
            key: EventKey::None,
            tables: vec![table],
        }
    }

    fn module<'a>(file: &'a str, definition: &'a Definition, digest: &'a str) -> Module<'a> {
        Module {
            file,
            definition,
            digest,
        }
    }

    /// The refusal's text.
    fn refused(verdict: Verdict) -> String {
        match verdict {
            Verdict::Refused { error, .. } => error,
            other => panic!("expected a refusal, got {other:?}"),
        }
    }

    #[test]
    fn same_version_and_definition_is_a_reload_and_the_same_digest_is_nothing() {
        let one = definition(1, "id");
        let running = module("a.wasm", &one, "d1");
        assert_eq!(
            beside(module("a.wasm", &one, "d2"), running),
            Verdict::Reload
        );
        assert_eq!(beside(running, running), Verdict::Unchanged);
    }

    #[test]
    fn other_versions_and_definitions_are_refused_with_the_difference() {
        let (one, two, other) = (
            definition(1, "id"),
            definition(2, "id"),
            definition(1, "key"),
        );
        let running = module("a.wasm", &one, "d1");
        let higher = refused(beside(module("a.wasm", &two, "d2"), running));
        assert!(higher.contains("version is 2, not 1"), "{higher}");
        let differs = refused(beside(module("a.wasm", &other, "d2"), running));
        assert!(differs.contains("table orders: column key"), "{differs}");
    }

    #[test]
    fn a_name_belongs_to_the_file_that_runs_it() {
        let one = definition(1, "id");
        let verdict = beside(module("b.wasm", &one, "d1"), module("a.wasm", &one, "d1"));
        assert!(refused(verdict).contains("already runs from a.wasm"));
    }

    #[test]
    fn a_read_model_is_only_continued_by_its_own_definition() {
        let (one, two) = (definition(1, "id"), definition(2, "id"));
        assert_eq!(at_start(module("a.wasm", &one, "d1"), None), Verdict::Start);
        assert_eq!(
            at_start(module("a.wasm", &one, "d1"), Some(&one)),
            Verdict::Start
        );
        refused(at_start(module("a.wasm", &one, "d1"), Some(&two)));
    }
}

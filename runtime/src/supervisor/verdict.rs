//! What a module file means for the projection of its name. Decided before anything changes.

use crate::catalog::GenerationRecord;
use crate::definition::Definition;
use crate::guest::GuestModule;

/// What becomes of a module file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// There is no read model yet: one is begun, and served from the start.
    Start,
    /// It is what runs.
    Unchanged,
    /// It was taken back: nothing is built of it before another module has lain in its file.
    Declined,
    /// It is what ran before something else was being built: that is given up.
    Withdraw,
    /// Same version and definition: swapped in at a commit boundary.
    Reload,
    /// A read model of its own is built beside the live one.
    Rebuild,
    /// It may not run; what runs goes on.
    Refused { error: String, hint: String },
}

/// A module as far as a verdict depends on it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Module<'a> {
    pub(super) definition: &'a Definition,
    pub(super) digest: &'a str,
}

impl<'a> Module<'a> {
    pub(super) fn new(module: &'a GuestModule) -> Self {
        Self {
            definition: &module.definition,
            digest: &module.digest,
        }
    }

    pub(super) fn of(record: &'a GenerationRecord) -> Self {
        Self {
            definition: &record.definition,
            digest: &record.digest,
        }
    }
}

/// The generations that a projection has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Present<'a> {
    pub(super) live: Module<'a>,
    /// Building, or failed.
    pub(super) built: Option<Module<'a>>,
    pub(super) standby: Option<Module<'a>>,
    /// Digest of the module that was taken back.
    pub(super) declined: Option<&'a str>,
}

/// Compares a module with what is there under its name.
pub(super) fn of(new: Module<'_>, present: Present<'_>) -> Verdict {
    let live = present.live;
    let is = |other: Option<Module<'_>>| other.is_some_and(|other| other.digest == new.digest);
    // What is built of the live version itself, an operator has asked for: the file is about the live one.
    let is_later = |built: &Module<'_>| built.definition.version > live.definition.version;
    let deployed = present.built.filter(is_later);
    if is(deployed) {
        return Verdict::Unchanged;
    }
    if new.digest == live.digest {
        return match deployed {
            Some(_) => Verdict::Withdraw,
            None => Verdict::Unchanged,
        };
    }
    match of_another(new, &present) {
        Verdict::Rebuild | Verdict::Reload if present.declined == Some(new.digest) => {
            Verdict::Declined
        }
        verdict => verdict,
    }
}

/// The same of a module that nothing runs.
fn of_another(new: Module<'_>, present: &Present<'_>) -> Verdict {
    let live = present.live;
    if new.definition.version > live.definition.version {
        return Verdict::Rebuild;
    }
    let differences = new.definition.differences(live.definition);
    if differences.is_empty() {
        return Verdict::Reload;
    }
    refused(new.definition, present, &differences.join("; "))
}

fn refused(new: &Definition, present: &Present<'_>, differences: &str) -> Verdict {
    let (name, live) = (&new.name, present.live.definition.version);
    let on_standby = present.standby.map(|standby| standby.definition.version);
    let hint = if new.version == live {
        "put the old definition back, or count the version up: it is then built beside the live one"
            .to_owned()
    } else if on_standby == Some(new.version) {
        format!(
            "version {} is on standby: `foldline rollback {name}` makes it live again",
            new.version
        )
    } else {
        format!(
            "a live version is only followed by a higher one; `foldline rollback {name}` goes back to the generation on \
             standby, if there is one"
        )
    };
    let error = format!("{name} does not fit its read model: {differences}");
    Verdict::Refused { error, hint }
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

    fn module<'a>(definition: &'a Definition, digest: &'a str) -> Module<'a> {
        Module { definition, digest }
    }

    fn alone(live: Module<'_>) -> Present<'_> {
        Present {
            live,
            built: None,
            standby: None,
            declined: None,
        }
    }

    /// The refusal's text and hint.
    fn refused(verdict: Verdict) -> String {
        match verdict {
            Verdict::Refused { error, hint } => format!("{error} {hint}"),
            other => panic!("expected a refusal, got {other:?}"),
        }
    }

    #[test]
    fn same_version_and_definition_is_a_reload_and_the_same_digest_is_nothing() {
        let one = definition(1, "id");
        let present = alone(module(&one, "d1"));
        assert_eq!(of(module(&one, "d2"), present), Verdict::Reload);
        assert_eq!(of(module(&one, "d1"), present), Verdict::Unchanged);
    }

    #[test]
    fn a_higher_version_is_built_whatever_its_definition() {
        let (one, two, three) = (
            definition(1, "id"),
            definition(2, "id"),
            definition(3, "key"),
        );
        let present = alone(module(&one, "d1"));
        assert_eq!(of(module(&two, "d2"), present), Verdict::Rebuild);
        assert_eq!(of(module(&three, "d3"), present), Verdict::Rebuild);
        let present = Present {
            built: Some(module(&two, "d2")),
            ..present
        };
        assert_eq!(of(module(&two, "d2"), present), Verdict::Unchanged);
        assert_eq!(of(module(&two, "d4"), present), Verdict::Rebuild);
        assert_eq!(of(module(&three, "d3"), present), Verdict::Rebuild);
        assert_eq!(of(module(&one, "d1"), present), Verdict::Withdraw);
    }

    #[test]
    fn what_was_taken_back_stays_away_until_another_module_was_there() {
        let (one, two) = (definition(1, "id"), definition(2, "id"));
        let standby = Some(module(&two, "d2"));
        for standby in [standby, None] {
            let rolled_back = Present {
                standby,
                declined: Some("d2"),
                ..alone(module(&one, "d1"))
            };
            assert_eq!(of(module(&two, "d2"), rolled_back), Verdict::Declined);
            assert_eq!(of(module(&two, "d3"), rolled_back), Verdict::Rebuild);
            let deployed_again = Present {
                declined: None,
                ..rolled_back
            };
            assert_eq!(of(module(&two, "d2"), deployed_again), Verdict::Rebuild);
        }
    }

    #[test]
    fn a_hotfix_that_was_taken_back_is_not_swapped_into_the_older_generation() {
        let one = definition(1, "id");
        let rolled_back = Present {
            declined: Some("hotfix"),
            ..alone(module(&one, "d1"))
        };
        assert_eq!(of(module(&one, "hotfix"), rolled_back), Verdict::Declined);
        assert_eq!(of(module(&one, "d2"), rolled_back), Verdict::Reload);
    }

    #[test]
    fn what_could_not_come_back_anyway_is_refused_for_that_reason() {
        let (one, two) = (definition(1, "id"), definition(2, "id"));
        let rolled_forward = Present {
            standby: Some(module(&one, "d1")),
            declined: Some("d1"),
            ..alone(module(&two, "d2"))
        };
        let lower = refused(of(module(&one, "d1"), rolled_forward));
        assert!(lower.contains("version 1 is on standby"), "{lower}");
    }

    #[test]
    fn a_rebuild_of_the_live_module_is_not_withdrawn_by_its_own_file() {
        let one = definition(1, "id");
        let rebuilding = Present {
            built: Some(module(&one, "d1")),
            ..alone(module(&one, "d1"))
        };
        assert_eq!(of(module(&one, "d1"), rebuilding), Verdict::Unchanged);
    }

    #[test]
    fn a_module_that_was_built_again_comes_back_after_another_one() {
        let one = definition(1, "id");
        let rebuilt_then_reloaded = Present {
            built: Some(module(&one, "d1")),
            ..alone(module(&one, "d2"))
        };
        let back = of(module(&one, "d1"), rebuilt_then_reloaded);
        assert_eq!(back, Verdict::Reload);
    }

    #[test]
    fn other_definitions_and_lower_versions_are_refused_with_the_difference() {
        let (one, two, other) = (
            definition(1, "id"),
            definition(2, "id"),
            definition(1, "key"),
        );
        let differs = refused(of(module(&other, "d2"), alone(module(&one, "d1"))));
        assert!(differs.contains("table orders: column key"), "{differs}");
        assert!(differs.contains("count the version up"), "{differs}");
        let promoted = alone(module(&two, "d2"));
        let lower = refused(of(module(&one, "d1"), promoted));
        assert!(lower.contains("version is 1, not 2"), "{lower}");
        assert!(lower.contains("foldline rollback"), "{lower}");
        let promoted = Present {
            standby: Some(module(&one, "d1")),
            ..promoted
        };
        for digest in ["d1", "d3"] {
            let lower = refused(of(module(&one, digest), promoted));
            assert!(lower.contains("version 1 is on standby"), "{lower}");
        }
    }
}

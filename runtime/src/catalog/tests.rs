//! What holds of the catalog whatever happens in which order.

use super::*;
use crate::definition::Definition;
use crate::projection::Problem;
use crate::source::LostEvents;
use crate::store::sqlite::reader::fixture;

const NAME: &str = "order-summary";

struct Folder {
    folder: tempfile::TempDir,
    catalog: Catalog,
}

impl Folder {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(folder.path()).unwrap();
        catalog.set_module_file(NAME, "a.wasm").unwrap();
        Self { folder, catalog }
    }

    fn add(&self, version: u32, state: GenerationState) -> u32 {
        let definition = Definition {
            version,
            ..fixture::definition()
        };
        let new = NewGeneration {
            definition: &definition,
            digest: &format!("digest-{version}"),
            file: &format!("{NAME}/v{version}.db"),
            state,
            purpose: Purpose::Promote,
            started_from: (version == 3).then_some(7),
            incident: None,
        };
        self.catalog.add(&new).unwrap()
    }

    fn declined(&self) -> Option<String> {
        let projection = self.catalog.projection(NAME).unwrap();
        projection.unwrap().declined
    }

    /// `5-9 accepted, 12-12` …
    fn losses(&self, number: u32) -> String {
        let losses = self.catalog.losses(NAME, number).unwrap();
        let said = losses.iter().map(|known| {
            let accepted = if known.accepted { " accepted" } else { "" };
            format!("{}-{}{accepted}", known.lost.first, known.lost.last)
        });
        said.collect::<Vec<_>>().join(", ")
    }

    /// `1 live, 2 building` …, as another start of the host finds it.
    fn states(&mut self) -> String {
        self.catalog = Catalog::open(self.folder.path()).unwrap();
        let projection = self.catalog.projection(NAME).unwrap().unwrap();
        let states = projection.generations.iter();
        let states: Vec<_> = states
            .map(|one| format!("{} {}", one.number, one.state))
            .collect();
        states.join(", ")
    }
}

fn lost((first, last): (u64, u64)) -> LostEvents {
    LostEvents { first, last }
}

fn problem() -> Problem {
    Problem {
        code: "poison_event".into(),
        error: "event 12 failed".into(),
        hint: None,
        lost: None,
        event: None,
        at: "2026-01-01T00:00:00Z".into(),
    }
}

#[test]
fn each_promotion_leaves_one_live_and_one_standby_generation() {
    let mut folder = Folder::new();
    assert_eq!(folder.add(1, GenerationState::Live), 1);
    assert_eq!(folder.add(2, GenerationState::Building), 2);
    assert_eq!(folder.states(), "1 live, 2 building");
    folder.catalog.make_live(NAME, 2, true, None).unwrap();
    assert_eq!(folder.states(), "1 standby, 2 live");
    folder.catalog.make_live(NAME, 1, true, None).unwrap();
    assert_eq!(folder.states(), "1 live, 2 standby");
    folder.add(3, GenerationState::Building);
    folder.catalog.make_live(NAME, 3, true, None).unwrap();
    assert_eq!(folder.states(), "1 standby, 3 live");
    folder.add(4, GenerationState::Building);
    folder.catalog.make_live(NAME, 4, false, None).unwrap();
    assert_eq!(folder.states(), "4 live");
}

#[test]
fn what_is_built_next_replaces_what_was_building_or_has_failed() {
    let mut folder = Folder::new();
    folder.add(1, GenerationState::Live);
    folder.add(2, GenerationState::Building);
    folder.add(3, GenerationState::Building);
    assert_eq!(folder.states(), "1 live, 3 building");
    let failure = problem();
    folder.catalog.fail(NAME, 3, &failure).unwrap();
    assert_eq!(folder.states(), "1 live, 3 failed");
    let failed = folder
        .catalog
        .projection(NAME)
        .unwrap()
        .unwrap()
        .generations
        .remove(1);
    assert_eq!(failed.failure.as_ref(), Some(&failure));
    assert_eq!(failed.started_from, Some(7));
    assert_eq!(folder.add(4, GenerationState::Building), 4);
    assert_eq!(folder.states(), "1 live, 4 building");
    // The live one is not retired or failed by mistake.
    folder.catalog.retire(NAME, 1).unwrap();
    folder.catalog.fail(NAME, 1, &failure).unwrap();
    assert_eq!(folder.states(), "1 live, 4 building");
}

#[test]
fn who_rolls_back_does_not_get_the_version_back_that_is_being_built_again() {
    let mut folder = Folder::new();
    folder.add(1, GenerationState::Live);
    folder.add(2, GenerationState::Building);
    folder.catalog.make_live(NAME, 2, true, None).unwrap();
    folder.add(2, GenerationState::Building);
    assert_eq!(folder.states(), "1 standby, 2 live, 3 building");
    folder.catalog.make_live(NAME, 1, true, None).unwrap();
    assert_eq!(folder.states(), "1 live, 2 standby");
    // Another version is what somebody waits for.
    folder.add(3, GenerationState::Building);
    folder.catalog.make_live(NAME, 2, true, None).unwrap();
    assert_eq!(folder.states(), "1 standby, 2 live, 4 building");
}

#[test]
fn files_of_retired_generations_are_to_be_deleted_until_they_are() {
    let folder = Folder::new();
    folder.add(1, GenerationState::Live);
    for version in 2..40 {
        folder.add(version, GenerationState::Building);
    }
    let files = folder.catalog.files_to_delete().unwrap();
    assert_eq!(files.len(), 37);
    assert_eq!(files[0], (NAME.into(), 2, format!("{NAME}/v2.db")));
    assert!(folder.catalog.is_file_taken(&files[0].2).unwrap());
    for (projection, number, _) in files {
        folder.catalog.file_deleted(&projection, number).unwrap();
    }
    assert!(folder.catalog.files_to_delete().unwrap().is_empty());
    assert!(folder.catalog.retired(NAME).unwrap().len() <= 20);
}

#[test]
fn a_pause_and_a_module_are_kept() {
    let mut folder = Folder::new();
    let catalog = &folder.catalog;
    catalog.pause(NAME, true).unwrap();
    catalog
        .store_module(NAME, "d1", "a.wasm", b"bytes")
        .unwrap();
    folder.states();
    let catalog = &folder.catalog;
    let projection = catalog.projection(NAME).unwrap().unwrap();
    assert!(projection.paused);
    assert_eq!(projection.file.as_deref(), Some("a.wasm"));
    assert_eq!(catalog.module("d1").unwrap(), b"bytes");
    let missing = catalog.module("d2").unwrap_err();
    assert!(missing.to_string().contains("d2"), "{missing}");
    catalog.remove(NAME).unwrap();
    assert_eq!(catalog.projection(NAME).unwrap(), None);
}

#[test]
fn modules_that_nothing_needs_are_not_kept_for_ever() {
    let folder = Folder::new();
    folder.add(1, GenerationState::Live);
    let store = |digest: &str| folder.catalog.store_module(NAME, digest, "a.wasm", b"");
    store("digest-1").unwrap();
    for number in 0..60 {
        store(&format!("reload-{number}")).unwrap();
    }
    folder.catalog.module("digest-1").unwrap();
    folder.catalog.module("reload-59").unwrap();
    folder.catalog.module("reload-0").unwrap_err();
}

/// What the crash sweep takes for granted.
#[test]
fn every_commit_is_on_the_disk_before_it_is_reported() {
    let folder = Folder::new();
    let setting = |name: &str| -> i64 {
        let work =
            |connection: &Connection| connection.pragma_query_value(None, name, |row| row.get(0));
        folder.catalog.read(work).unwrap()
    };
    // FULL is 2.
    assert_eq!(setting("synchronous"), 2);
}

#[test]
fn a_catalog_whose_file_was_deleted_or_replaced_is_written_again_as_it_was() {
    let mut folder = Folder::new();
    folder.add(1, GenerationState::Live);
    assert!(!folder.catalog.keep_in_place().unwrap());
    let file = folder.folder.path().join(FILE);
    std::fs::remove_file(&file).unwrap();
    assert!(folder.catalog.keep_in_place().unwrap());
    assert!(!folder.catalog.keep_in_place().unwrap());
    folder.add(2, GenerationState::Building);
    let other = folder.folder.path().join("other");
    std::fs::write(&other, "another file").unwrap();
    std::fs::rename(other, &file).unwrap();
    assert!(folder.catalog.keep_in_place().unwrap());
    let found = std::fs::read_to_string(folder.folder.path().join("catalog.db.found"));
    assert_eq!(found.unwrap(), "another file");
    folder.add(3, GenerationState::Building);
    assert_eq!(folder.states(), "1 live, 3 building");
}

#[test]
fn a_damaged_catalog_is_named_with_what_to_do() {
    for damage in [0..100_usize, 4096..8192] {
        let folder = Folder::new();
        folder.add(1, GenerationState::Live);
        let Folder { folder, catalog } = folder;
        drop(catalog);
        let file = folder.path().join(FILE);
        let mut bytes = std::fs::read(&file).unwrap();
        bytes[damage].fill(0xAA);
        std::fs::write(&file, bytes).unwrap();
        let error = Catalog::open(folder.path()).unwrap_err();
        assert!(matches!(error, CatalogError::Damaged { .. }), "{error:?}");
        assert!(
            error.to_string().contains("catalog.db is damaged"),
            "{error}"
        );
        assert!(error.hint().contains("move it away"));
    }
}

#[test]
fn a_catalog_of_format_2_that_was_rolled_back_says_so_in_format_3() {
    for (rolled_back, declined) in [(false, None), (true, Some("digest-2"))] {
        let mut folder = Folder::new();
        folder.add(1, GenerationState::Live);
        folder.add(2, GenerationState::Building);
        folder.catalog.make_live(NAME, 2, true, None).unwrap();
        if rolled_back {
            folder.catalog.make_live(NAME, 1, true, None).unwrap();
        }
        let old = |connection: &Connection| {
            connection.execute_batch(
                "ALTER TABLE projections DROP COLUMN declined; PRAGMA user_version = 2;",
            )
        };
        folder.catalog.read(old).unwrap();
        folder.states();
        assert_eq!(folder.declined().as_deref(), declined);
    }
}

#[test]
fn what_is_declined_stays_so_until_the_next_word() {
    let mut folder = Folder::new();
    folder.add(1, GenerationState::Live);
    folder.add(2, GenerationState::Building);
    folder.catalog.make_live(NAME, 2, true, None).unwrap();
    assert_eq!(folder.declined(), None);
    let declined = Some("digest-2");
    folder.catalog.make_live(NAME, 1, true, declined).unwrap();
    // Over a restart and another generation, which takes the standby's place.
    folder.add(1, GenerationState::Building);
    folder.catalog.make_live(NAME, 3, true, declined).unwrap();
    assert_eq!(folder.states(), "1 standby, 3 live");
    assert_eq!(folder.declined().as_deref(), declined);
    folder.catalog.decline(NAME, None).unwrap();
    assert_eq!(folder.declined(), None);
}

#[test]
fn a_later_version_that_makes_way_for_the_live_one_is_declined() {
    let mut folder = Folder::new();
    folder.add(1, GenerationState::Live);
    folder.add(2, GenerationState::Building);
    folder.add(3, GenerationState::Building);
    assert_eq!(folder.declined(), None);
    folder.catalog.fail(NAME, 3, &problem()).unwrap();
    folder.add(1, GenerationState::Building);
    assert_eq!(folder.states(), "1 live, 4 building");
    assert_eq!(folder.declined().as_deref(), Some("digest-3"));
}

#[test]
fn a_catalog_of_format_1_is_brought_up() {
    let mut folder = Folder::new();
    folder.add(1, GenerationState::Live);
    let old = |connection: &Connection| {
        connection.execute_batch(
            "ALTER TABLE generations DROP COLUMN made; ALTER TABLE generations DROP COLUMN incident;
             ALTER TABLE projections DROP COLUMN declined; PRAGMA user_version = 1;",
        )
    };
    folder.catalog.read(old).unwrap();
    assert_eq!(folder.states(), "1 live");
    let history = |folder: &Folder| folder.catalog.file_history(NAME, 1).unwrap();
    assert_eq!(history(&folder), FileHistory::default());
    folder.catalog.file_opened(NAME, 1).unwrap();
    assert!(history(&folder).made);
}

#[test]
fn a_file_is_damaged_until_it_was_opened_and_keeps_its_place_in_life() {
    let mut folder = Folder::new();
    folder.add(1, GenerationState::Live);
    folder.catalog.file_opened(NAME, 1).unwrap();
    folder.catalog.file_damaged(NAME, 1, &problem()).unwrap();
    assert_eq!(folder.states(), "1 live");
    let history = folder.catalog.file_history(NAME, 1).unwrap();
    assert!(history.made && history.damaged);
    folder.catalog.file_opened(NAME, 1).unwrap();
    assert!(!folder.catalog.file_history(NAME, 1).unwrap().damaged);
}

#[test]
fn an_incident_is_answered_once_however_it_is_worded_and_whatever_became_of_the_answer() {
    let folder = Folder::new();
    folder.add(1, GenerationState::Live);
    let incident = |checkpoint| Incident {
        generation: 1,
        checkpoint,
        problem: problem(),
    };
    let is_answered = |checkpoint| {
        let known = folder.catalog.is_answered(NAME, &incident(checkpoint));
        known.unwrap()
    };
    assert!(!is_answered(500));
    let definition = fixture::definition();
    let new = NewGeneration {
        definition: &definition,
        digest: "digest",
        file: "file",
        state: GenerationState::Building,
        purpose: Purpose::Promote,
        started_from: None,
        incident: Some(&incident(500)),
    };
    let number = folder.catalog.add(&new).unwrap();
    assert!(is_answered(500) && !is_answered(600));
    folder.catalog.retire(NAME, number).unwrap();
    assert!(is_answered(500));
}

#[test]
fn the_losses_that_a_generation_has_found_are_kept_as_long_as_that() {
    let mut folder = Folder::new();
    folder.add(1, GenerationState::Live);
    folder.add(2, GenerationState::Building);
    let old = |connection: &Connection| {
        connection.execute_batch("DROP TABLE losses; PRAGMA user_version = 4;")
    };
    folder.catalog.read(old).unwrap();
    folder.states();
    for one in [(12, 12), (5, 7), (5, 9)] {
        folder.catalog.add_loss(NAME, 2, lost(one)).unwrap();
    }
    folder.states();
    assert_eq!(folder.losses(2), "5-9, 12-12");
    assert_eq!(folder.losses(1), "");
    folder.catalog.remove_loss(NAME, 2, 5).unwrap();
    assert_eq!(folder.losses(2), "12-12");
    for one in 20..200 {
        folder.catalog.add_loss(NAME, 2, lost((one, one))).unwrap();
    }
    let last_hundred: Vec<_> = (100..200).map(|one| format!("{one}-{one}")).collect();
    assert_eq!(folder.losses(2), last_hundred.join(", "));
    folder.catalog.remove(NAME).unwrap();
    assert_eq!(folder.losses(2), "");
}

#[test]
fn a_new_generation_knows_what_the_live_one_knows_to_be_lost() {
    let mut folder = Folder::new();
    folder.add(1, GenerationState::Live);
    let old = |connection: &Connection| {
        connection
            .execute_batch("ALTER TABLE losses DROP COLUMN accepted; PRAGMA user_version = 5;")
    };
    folder.catalog.read(old).unwrap();
    folder.states();
    folder.catalog.add_loss(NAME, 1, lost((5, 9))).unwrap();
    folder.catalog.accept_loss(NAME, 1, lost((5, 9))).unwrap();
    // Found again, it stays accepted.
    folder.catalog.add_loss(NAME, 1, lost((5, 9))).unwrap();
    folder.catalog.add_loss(NAME, 1, lost((12, 12))).unwrap();
    folder.add(2, GenerationState::Building);
    assert_eq!(folder.losses(2), "5-9 accepted, 12-12");
    // What it finds itself is its own, and a larger loss is another one.
    folder.catalog.add_loss(NAME, 2, lost((5, 10))).unwrap();
    assert_eq!(folder.losses(2), "5-10, 12-12");
    assert_eq!(folder.losses(1), "5-9 accepted, 12-12");
    // Nor does it know of what lies before its start.
    folder.catalog.add_loss(NAME, 1, lost((2, 3))).unwrap();
    assert_eq!(folder.add(3, GenerationState::Building), 3);
    assert_eq!(folder.losses(3), "5-9 accepted, 12-12");
}

#[test]
fn a_catalog_of_another_format_is_refused() {
    let folder = Folder::new();
    let work = |connection: &Connection| connection.pragma_update(None, "user_version", 9);
    folder.catalog.read(work).unwrap();
    let refused = Catalog::open(folder.folder.path()).unwrap_err();
    assert!(refused.to_string().contains("format 9"), "{refused}");
}

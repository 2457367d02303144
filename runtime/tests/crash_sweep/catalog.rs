//! The life of a catalog, and what it must say after each step of it.

use std::ops::RangeInclusive;
use std::path::Path;

use foldline::catalog::{
    Catalog, GenerationRecord, GenerationState, NewGeneration, ProjectionRecord, Purpose,
};
use foldline::definition::Definition;
use foldline::event::EventRef;
use foldline::projection::Problem;
use rusqlite::Connection;

use crate::disk::Disk;
use crate::read_model;
use crate::recorder::{Recorder, Recording};

const NAME: &str = "swept";

/// Larger than a page, as modules are.
static MODULE: [u8; 20_000] = [7; 20_000];

/// Everything a catalog says.
#[derive(Debug, PartialEq)]
pub(crate) struct State {
    projections: Vec<ProjectionRecord>,
    retired: Vec<GenerationRecord>,
    to_delete: Vec<(String, u32, String)>,
    modules: Vec<bool>,
    discards: Vec<EventRef>,
}

fn state(catalog: &Catalog) -> State {
    let discards = catalog.discards(NAME, 0, 9).unwrap().into_iter();
    State {
        discards: discards.map(|one| one.event).collect(),
        projections: catalog.projections().unwrap(),
        retired: catalog.retired(NAME).unwrap(),
        to_delete: catalog.files_to_delete().unwrap(),
        modules: (0..6)
            .map(|version| {
                catalog
                    .module(&digest(version))
                    .is_ok_and(|bytes| bytes == MODULE)
            })
            .collect(),
    }
}

fn digest(version: u32) -> String {
    format!("digest-{version}")
}

fn add(catalog: &Catalog, version: u32, state: GenerationState) {
    let definition = Definition {
        version,
        ..read_model::definition()
    };
    let new = NewGeneration {
        definition: &definition,
        digest: &digest(version),
        file: &format!("{NAME}/v{version}.db"),
        state,
        purpose: Purpose::Promote,
        started_from: None,
        incident: None,
    };
    catalog.add(&new).unwrap();
}

fn store(catalog: &Catalog, version: u32) {
    let digest = digest(version);
    catalog
        .store_module(NAME, &digest, "swept.wasm", &MODULE)
        .unwrap();
}

fn failure() -> Problem {
    Problem {
        code: "poison_event".into(),
        error: "event 12 failed".into(),
        hint: None,
        lost: None,
        event: None,
        at: "2026-01-01T00:00:00Z".into(),
    }
}

fn event() -> EventRef {
    EventRef {
        sequence: 12,
        time: "2026-01-01T00:00:00Z".into(),
        subject: "orders.o-1.OrderPlaced".into(),
    }
}

type Work = fn(&Catalog);

/// A projection from its first generation to its end: deployments, promotions, rollbacks.
const LIFE: [Work; 25] = [
    |catalog| catalog.set_module_file(NAME, "swept.wasm").unwrap(),
    |catalog| store(catalog, 1),
    |catalog| add(catalog, 1, GenerationState::Live),
    |catalog| catalog.pause(NAME, true).unwrap(),
    |catalog| catalog.pause(NAME, false).unwrap(),
    |catalog| store(catalog, 2),
    |catalog| add(catalog, 2, GenerationState::Building),
    |catalog| catalog.replayed(NAME, 2, 1_000.0).unwrap(),
    // Promoted, rolled back, and again.
    |catalog| catalog.make_live(NAME, 2, true, None).unwrap(),
    |catalog| catalog.make_live(NAME, 1, true, Some(&digest(2))).unwrap(),
    |catalog| catalog.make_live(NAME, 2, true, None).unwrap(),
    |catalog| add(catalog, 2, GenerationState::Building),
    |catalog| catalog.make_live(NAME, 1, true, None).unwrap(),
    |catalog| add(catalog, 3, GenerationState::Building),
    |catalog| catalog.fail(NAME, 4, &failure()).unwrap(),
    |catalog| add(catalog, 4, GenerationState::Building),
    |catalog| catalog.make_live(NAME, 5, false, None).unwrap(),
    |catalog| catalog.file_deleted(NAME, 1).unwrap(),
    |catalog| catalog.file_deleted(NAME, 2).unwrap(),
    |catalog| catalog.reload(NAME, 5, &digest(5)).unwrap(),
    |catalog| add(catalog, 5, GenerationState::Building),
    |catalog| catalog.retire(NAME, 6).unwrap(),
    |catalog| catalog.decline(NAME, Some(&digest(5))).unwrap(),
    |catalog| catalog.discard(NAME, &event()).unwrap(),
    |catalog| catalog.remove(NAME).unwrap(),
];

/// Records it. The log is copied into the database now and then, as SQLite does by itself when it is longer.
pub(crate) fn recorded(folder: &Path) -> (Vec<State>, Recording) {
    let path = folder.join("catalog.db");
    let connection = Connection::open(&path).unwrap();
    // The first page of the file. Until it is there the file is empty, and a journal beside it says so.
    connection
        .pragma_update(None, "journal_mode", "WAL")
        .unwrap();
    drop(connection);
    let mut recorder = Recorder::new(&path, true);
    let catalog = recorder.commit(|| Catalog::open(folder).unwrap());
    // It is made where there is none yet, so both are the same.
    let mut states = vec![state(&catalog), state(&catalog)];
    for (number, work) in LIFE.into_iter().enumerate() {
        recorder.commit(|| work(&catalog));
        states.push(state(&catalog));
        if number % 5 == 4 {
            let how = ["TRUNCATE", "RESTART"][number / 5 % 2];
            let other = Connection::open(&path).unwrap();
            other
                .query_row(&format!("PRAGMA wal_checkpoint({how})"), [], |_| Ok(()))
                .unwrap();
            recorder.look();
        }
    }
    drop(catalog);
    recorder.look();
    (states, recorder.end())
}

/// Puts a disk in this folder, opens the catalog on it, and says which of the states it is in.
pub(crate) fn check(
    folder: &Path,
    disk: &Disk,
    states: &[State],
    may_be: RangeInclusive<usize>,
) -> Result<usize, String> {
    disk.write(&folder.join("catalog.db"));
    let catalog = Catalog::open(folder).map_err(|e| format!("it does not open: {e}"))?;
    let found = state(&catalog);
    let mut candidates = may_be.clone().rev();
    let same = candidates.find(|&i| states[i] == found);
    same.ok_or_else(|| format!("it is in none of the states {may_be:?}: {found:?}"))
}

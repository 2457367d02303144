//! `scribe` with the same definition, mended: only `hopeless` events still fail.

use foldline_sdk::{Event, ReadModel, Result, projection};

#[path = "../../scribe/src/note.rs"]
mod note;

use note::Note;

#[projection(
    name = "scribe",
    version = 1,
    subjects = ["orders.>"],
    key = subject_token(1),
    tables = [Note]
)]
fn scribe(event: &Event, rows: &mut ReadModel) -> Result<()> {
    let payload = String::from_utf8_lossy(event.payload());
    note::note(event, &payload, rows)
}

//! Keeps, for each key, a number that tells in which order its events were applied. What an event's payload begins with
//! decides whether it fails: `reject` and `panic` do so until the module is mended (`scribe-mended`), `hopeless` always.

use foldline_sdk::{Event, ReadModel, Result, bail, projection};

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
    if payload.starts_with("reject") {
        bail!("{payload}");
    }
    if payload.starts_with("panic") {
        panic!("{payload}");
    }
    note::note(event, &payload, rows)
}

//! What `#[projection]` makes of a function.

use std::rc::Rc;

use crate::event::Batch;
use crate::{Definition, Event, ReadModel, Result};

/// A projection as a type, which the module's exports and the test kit are written for. The
/// attribute `#[projection]` writes it next to the function, under the function's name.
pub trait Projection {
    /// Name, version, subjects, key and tables.
    const DEFINITION: Definition;

    /// Applies one event.
    ///
    /// # Errors
    ///
    /// When the event cannot be applied.
    fn project(event: &Event, rows: &mut ReadModel) -> Result<()>;
}

/// The event of a batch that could not be applied, and why.
#[derive(Debug)]
pub(crate) struct Rejection {
    pub(crate) index: usize,
    pub(crate) reason: String,
}

/// Longest reason of a rejection, in characters. An error may quote a payload of any length.
const LONGEST_REASON: usize = 1_000;

/// Applies the events of a batch in order, up to the first that is rejected. `projecting` is told
/// each event before it is applied, and `None` at the end.
pub(crate) fn project_batch<P: Projection>(
    batch: &Rc<Batch>,
    rows: &mut ReadModel,
    projecting: impl Fn(Option<Event>),
) -> Result<(), Rejection> {
    let projected = (0..batch.len()).try_for_each(|index| {
        let event = Event::new(Rc::clone(batch), index);
        projecting(Some(event.clone()));
        P::project(&event, rows).map_err(|error| Rejection {
            index,
            reason: reason(&error),
        })
    });
    projecting(None);
    projected
}

/// The error with its causes.
fn reason(error: &crate::Error) -> String {
    let mut reason = format!("{error:#}");
    if let Some((end, _)) = reason.char_indices().nth(LONGEST_REASON) {
        reason.truncate(end);
        reason.push('…');
    }
    reason
}

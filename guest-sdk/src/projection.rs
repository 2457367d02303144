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

/// Applies the events of a batch in order, up to the first that is rejected. `projecting` is told
/// each event before it is applied, and `None` at the end.
pub(crate) fn project_batch<P: Projection>(
    batch: &Rc<Batch>,
    rows: &mut ReadModel,
    projecting: impl Fn(Option<Event>),
) -> Result<(), Rejection> {
    for index in 0..batch.len() {
        let event = Event::new(Rc::clone(batch), index);
        projecting(Some(event.clone()));
        P::project(&event, rows).map_err(|error| Rejection {
            index,
            reason: format!("{error:#}"),
        })?;
    }
    projecting(None);
    Ok(())
}

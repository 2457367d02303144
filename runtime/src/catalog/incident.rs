//! Why a generation was begun in the place of one that could not go on.

use serde::{Deserialize, Serialize};

use super::{Catalog, CatalogError};
use crate::event::Sequence;
use crate::projection::Problem;

/// What a generation had come to when another one was begun in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// Number of the generation that could not go on.
    pub generation: u32,
    /// Its checkpoint's sequence.
    pub checkpoint: Sequence,
    /// What was in its way.
    pub problem: Problem,
}

impl Incident {
    /// Whether it is about the same generation at the same place: however the problem is worded by now.
    fn is(&self, other: &Self) -> bool {
        (self.generation, self.checkpoint) == (other.generation, other.checkpoint)
    }
}

impl Catalog {
    /// Whether a generation was begun because of this incident, whatever has become of it.
    ///
    /// # Errors
    /// If the catalog cannot be read.
    pub fn is_answered(&self, projection: &str, incident: &Incident) -> Result<bool, CatalogError> {
        let current = self.projection(projection)?;
        let current = current.into_iter().flat_map(|found| found.generations);
        let mut all = current.chain(self.retired(projection)?);
        Ok(all.any(|generation| generation.incident.is_some_and(|known| known.is(incident))))
    }
}

//! What becomes of an event that a projection cannot apply: the strategies, and what may be set aside.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Deserialize;

use crate::catalog::{CatalogError, Discards};
use crate::definition::EventKey;
use crate::event::EventRef;

/// What becomes of an event that always fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnPoison {
    /// The projection stops at it, until another module comes.
    Fail,
    /// A dead letter is recorded, and the event passed over.
    Skip,
    /// A dead letter is recorded, and this and every later event of its key are held; other keys go on.
    Hold,
}

/// How much may be set aside in one generation. At a limit the generation stops, and nothing is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoisonLimits {
    /// Most dead letters.
    pub dead_letters: usize,
    /// Most bytes that a dead letter keeps of an event's payload, and of its headers.
    pub dead_letter_bytes: usize,
    /// Most held events.
    pub held_events: u64,
    /// Most bytes of held events.
    pub held_bytes: u64,
}

/// The strategies of one generation: another one while it is being built than later. Clones change together.
#[derive(Debug, Clone)]
pub struct PoisonPolicy {
    live: OnPoison,
    building: OnPoison,
    is_built: Arc<AtomicBool>,
    /// None where nobody could be told.
    discards: Option<Discards>,
    /// How much may be set aside.
    pub limits: PoisonLimits,
}

impl PoisonPolicy {
    /// `building` holds until [`Self::set_built`] says that the generation is built no longer.
    pub fn new(live: OnPoison, building: OnPoison, is_built: bool, limits: PoisonLimits) -> Self {
        Self {
            live,
            building,
            is_built: Arc::new(is_built.into()),
            discards: None,
            limits,
        }
    }

    /// The same, which remembers what is given up.
    pub fn remembering(self, discards: Discards) -> Self {
        Self {
            discards: Some(discards),
            ..self
        }
    }

    /// An event is given up by an operator.
    ///
    /// # Errors
    /// If that cannot be kept.
    pub fn discard(&self, event: &EventRef) -> Result<(), CatalogError> {
        let discards = self.discards.as_ref();
        discards.map_or(Ok(()), |discards| discards.add(event))
    }

    /// Whether an operator has given up an event, in this read model or in another one of the projection.
    ///
    /// # Errors
    /// If that cannot be looked up.
    pub fn was_discarded(&self, event: &EventRef) -> Result<bool, CatalogError> {
        let discards = self.discards.as_ref();
        discards.map_or(Ok(false), |discards| discards.has(event))
    }

    /// Says whether the generation is still being built.
    pub fn set_built(&self, is_built: bool) {
        self.is_built.store(is_built, Ordering::Relaxed);
    }

    /// Whether the generation is still being built.
    pub fn is_being_built(&self) -> bool {
        self.is_built.load(Ordering::Relaxed)
    }

    /// The strategy of a generation that is being built, or is no longer. Without an event key no event can be held
    /// behind another, so holding means stopping.
    pub fn strategy(&self, is_being_built: bool, key: &EventKey) -> OnPoison {
        let configured = match is_being_built {
            true => self.building,
            false => self.live,
        };
        match (configured, key) {
            (OnPoison::Hold, EventKey::None) => OnPoison::Fail,
            (configured, _) => configured,
        }
    }

    /// What somebody should know of it who deploys a projection with this key.
    pub fn warning(&self, key: &EventKey) -> Option<&'static str> {
        let asks = [self.live, self.building].contains(&OnPoison::Hold);
        (asks && *key == EventKey::None).then_some(
            "it has no event key, so it stops at an event that it cannot apply: nothing can be held by key",
        )
    }
}

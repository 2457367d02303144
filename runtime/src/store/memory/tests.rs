use super::*;
use crate::store::conformance::{ReadModel, conformance_suite};

impl ReadModel for MemoryReadModel {
    type Store = MemoryStore;

    fn create(definition: &Definition) -> Self {
        Self::new(definition)
    }

    fn open(&self) -> MemoryStore {
        MemoryStore::open(self)
    }
}

conformance_suite!(MemoryReadModel);

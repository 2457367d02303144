//! What a guest may ask of its read model, asked without a guest: the way in for fuzzing. Everything passes the
//! checks that what comes from a module passes.

use std::sync::Arc;

use crate::definition::Definition;
use crate::guest::bindings::{Rejection, log};
use crate::guest::instance::{GuestState, rejected};
use crate::guest::{GuestFault, GuestLimits};
use crate::session::Session;
use crate::store::{Checkpoint, ReadModelStore, StoreError};
use crate::value::{Packed, Row};

/// A guest's side of one read model.
pub struct GuestCalls(GuestState);

impl GuestCalls {
    /// Begins a first call over `store`; rows are kept in memory within `cache_bytes`.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub fn new(
        definition: Definition,
        limits: GuestLimits,
        store: Box<dyn ReadModelStore>,
        cache_bytes: usize,
    ) -> Result<Self, StoreError> {
        let session = Session::new(store, Arc::new(definition), cache_bytes)?;
        Ok(Self(GuestState::at_work(limits, session)))
    }

    /// The import `get`.
    ///
    /// # Errors
    /// Why the guest would be stopped.
    pub fn get(&mut self, table: u32, key: &[u8]) -> Result<Option<Packed>, GuestFault> {
        self.ask(table, key, |guest, key| {
            Ok(guest.read(table, key)?.map(Packed::checked))
        })
    }

    /// The import `find`.
    ///
    /// # Errors
    /// Why the guest would be stopped.
    pub fn find(
        &mut self,
        table: u32,
        index: u32,
        key: &[u8],
        limit: u32,
    ) -> Result<Vec<Row>, GuestFault> {
        self.ask(table, key, |guest, key| {
            guest.search(table, index, key, limit)
        })
    }

    /// The import `put`.
    ///
    /// # Errors
    /// Why the guest would be stopped.
    pub fn put(&mut self, table: u32, row: &[u8]) -> Result<(), GuestFault> {
        self.ask(table, row, |guest, row| guest.replace(table, row))
    }

    /// The import `delete`.
    ///
    /// # Errors
    /// Why the guest would be stopped.
    pub fn delete(&mut self, table: u32, key: &[u8]) -> Result<(), GuestFault> {
        self.ask(table, key, |guest, key| guest.remove(table, key))
    }

    /// The import `log.write`.
    ///
    /// # Errors
    /// Never.
    pub fn log(&mut self, message: String) -> wasmtime::Result<()> {
        log::Host::write(&mut self.0, log::Level::Debug, message)
    }

    /// The lines of this call that were kept.
    pub fn logged(&self) -> &[String] {
        self.0.logged()
    }

    /// What it means that `project` rejects event `index` of a batch of so many.
    pub fn reject(index: u32, reason: String, events: usize) -> GuestFault {
        rejected(Rejection { index, reason }, events)
    }

    /// The call succeeds and waits for its commit; the next one begins.
    pub fn begin_call(&mut self) {
        self.0.begin_call();
    }

    /// The call succeeds and is committed at `checkpoint`; the next one begins.
    ///
    /// # Errors
    /// If it cannot be committed.
    pub fn commit(&mut self, checkpoint: &Checkpoint) -> Result<(), GuestFault> {
        self.0.session()?.commit(checkpoint)?;
        self.0.begin_call();
        Ok(())
    }

    /// The call fails: what it asked for is forgotten; the next one begins.
    ///
    /// # Errors
    /// If the store cannot be restored.
    pub fn undo(&mut self) -> Result<(), GuestFault> {
        self.0.session()?.undo_call()?;
        self.0.begin_call();
        Ok(())
    }

    fn ask<T>(
        &mut self,
        table: u32,
        sent: &[u8],
        answer: impl FnOnce(&mut GuestState, &mut [u8]) -> Result<T, GuestFault>,
    ) -> Result<T, GuestFault> {
        self.0.admit(table, sent.len())?;
        answer(&mut self.0, &mut sent.to_vec())
    }
}

//! One running guest with the read model it may write to.

use std::sync::Arc;

use wasmtime::{AsContextMut, Store, Trap, WasmBacktrace};

use super::bindings::{Projection, Rejection, log};
use super::engine::TICK;
use super::limits::{GuestFault, GuestLimits, LOG_LINE_BYTES, MemoryMeter};
use super::load::GuestModule;
use crate::batch::Batch;
use crate::session::Session;

mod backtrace;

/// What the host keeps beside one instance.
pub struct GuestState {
    pub(super) limits: GuestLimits,
    pub(super) memory: MemoryMeter,
    /// None while the read model is out of reach.
    session: Option<Session>,
    /// Names the guest in the log: its projection's name, or its file before that is known.
    name: Arc<str>,
    /// What the guest sent last, kept for its memory: one row at most.
    pub(super) received: Vec<u8>,
    /// Searches of this call that found more than they were given.
    pub(super) cut_searches: usize,
    log_lines: usize,
    /// The lines of this call that were not dropped.
    logged: Vec<String>,
    last_error: Option<String>,
    backtrace: Option<String>,
}

/// What else is known of a call that failed.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// The lines that the guest logged, oldest first: at most `limits.log_lines_per_batch`.
    pub log: Vec<String>,
    /// Where in the module it failed, where that is known.
    pub backtrace: Option<String>,
}

impl GuestState {
    pub(super) fn new(name: Arc<str>, limits: GuestLimits) -> Self {
        Self {
            limits,
            memory: MemoryMeter::new(limits.memory_bytes),
            session: None,
            name,
            received: Vec::new(),
            cut_searches: 0,
            log_lines: 0,
            logged: Vec::new(),
            last_error: None,
            backtrace: None,
        }
    }

    pub(super) fn session(&mut self) -> Result<&mut Session, GuestFault> {
        self.session.as_mut().ok_or_else(|| {
            GuestFault::Misuse("the read model is out of reach during `describe`".into())
        })
    }

    /// A guest at work on `session`, for what asks in its place.
    pub(super) fn at_work(limits: GuestLimits, session: Session) -> Self {
        Self {
            session: Some(session),
            ..Self::new("test".into(), limits)
        }
    }

    /// The lines of this call that were not dropped.
    pub(super) fn logged(&self) -> &[String] {
        &self.logged
    }

    /// Counts from here: a new call of the guest begins.
    pub(super) fn begin_call(&mut self) {
        if self.log_lines > self.limits.log_lines {
            let dropped = self.log_lines - self.limits.log_lines;
            tracing::warn!(projection = %self.name, dropped, "log lines over the limit were dropped");
        }
        if self.cut_searches > 0 {
            let (finds, rows) = (self.cut_searches, self.limits.find_rows);
            tracing::warn!(
                projection = %self.name, finds,
                "a find asked for more than limits.find_rows and got the first {rows} rows only; there were more"
            );
        }
        (self.log_lines, self.cut_searches) = (0, 0);
        self.logged.clear();
        self.last_error = None;
        self.backtrace = None;
        self.memory.refused = None;
        if let Some(session) = &mut self.session {
            session.begin_call();
        }
    }
}

impl log::Host for GuestState {
    fn write(&mut self, level: log::Level, mut message: String) -> wasmtime::Result<()> {
        message.truncate(message.floor_char_boundary(LOG_LINE_BYTES));
        if matches!(level, log::Level::Error) {
            // A panic's text comes this way before the trap; it is kept even when lines are dropped.
            self.last_error = Some(message.clone());
        }
        self.log_lines += 1;
        if self.log_lines > self.limits.log_lines {
            return Ok(());
        }
        let projection = &*self.name;
        match level {
            log::Level::Debug => tracing::debug!(projection, "{message}"),
            log::Level::Info => tracing::info!(projection, "{message}"),
            log::Level::Warn => tracing::warn!(projection, "{message}"),
            log::Level::Error => tracing::error!(projection, "{message}"),
        }
        self.logged.push(message);
        Ok(())
    }
}

/// Starts a Wasm store for one guest: its limits hold from the first instruction on.
pub(super) fn confined(engine: &wasmtime::Engine, state: GuestState) -> Store<GuestState> {
    let mut store = Store::new(engine, state);
    store.limiter(|state| &mut state.memory);
    // Bounds what the host allocates for texts and lists of the guest before it has seen them.
    let sent = store.data().limits.sent_bytes();
    store.set_hostcall_fuel(sent);
    set_deadline(&mut store);
    store
}

/// Gives the guest the time of one call from now on.
pub(super) fn set_deadline(mut store: impl AsContextMut<Data = GuestState>) {
    let mut store = store.as_context_mut();
    let time = store.data().limits.call;
    let ticks = time.as_millis().div_ceil(TICK.as_millis());
    // One more, because the first tick may come at once.
    store.set_epoch_deadline(u64::try_from(ticks).unwrap_or(u64::MAX - 1) + 1);
}

/// How wasmtime says that a guest has sent more than it may.
const SENT_TOO_MUCH: &str = "fuel allocated for hostcalls";

/// What a failed call means.
pub(super) fn fault(store: &Store<GuestState>, error: wasmtime::Error) -> GuestFault {
    let state = store.data();
    if matches!(error.downcast_ref::<Trap>(), Some(Trap::Interrupt)) {
        let limit = state.limits.call;
        return GuestFault::Time { limit };
    }
    if let Some(wanted) = state.memory.refused {
        let limit = state.limits.memory_bytes;
        return GuestFault::Memory { wanted, limit };
    }
    // The type of this error is not public; a test sees when its text changes.
    if error.root_cause().to_string().contains(SENT_TOO_MUCH) {
        let limit = state.limits.sent_bytes();
        return GuestFault::Sent { limit };
    }
    error.downcast::<GuestFault>().unwrap_or_else(|error| {
        let reason = state.last_error.clone();
        GuestFault::Trap {
            reason: reason.unwrap_or_else(|| error.root_cause().to_string()),
        }
    })
}

/// A module ready to be called, with the read model it writes to.
pub struct GuestInstance {
    module: GuestModule,
    batches: usize,
    store: Store<GuestState>,
    guest: Projection,
}

impl GuestInstance {
    /// Starts an instance of `module` over `session`.
    ///
    /// # Errors
    /// If the module traps while it starts.
    pub fn new(
        module: GuestModule,
        limits: GuestLimits,
        session: Session,
    ) -> Result<Self, Box<GuestFault>> {
        let state = GuestState::new(module.definition.name.as_str().into(), limits);
        let mut store = confined(module.pre.engine(), state);
        match module.pre.instantiate(&mut store) {
            Ok(guest) => {
                store.data_mut().session = Some(session);
                Ok(Self {
                    module,
                    batches: 0,
                    store,
                    guest,
                })
            }
            Err(error) => Err(Box::new(fault(&store, error))),
        }
    }

    /// Folds the events into the read model. Nothing is committed.
    ///
    /// # Errors
    /// Why not. The instance must not be used again then, and what the call asked for must be undone in the
    /// session.
    pub fn project(&mut self, batch: &Batch) -> Result<(), GuestFault> {
        self.batches += 1;
        self.store.data_mut().begin_call();
        set_deadline(&mut self.store);
        match self.guest.call_project(&mut self.store, batch.into()) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(rejection)) => Err(rejected(rejection, batch.len())),
            Err(error) => {
                tracing::debug!(projection = %self.module.definition.name, "guest failed: {error:?}");
                let backtrace = error.downcast_ref::<WasmBacktrace>();
                self.store.data_mut().backtrace = backtrace.map(backtrace::shown);
                Err(fault(&self.store, error))
            }
        }
    }

    /// Whether it has projected as many batches as one instance may.
    pub fn is_worn(&self) -> bool {
        let limit = self.store.data().limits.batches;
        limit > 0 && self.batches >= limit
    }

    /// What else is known of the call that failed last.
    pub fn evidence(&mut self) -> Evidence {
        let state = self.store.data_mut();
        Evidence {
            log: std::mem::take(&mut state.logged),
            backtrace: state.backtrace.take(),
        }
    }

    /// The module it runs.
    pub fn module(&self) -> &GuestModule {
        &self.module
    }

    /// The read model it writes to.
    pub fn session(&mut self) -> &mut Session {
        match &mut self.store.data_mut().session {
            Some(session) => session,
            None => unreachable!("`new` put the session in and only `into_session` takes it out"),
        }
    }

    /// Ends the instance and gives the read model back.
    pub fn into_session(self) -> Session {
        match self.store.into_data().session {
            Some(session) => session,
            None => unreachable!("`new` put the session in and only this takes it out"),
        }
    }
}

pub(super) fn rejected(rejection: Rejection, events: usize) -> GuestFault {
    let index = rejection.index as usize;
    if index >= events {
        let text = format!("it rejected event number {index} of a batch of {events}");
        return GuestFault::Misuse(text);
    }
    GuestFault::Rejected {
        index,
        reason: shortened(rejection.reason),
    }
}

fn shortened(mut reason: String) -> String {
    reason.truncate(reason.floor_char_boundary(LOG_LINE_BYTES));
    reason
}

#[cfg(test)]
mod tests;

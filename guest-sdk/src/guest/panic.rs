//! A panic is a bare trap for the host, so the module says first what happened and at which event.

use std::cell::RefCell;
use std::panic::PanicHookInfo;
use std::sync::Once;

use super::log;
use crate::Event;

thread_local! {
    /// The event being projected, if any.
    static PROJECTING: RefCell<Option<Event>> = const { RefCell::new(None) };
}

/// Has panics reported from now on.
pub(super) fn report() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| std::panic::set_hook(Box::new(hook)));
}

/// Notes the event that a panic from now on is about.
pub(super) fn projecting(event: Option<Event>) {
    PROJECTING.set(event);
}

fn hook(panic: &PanicHookInfo<'_>) {
    let message = panic
        .payload_as_str()
        .unwrap_or("a panic without a message");
    let location = panic
        .location()
        .map(|at| format!(" at {at}"))
        .unwrap_or_default();
    let event = PROJECTING
        .take()
        .map(|event| event.place())
        .unwrap_or_default();
    log::error(&format!("panicked{location}: {message}{event}"));
}

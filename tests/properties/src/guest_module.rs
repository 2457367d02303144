//! A module's file, up to its `describe`.

use std::sync::LazyLock;
use std::time::Duration;

use foldline::config::Limits;
use foldline::guest::{Engine, GuestLimits, GuestModule};

static ENGINE: LazyLock<Engine> = LazyLock::new(|| Engine::uncached().unwrap());

/// Any bytes are a module with a checked definition, or are refused with a reason and a hint, in bounded time.
///
/// # Panics
/// Where that does not hold.
pub fn holds(data: &[u8]) {
    let limits = GuestLimits {
        memory_bytes: 4 << 20,
        call: Duration::from_millis(50),
        ..Limits::default().guest()
    };
    match GuestModule::from_bytes(&ENGINE, data, limits) {
        Ok(module) => {
            assert_eq!(module.definition.check(), Ok(()));
            assert_eq!(module.size, data.len());
            assert_eq!(module.digest.len(), 64);
        }
        Err(error) => assert!(!error.to_string().is_empty() && !error.hint().is_empty()),
    }
}

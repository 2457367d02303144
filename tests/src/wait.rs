//! Waiting for a condition, with an end.

use std::time::{Duration, Instant};

/// Long enough for a slow machine with other work; a test that waits this long has failed.
pub const LONG: Duration = Duration::from_secs(120);

/// Short enough to catch a projection in the middle of a catch-up.
const PAUSE: Duration = Duration::from_millis(5);

/// Asks until there is an answer.
///
/// # Panics
/// If there is none within [`LONG`].
#[track_caller]
pub fn wait_until<T>(what: &str, condition: impl FnMut() -> Option<T>) -> T {
    wait_within(LONG, what, condition)
}

/// Asks until there is an answer.
///
/// # Panics
/// If there is none within `limit`.
#[track_caller]
pub fn wait_within<T>(limit: Duration, what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(answer) = condition() {
            return answer;
        }
        assert!(
            Instant::now() < deadline,
            "waited {limit:?} in vain until {what}"
        );
        std::thread::sleep(PAUSE);
    }
}

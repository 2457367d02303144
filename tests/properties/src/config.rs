//! `foldline.toml`.

use foldline::config::Config;

/// Any text is a configuration, or is refused with a reason, the line it is about and a hint.
///
/// # Panics
/// Where that does not hold.
pub fn holds(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    // A context is a file elsewhere.
    if text.contains("context") {
        return;
    }
    match Config::from_text("foldline.toml", text) {
        Ok(config) => {
            let guest = config.limits.guest();
            assert!(guest.row_bytes > 0 && guest.changes > 0 && !guest.call.is_zero());
            assert!(config.store.cache_bytes() < usize::MAX);
        }
        Err(error) => {
            let said = error.to_string();
            assert!(said.starts_with("foldline.toml"), "{said}");
            assert!(!error.hint().is_empty());
        }
    }
}

//! What is said of the functions in which a guest failed.

use std::fmt::{self, Write as _};

use wasmtime::WasmBacktrace;

/// Most bytes of it. The names are the module's own: one that is written in a language's short form can be as long as it
/// likes in the long one.
const BYTES_MAX: usize = 8 << 10;

/// One line for each function, the innermost first, as far as there is room.
pub(super) fn shown(backtrace: &WasmBacktrace) -> String {
    let mut lines = Bounded(String::new());
    for (number, frame) in backtrace.frames().iter().enumerate() {
        let name = frame.func_name().unwrap_or("?");
        // Only Rust's names are made readable: that is bounded, and what projections are written in.
        let name = rustc_demangle::demangle(name);
        if write!(lines, "{number:>4}: {name:#}").is_err() {
            break;
        }
        let symbol = frame.symbols().first();
        let file = symbol.and_then(|symbol| Some((symbol.file()?, symbol.line()?)));
        let place = file.map(|(file, line)| format!(" at {file}:{line}"));
        if writeln!(lines, "{}", place.unwrap_or_default()).is_err() {
            break;
        }
    }
    lines.0
}

/// Takes what fits, and fails behind that.
struct Bounded(String);

impl fmt::Write for Bounded {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = BYTES_MAX - self.0.len();
        let fits = text.floor_char_boundary(room);
        self.0.push_str(&text[..fits]);
        (fits == text.len()).then_some(()).ok_or(fmt::Error)
    }
}

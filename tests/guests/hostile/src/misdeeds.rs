//! What a module may try.

use std::hint::black_box;
use std::slice;

use crate::bindings::Rejection;
use crate::bindings::foldline::projection::{log, read_model};
use crate::rows::{ENTRIES, integer, put, real, row, text};

const MIB: usize = 1 << 20;

/// Does what it was told.
///
/// `last` is the last event of the batch.
pub(crate) fn commit(kind: &str, last: u32) -> Result<(), Rejection> {
    match kind {
        "loop" => endless(),
        "recurse" => _ = deeper(0),
        "grow" => grow(),
        "allocate" => _ = black_box(vec![1_u8; 1 << 30]),
        "many-changes" => (0..).for_each(|i| put(i, 0, b"x")),
        "large-changes" => (0..).for_each(|i| put(i, 0, &vec![b'x'; MIB / 2])),
        "large-row" => put(1, 1, &vec![b'x'; MIB + MIB / 2]),
        "giant-row" => put(1, 1, &vec![b'x'; 20 * MIB]),
        "find-much" => find_much(),
        "short-row" => read_model::put(ENTRIES, &integer(1)),
        "long-row" => read_model::put(ENTRIES, &[row(1, 1, b"x"), integer(1)].concat()),
        "wrong-type" => {
            read_model::put(ENTRIES, &[integer(1), text(b"x"), text(b"x")].concat());
        }
        "not-a-number" => {
            read_model::put(ENTRIES, &[integer(1), real(f64::NAN), text(b"x")].concat());
        }
        "null" => read_model::put(ENTRIES, &[integer(1), vec![0], text(b"x")].concat()),
        "no-utf8" => put(1, 1, &[0xff, 0xfe]),
        "no-row" => read_model::put(ENTRIES, &[77; 9]),
        "cut-off" => read_model::put(ENTRIES, &row(1, 1, b"subject")[..20]),
        "no-table" => read_model::put(7, &row(1, 1, b"x")),
        "no-index" => _ = read_model::find(ENTRIES, 9, &text(b"x"), 1),
        "wrong-key" => _ = read_model::get(ENTRIES, &text(b"x")),
        "beyond-memory" => read_model::put(ENTRIES, beyond_memory()),
        "log-flood" => {
            (0..100_000).for_each(|i| log::write(log::Level::Info, &format!("line {i}")))
        }
        "log-giant" => log::write(log::Level::Info, &"x".repeat(20 * MIB)),
        "log-no-utf8" => log::write(log::Level::Info, no_utf8()),
        "reject-elsewhere" => return Err(rejection(u32::MAX, "elsewhere".to_owned())),
        "reject-last" => return Err(rejection(last, "the last one".to_owned())),
        "reject-at-length" => return Err(rejection(0, "y".repeat(20 * MIB))),
        "panic" => panic!("told to"),
        other => return Err(rejection(0, format!("{other} is no misdeed"))),
    }
    Ok(())
}

fn rejection(index: u32, reason: String) -> Rejection {
    Rejection { index, reason }
}

fn endless() {
    let mut step = 0_u64;
    loop {
        step = black_box(step.wrapping_add(1));
    }
}

fn deeper(depth: u64) -> u64 {
    if depth == u64::MAX {
        return 0;
    }
    let here = black_box([depth; 16]);
    deeper(depth + 1) + here[0]
}

/// A little more at a time, and all of it touched.
fn grow() {
    let mut kept = Vec::new();
    loop {
        kept.push(black_box(vec![1_u8; MIB]));
    }
}

/// Writes rows and asks for more of them than anybody should hold in memory: what is allowed at a time, many times.
fn find_much() {
    let subject = vec![b'x'; MIB / 2];
    for i in 0..30 {
        put(i, 0, &subject);
    }
    black_box(read_model::find(ENTRIES, 0, &text(&subject), u32::MAX));
}

#[allow(
    unsafe_code,
    clippy::transmute_ptr_to_ref,
    reason = "it is undefined for the compiler and exactly what a hostile module would do"
)]
fn beyond_memory() -> &'static [u8] {
    // The last 64 KiB of the 4 GiB that there could be.
    let address = black_box(0xffff_0000_usize) as *const u8;
    unsafe { slice::from_raw_parts(address, 1 << 10) }
}

#[allow(
    unsafe_code,
    reason = "a text that is none is exactly what a hostile module would send"
)]
fn no_utf8() -> &'static str {
    unsafe { std::str::from_utf8_unchecked(black_box(&[0xff, 0xfe, 0xfd])) }
}

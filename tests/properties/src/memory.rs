//! How much memory something takes at most. Measured over the whole process, so one property at a time.

use peak_alloc::PeakAlloc;

/// The allocator of whoever checks these properties.
#[global_allocator]
pub static PEAK: PeakAlloc = PeakAlloc;

/// Does `work`, which may take so many bytes at once.
pub(crate) fn within<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    let before = PEAK.current_usage();
    PEAK.reset_peak_usage();
    let done = work();
    let took = PEAK.peak_usage().saturating_sub(before);
    assert!(
        took <= bytes,
        "{took} bytes of memory taken, {bytes} allowed"
    );
    done
}

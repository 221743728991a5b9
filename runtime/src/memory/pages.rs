//! Pages that go back to the operating system.
#![expect(unsafe_code, reason = "memory that nobody uses loses what lies on it")]

#[cfg(target_os = "linux")]
use rustix::mm::{Advice, madvise};

/// Gives the pages back that lie within `len` bytes from `first` on; returns whether there were any. They come back, of
/// zeros, when they are used next. On systems other than Linux it does nothing.
///
/// # Safety
/// The caller may write to all of it, and what lies there is nothing to anybody.
pub(super) unsafe fn discard(first: *mut u8, len: usize) -> bool {
    #[cfg(target_os = "linux")]
    {
        let page = rustix::param::page_size();
        let skipped = first.addr().next_multiple_of(page) - first.addr();
        let covered = len.saturating_sub(skipped) / page * page;
        // SAFETY: the caller's promise: so many bytes from `skipped` on are the caller's. If it fails, the pages stay.
        covered > 0 && unsafe { madvise(first.add(skipped).cast(), covered, Advice::LinuxDontNeed) }.is_ok()
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (first, len);
        false
    }
}

//! Pages that go back to the operating system.
#![expect(unsafe_code, reason = "memory that nobody uses loses what lies on it")]

#[cfg(target_os = "linux")]
use rustix::mm::{Advice, madvise};

/// Gives the pages back that are covered by `pieces`, which are in order of their addresses and `size` bytes large each. They
/// come back, of zeros, when they are used next. On systems other than Linux nothing happens.
///
/// # Safety
/// The caller may write to the pieces, and what lies on them is nothing to anybody.
pub(super) unsafe fn discard(pieces: &[*mut u8], size: usize) {
    #[cfg(target_os = "linux")]
    for run in pieces.chunk_by(|one, next| one.addr() + size == next.addr()) {
        let page = rustix::param::page_size();
        let Some(first) = run.first() else { continue };
        let skipped = first.addr().next_multiple_of(page) - first.addr();
        let covered = (run.len() * size).saturating_sub(skipped) / page * page;
        if covered > 0 {
            // SAFETY: the caller's promise: from `skipped` on so many bytes are pieces. If it fails, the pages stay.
            let _ = unsafe { madvise(first.add(skipped).cast(), covered, Advice::LinuxDontNeed) };
        }
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (pieces, size);
}

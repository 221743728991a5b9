//! How values are moved, and memory is asked for, where the compiler's own way costs a stall.
#![expect(unsafe_code, reason = "values are moved by the word")]

use std::mem::MaybeUninit;
use std::ptr::NonNull;

/// What the processor asks for at once.
const LINE: usize = 64;

/// Where each cache line of `bytes` bytes from `at` on is to be asked for.
#[inline(always)]
pub(crate) fn lines(at: NonNull<u8>, bytes: usize) -> impl Iterator<Item = NonNull<u8>> {
    (0..bytes).step_by(LINE).map(move |line| at.map_addr(|address| address.saturating_add(line)))
}

/// Asks for the cache line at `at`, which is about to be used. It need not be there.
#[inline(always)]
pub(crate) fn prefetch(at: NonNull<u8>) {
    #[cfg(target_arch = "x86_64")]
    // SAFETY: a hint, which reads nothing.
    unsafe {
        std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(at.as_ptr().cast());
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = at;
}

/// Asks for the cache line at `at`, which is about to be written and which nobody else uses: a line that came to be
/// read has to be asked for once more, from whoever used it last.
#[inline(always)]
pub(crate) fn prefetch_for_writing(at: NonNull<u8>) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    // SAFETY: a hint, which touches nothing; a processor that does not know it does nothing.
    unsafe {
        std::arch::asm!("prefetchw [{}]", in(reg) at.as_ptr(), options(nostack, preserves_flags, readonly));
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    prefetch(at);
}

/// Moves the value at `from` to `to`; if it is made of words, word by word.
///
/// A value that was made just now is still on its way to the cache, in the pieces in which it was stored. A
/// load that is wider than these has to wait until they have arrived, longer than a locked instruction takes;
/// and the compiler's own moves are as wide as can be.
///
/// # Safety
/// There is a value at `from`, which counts as moved from now on, and room for one at `to`.
#[inline(always)]
pub(crate) unsafe fn relocate<T>(from: *const T, to: *mut T) {
    let is_of_few_words = const { size_of::<T>() <= 64 && size_of::<T>().is_multiple_of(8) && align_of::<T>() >= 8 };
    // SAFETY: the caller's promise. Volatile, so that the words stay apart; what is not initialised stays so.
    unsafe {
        if is_of_few_words {
            let (from, to) = (from.cast::<MaybeUninit<u64>>(), to.cast::<MaybeUninit<u64>>());
            for word in 0..const { size_of::<T>() / 8 } {
                to.add(word).write_volatile(from.add(word).read_volatile());
            }
        } else {
            to.copy_from_nonoverlapping(from, 1);
        }
    }
}

/// Reads the value at `from`, in the pieces in which it is likely to be used: the first word, which of most enums is
/// the tag, and the rest. For the reason see [`relocate`].
///
/// # Safety
/// There is a value at `from`, which counts as moved from now on.
#[inline(always)]
pub(crate) unsafe fn take_out<T>(from: *const T) -> T {
    let mut here = MaybeUninit::<T>::uninit();
    // SAFETY: the caller's promise. Volatile, so that the pieces stay apart; what is not initialised stays so.
    unsafe {
        if const { size_of::<T>() > 16 && align_of::<T>() >= 8 } {
            let to = here.as_mut_ptr();
            to.cast::<MaybeUninit<u64>>().write_volatile(from.cast::<MaybeUninit<u64>>().read_volatile());
            to.byte_add(8).cast::<u8>().copy_from_nonoverlapping(from.byte_add(8).cast(), size_of::<T>() - 8);
        } else {
            here.write(from.read());
        }
        here.assume_init()
    }
}

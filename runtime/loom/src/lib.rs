//! The files of `biotope-runtime` in which threads meet, compiled as they are with loom's atomics, and
//! models that let loom try every interleaving of a few threads.
//!
//! `cargo xtask loom` runs them. Nothing here is a copy: the modules are the shipped files, by path; what
//! they import is stood in for by the smallest thing that will do.
//!
//! | model | what it would catch |
//! |---|---|
//! | `queue` | a lost or doubled value, a lost wake, two owners, a block given back too early |
//! | `state` | a lost wake of a parked process, a double submit |
//! | `word` | a reply lost, written twice, or read by the next call |
//! | `idle` | work that nobody is woken for |
//! | `next` | a process lost or run twice between a worker and whoever takes over from it |
//! | `lease` | a node that goes while a cell refers to it, or never |
//! | `quota` | room that nobody is told of, also when one that is told does not come |
//! | `account` | memory that is taken from the account of the next process, or lost |
#![cfg(test)]
#![allow(dead_code, reason = "a model uses of a shipped file what it needs")]

/// As `biotope-runtime`'s `sync`, on loom.
mod sync {
    pub(crate) use loom::cell::UnsafeCell;
    pub(crate) use loom::hint::spin_loop;
    pub(crate) use loom::sync::atomic::{
        AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
    };
    pub(crate) use loom::thread::yield_now as yield_thread;

    pub(crate) const BACK_OFF: u32 = 1;

    /// loom's lock, in the form that the runtime's has.
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> loom::sync::MutexGuard<'_, T> {
            self.0.lock().unwrap()
        }
    }
}

/// Memory from the global allocator, which counts.
mod memory {
    use std::alloc::{Layout, alloc, dealloc};
    use std::ptr::NonNull;
    use std::sync::atomic::{AtomicUsize, Ordering};

    pub(crate) trait Memory {
        fn allocate(&self, layout: Layout) -> NonNull<u8>;
        /// # Safety
        /// As the runtime's.
        unsafe fn release(&self, piece: NonNull<u8>, layout: Layout);
    }

    /// How many pieces are out. Not one of loom's: it is no part of the model.
    #[derive(Default)]
    pub(crate) struct Counted(AtomicUsize);

    impl Counted {
        pub(crate) fn pieces(&self) -> usize {
            self.0.load(Ordering::SeqCst)
        }
    }

    /// A hint, and no part of the model.
    pub(crate) fn prefetch(_: NonNull<u8>) {}

    impl Memory for Counted {
        fn allocate(&self, layout: Layout) -> NonNull<u8> {
            self.0.fetch_add(1, Ordering::SeqCst);
            NonNull::new(unsafe { alloc(layout) }).expect("memory")
        }

        unsafe fn release(&self, piece: NonNull<u8>, layout: Layout) {
            self.0.fetch_sub(1, Ordering::SeqCst);
            unsafe { dealloc(piece.as_ptr(), layout) };
        }
    }
}

#[path = "../../src/memory/account.rs"]
mod account;
#[path = "../../src/config.rs"]
mod config;
#[path = "../../src/lease.rs"]
mod lease;
#[path = "../../src/mailbox/queue.rs"]
mod queue;
#[path = "../../src/process/quota.rs"]
mod quota;
#[path = "../../src/process/state.rs"]
mod state;
#[path = "../../src/call/word.rs"]
mod word;
#[path = "../../src/scheduler/idle.rs"]
mod idle;
#[path = "../../src/scheduler/next.rs"]
mod next;

mod models;

use std::ptr::NonNull;

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use super::explore;
use crate::next::Next;

/// The owner puts two, one after the other, and takes what it finds; meanwhile somebody takes over. Each is
/// taken once, and whoever takes it sees what was done before it was put.
#[test]
fn what_is_put_is_taken_once() {
    explore(3, || {
        struct Shared {
            next: Next<u32>,
            told: [AtomicUsize; 2],
            taken: [AtomicUsize; 2],
        }
        impl Shared {
            fn take(&self) -> bool {
                let Some(one) = self.next.take() else { return false };
                let number = one.as_ptr().addr() / 4 - 1;
                assert_eq!(self.told[number].load(Ordering::Relaxed), 1, "what was done before it was put");
                self.taken[number].fetch_add(1, Ordering::Relaxed);
                true
            }
        }
        let atomics = || [AtomicUsize::new(0), AtomicUsize::new(0)];
        let shared = Arc::new(Shared { next: Next::new(), told: atomics(), taken: atomics() });
        let thief = {
            let shared = shared.clone();
            thread::spawn(move || {
                shared.take();
                shared.take();
            })
        };
        for number in 0..2 {
            shared.told[number].store(1, Ordering::Relaxed);
            while !shared.next.is_empty() {
                shared.take();
            }
            shared.next.put(NonNull::without_provenance(std::num::NonZero::new((number + 1) * 4).unwrap()));
        }
        shared.take();
        thief.join().unwrap();
        shared.take();
        for taken in &shared.taken {
            assert_eq!(taken.load(Ordering::Relaxed), 1, "lost, or taken twice");
        }
    });
}

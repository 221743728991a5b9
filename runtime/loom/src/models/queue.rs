//! The intake queue.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use super::explore;
use crate::memory::Counted;
use crate::queue::{Back, Before, FEW, Front, Held, Kind, Look, Position, Pushed, Queue, Visit, Walked};

struct Shared {
    back: Back,
    front: Front,
    before: Before,
    memory: Counted,
    /// How often somebody was told to schedule the owner.
    scheduled: AtomicUsize,
}

impl Shared {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            back: Back::new(),
            front: Front::new(),
            before: Before::new(),
            memory: Counted::default(),
            scheduled: AtomicUsize::new(0),
        })
    }

    fn queue(&self) -> Queue<'_, usize> {
        unsafe { Queue::of(&self.back, &self.front, &self.before) }
    }

    /// Pushes; returns whether the owner is to be scheduled by this thread.
    fn push(&self, kind: Kind, value: usize) -> bool {
        match self.queue().push(kind, value, &self.memory) {
            Pushed::Queued => false,
            Pushed::Schedule | Pushed::Wake => {
                self.scheduled.fetch_add(1, Ordering::SeqCst);
                true
            }
            Pushed::High { .. } => panic!("few values wait"),
            Pushed::Closed(_) => panic!("the queue is open"),
        }
    }

    /// The owner's turn: takes all there is until it waits. Returns what it took.
    fn turn(&self) -> Vec<usize> {
        let mut taken = Vec::new();
        loop {
            match unsafe { self.queue().pop(&self.memory, Held::default) } {
                // SAFETY: it is read once, before the queue is called again.
                Look::Value(_, value) => taken.push(unsafe { value.read() }),
                Look::Hole => thread::yield_now(),
                Look::Urgent => panic!("nothing urgent was pushed"),
                Look::End => {
                    if unsafe { self.queue().wait_empty(false, &self.memory, Held::default) } {
                        return taken;
                    }
                }
            }
        }
    }
}

/// The owner waits; of two senders exactly one schedules it, and whoever does takes both values in the end.
#[test]
fn one_of_two_senders_schedules_a_waiting_owner_and_nothing_is_lost() {
    explore(3, || {
        let shared = Shared::new();
        assert!(shared.turn().is_empty());
        let sender = |value| {
            let shared = shared.clone();
            thread::spawn(move || if shared.push(Kind::ORDINARY, value) { shared.turn() } else { Vec::new() })
        };
        let (left, right) = (sender(1), sender(2));
        let mut taken = left.join().unwrap();
        taken.extend(right.join().unwrap());
        taken.sort_unstable();
        assert_eq!(taken, [1, 2]);
        assert_eq!(shared.memory.pieces(), 0, "a waiting owner has given its blocks back");
    });
}

/// The first value of an empty queue comes while the owner is about to wait: the owner finds it, or is
/// scheduled for it.
#[test]
fn a_first_value_is_found_by_an_owner_that_is_about_to_wait() {
    explore(3, || {
        let shared = Shared::new();
        let sender = {
            let shared = shared.clone();
            thread::spawn(move || shared.push(Kind::ORDINARY, 1))
        };
        let mut taken = shared.turn();
        if sender.join().unwrap() {
            taken.extend(shared.turn());
        }
        assert_eq!(taken, [1]);
        assert_eq!(shared.memory.pieces(), 0);
    });
}

/// The order of a sender's values is kept over the end of a block, while the owner takes them.
#[test]
fn values_of_a_sender_keep_their_order_over_blocks() {
    explore(2, || {
        let shared = Shared::new();
        let all = FEW + 2;
        for value in 0..all - 3 {
            assert!(!shared.push(Kind::ORDINARY, value));
        }
        let sender = {
            let shared = shared.clone();
            thread::spawn(move || {
                let mut scheduled = false;
                for value in all - 3..all {
                    scheduled |= shared.push(Kind::ORDINARY, value);
                }
                scheduled
            })
        };
        let mut taken = shared.turn();
        let scheduled = sender.join().unwrap();
        if taken.len() < all {
            assert!(scheduled, "the owner waited and was not scheduled");
            taken.extend(shared.turn());
        }
        assert_eq!(taken, (0..all).collect::<Vec<_>>());
        assert_eq!(shared.memory.pieces(), 0);
    });
}

/// Two senders bring the same next block; one of them puts its own away.
#[test]
fn two_senders_at_the_end_of_a_block_lose_nothing() {
    explore(2, || {
        let shared = Shared::new();
        for value in 0..FEW {
            shared.push(Kind::ORDINARY, value);
        }
        let sender = |value| {
            let shared = shared.clone();
            thread::spawn(move || shared.push(Kind::ORDINARY, value))
        };
        let (left, right) = (sender(FEW), sender(FEW + 1));
        left.join().unwrap();
        right.join().unwrap();
        let mut taken = shared.turn();
        taken[FEW..].sort_unstable();
        assert_eq!(taken, (0..FEW + 2).collect::<Vec<_>>());
        assert_eq!(shared.memory.pieces(), 0);
    });
}

/// A queue that is closed hands over what was pushed before, and refuses what comes after.
#[test]
fn a_close_loses_nothing() {
    explore(3, || {
        let shared = Shared::new();
        shared.push(Kind::ORDINARY, 1);
        let sender = {
            let shared = shared.clone();
            thread::spawn(move || match shared.queue().push(Kind::SYSTEM, 2, &shared.memory) {
                Pushed::Closed(value) => Some(value),
                _ => None,
            })
        };
        let mut left = Vec::new();
        unsafe { shared.queue().close(&shared.memory, |_, value| left.push(value)) };
        left.extend(sender.join().unwrap());
        assert_eq!(left, [1, 2]);
        assert_eq!(shared.memory.pieces(), 0);
        assert_eq!(shared.queue().push(Kind::SYSTEM, 3, &shared.memory), Pushed::Closed(3));
    });
}

/// A selective receive: the owner waits behind a value that it does not want, and is woken by the next.
#[test]
fn an_owner_that_waits_behind_a_value_is_woken_by_the_next() {
    explore(3, || {
        let shared = Shared::new();
        shared.push(Kind::ORDINARY, 1);
        let sender = {
            let shared = shared.clone();
            thread::spawn(move || shared.push(Kind::ORDINARY, 2))
        };
        let mut position = Position::HEAD;
        let mut found = false;
        let waits = loop {
            let visit = |kind, value: &mut std::mem::MaybeUninit<usize>| {
                if found {
                    return Visit::Stop;
                }
                found = unsafe { value.assume_init_read() } == 2;
                if found { Visit::Take } else { Visit::Keep(kind) }
            };
            let walked = unsafe { shared.queue().walk(&mut position, visit) };
            if found {
                break false;
            }
            match walked {
                Walked::Hole => thread::yield_now(),
                Walked::Stopped => unreachable!("it stops when it has found the value"),
                Walked::End => {
                    if unsafe { shared.queue().wait_at(position, &shared.memory, Held::default) } {
                        break true;
                    }
                }
            }
        };
        let woken = sender.join().unwrap();
        assert_eq!(woken, waits, "who waits is woken, and nobody else");
        let mut left = Vec::new();
        unsafe { shared.queue().close(&shared.memory, |_, value| left.push(value)) };
        assert_eq!(left, if waits { vec![1, 2] } else { vec![1] });
        assert_eq!(shared.memory.pieces(), 0);
    });
}

/// What is urgent is not taken on the ordinary path, also if it comes while the owner takes.
#[test]
fn what_is_urgent_is_seen_and_stays_in_its_place() {
    explore(3, || {
        let shared = Shared::new();
        shared.push(Kind::ORDINARY, 1);
        let sender = {
            let shared = shared.clone();
            thread::spawn(move || {
                shared.push(Kind::URGENT, 2);
                shared.push(Kind::ORDINARY, 3);
            })
        };
        let mut order = Vec::new();
        while order.len() < 3 {
            match unsafe { shared.queue().pop(&shared.memory, Held::default) } {
                Look::Value(kind, value) => {
                    assert_eq!(kind, Kind::ORDINARY);
                    // SAFETY: it is read once, before the queue is called again.
                    order.push(unsafe { value.read() });
                }
                Look::Hole | Look::End => thread::yield_now(),
                Look::Urgent => {
                    let mut position = Position::HEAD;
                    let visit = |kind, value: &mut std::mem::MaybeUninit<usize>| {
                        if kind != Kind::URGENT {
                            return Visit::Keep(kind);
                        }
                        order.push(unsafe { value.assume_init_read() });
                        Visit::Take
                    };
                    let _ = unsafe { shared.queue().walk(&mut position, visit) };
                }
            }
        }
        assert_eq!(order, [1, 2, 3]);
        sender.join().unwrap();
        unsafe { shared.queue().close(&shared.memory, |_, _| panic!("nothing is left")) };
        assert_eq!(shared.memory.pieces(), 0);
    });
}

//! Waiting for room against making it.

use loom::sync::atomic::{AtomicBool, Ordering};
use loom::sync::{Arc, Notify};
use loom::thread;

use super::explore;
use crate::quota::{Quota, Waiting};

/// Who waits. If nobody ever wakes it, loom finds that no thread can go on.
#[derive(Clone)]
struct Bell(Arc<Notify>);

impl Bell {
    fn new() -> Self {
        Self(Arc::new(Notify::new()))
    }
}

impl Waiting for Bell {
    fn wake(self) {
        self.0.notify();
    }
}

/// A mailbox with one place, which is taken.
fn full() -> Arc<Quota<Bell>> {
    let quota = Quota::new(1);
    assert_eq!(quota.admit(1), Some(0));
    Arc::new(quota)
}

/// Comes in, however long it takes.
fn come_in(quota: &Quota<Bell>) {
    let (place, bell) = (quota.place(), Bell::new());
    while quota.admit(quota.limit()).is_none() {
        quota.wait(place, bell.clone(), || false);
        bell.0.wait();
    }
    quota.give_up(place);
}

/// Room that is made while somebody begins to wait for it is found.
#[test]
fn who_waits_comes_in() {
    explore(3, || {
        let quota = full();
        let waits = {
            let quota = quota.clone();
            thread::spawn(move || come_in(&quota))
        };
        quota.leave();
        waits.join().unwrap();
        assert!(!quota.has_room());
    });
}

/// Who is quicker than the one that was woken for the room does not keep it out for ever.
#[test]
fn who_was_overtaken_comes_in_later() {
    explore(3, || {
        let quota = full();
        let waits = {
            let quota = quota.clone();
            thread::spawn(move || come_in(&quota))
        };
        quota.leave();
        if quota.admit(1).is_some() {
            quota.leave();
        }
        waits.join().unwrap();
        assert!(!quota.has_room());
    });
}

/// One that is woken, and does not come, keeps nobody out; nor does one that gives up.
#[test]
fn who_does_not_come_keeps_nobody_out() {
    explore(2, || {
        let quota = full();
        let (absent, gone) = (quota.place(), quota.place());
        quota.wait(absent, Bell::new(), || false);
        quota.wait(gone, Bell::new(), || false);
        let waits = {
            let quota = quota.clone();
            thread::spawn(move || come_in(&quota))
        };
        let leaves = {
            let quota = quota.clone();
            thread::spawn(move || quota.leave())
        };
        quota.give_up(gone);
        leaves.join().unwrap();
        waits.join().unwrap();
        assert!(!quota.has_room());
    });
}

/// Two that wait both come in, when two places become free one after the other.
#[test]
fn each_that_leaves_lets_one_come_in() {
    explore(2, || {
        let quota = Quota::new(2);
        assert_eq!((quota.admit(2), quota.admit(2)), (Some(0), Some(1)));
        let quota = Arc::new(quota);
        let waiting: Vec<_> = (0..2)
            .map(|_| {
                let quota = quota.clone();
                thread::spawn(move || come_in(&quota))
            })
            .collect();
        quota.leave();
        quota.leave();
        for waits in waiting {
            waits.join().unwrap();
        }
        assert!(!quota.has_room());
    });
}

/// When the mailbox is nobody's any more, nobody is left waiting for room in it.
#[test]
fn nobody_waits_in_vain() {
    explore(3, || {
        let quota = full();
        let is_gone = Arc::new(AtomicBool::new(false));
        let waits = {
            let (quota, is_gone) = (quota.clone(), is_gone.clone());
            thread::spawn(move || {
                let (place, bell) = (quota.place(), Bell::new());
                while !is_gone.load(Ordering::SeqCst) {
                    quota.wait(place, bell.clone(), || is_gone.load(Ordering::SeqCst));
                    bell.0.wait();
                }
            })
        };
        is_gone.store(true, Ordering::SeqCst);
        quota.wake_all();
        waits.join().unwrap();
    });
}

//! References that are counted by the batch.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;

use super::explore;
use crate::lease::{Handle, Lease, Leases};

struct Shared {
    leases: AtomicUsize,
    /// Whether it was dropped.
    gone: std::sync::Arc<std::sync::atomic::AtomicUsize>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        assert_eq!(self.leases.load(Ordering::Relaxed), 0, "it goes while somebody refers to it");
        self.gone.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
}

#[derive(Clone)]
struct Owner(Arc<Shared>);

impl Handle for Owner {
    fn leases_out(&self) -> &AtomicUsize {
        &self.0.leases
    }
}

/// One thread makes the first leases while another ends the last and a third drops the last handle.
#[test]
fn it_goes_once_and_not_while_somebody_refers_to_it() {
    explore(3, || {
        let gone = std::sync::Arc::default();
        let owner = Owner(Arc::new(Shared { leases: AtomicUsize::new(0), gone: std::sync::Arc::clone(&gone) }));
        let last = Lease::new(&owner);
        let makes = {
            let owner = owner.clone();
            thread::spawn(move || {
                let mut some = Leases::new(&owner, 2);
                drop(owner);
                let one = some.take().expect("there are two");
                assert!(one.leases_out().load(Ordering::Relaxed) >= 1);
                some.put(one);
            })
        };
        let ends = thread::spawn(move || {
            assert!(last.leases_out().load(Ordering::Relaxed) >= 1);
            drop(last);
        });
        drop(owner);
        makes.join().unwrap();
        ends.join().unwrap();
        assert_eq!(gone.load(std::sync::atomic::Ordering::Relaxed), 1);
    });
}

/// Leases that are put together and taken apart are as many as before.
#[test]
fn none_is_lost_between_batches() {
    explore(2, || {
        let gone = std::sync::Arc::default();
        let owner = Owner(Arc::new(Shared { leases: AtomicUsize::new(0), gone: std::sync::Arc::clone(&gone) }));
        let mut some = Leases::new(&owner, 3);
        drop(owner);
        let (one, two) = (some.take().expect("there are three"), some.split(5));
        assert_eq!((some.len(), two.len()), (0, 2));
        let ends = thread::spawn(move || drop(two));
        let mut again = Leases::from(one);
        assert!(again.take().is_some_and(|one| one.leases_out().load(Ordering::Relaxed) >= 1));
        ends.join().unwrap();
        drop((again, some));
        assert_eq!(gone.load(std::sync::atomic::Ordering::Relaxed), 1);
    });
}

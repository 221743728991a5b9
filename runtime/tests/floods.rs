//! No name, key, alias, monitor, timer, message or caller makes anything grow without limit.
//!
//! An allocator counts the bytes that are in use. A flood is let in until everything has the size that it needs, and then
//! five times as much of it: what is in use afterwards is what was in use before, but for a little.
#![expect(unsafe_code, reason = "an allocator is an unsafe trait, and nothing else sees every allocation")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use biotope::prelude::*;
use biotope::{Bounded, Overflow};

struct InUse;

static BYTES: AtomicUsize = AtomicUsize::new(0);
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

#[global_allocator]
static ALLOCATOR: InUse = InUse;

// SAFETY: every method hands its arguments on to `System` unchanged and returns what `System` returns, so what
// `System` guarantees of a `GlobalAlloc` holds here. An atomic is touched: that neither allocates nor unwinds.
unsafe impl GlobalAlloc for InUse {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `dealloc`, and `block` came from `System`.
        unsafe { System.dealloc(block, layout) }
    }
}

const FLOOD: u64 = 4_000;
/// Less than a word for each thing of the flood that follows. Pieces of memory lie about with the workers.
const LITTLE: usize = 64 * 1_024;

/// Lets floods in: `flood(n)` is the n-th thing of it.
fn let_in<F>(flood: impl Fn(u64) -> F + Send + 'static)
where
    F: Future<Output = biotope::Result<()>> + Send,
{
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    // In one order, on one thread: so each run takes the same, and the time that a timeout takes is virtual.
    let runtime = Runtime::builder().seeded(0).build().expect("a runtime");
    let node = runtime.block_on(Node::builder("flooded").runtime(runtime.clone()).start()).expect("the node starts");
    let body = async move {
        let mut before = 0;
        for round in 0..6 {
            if round == 1 {
                before = BYTES.load(Ordering::Relaxed);
            }
            for n in 0..FLOOD {
                flood(round * FLOOD + n).await?;
            }
        }
        let grown = BYTES.load(Ordering::Relaxed).saturating_sub(before);
        assert!(grown < LITTLE, "it has grown by {grown} bytes");
        Ok(())
    };
    runtime.block_on(biotope::run_on(&node, body)).expect("it ends without an error");
}

/// A process that has ended.
async fn dead() -> Address<()> {
    let ended = spawn_process(async |_: Process<()>| Ok(()));
    node().ended(ended.pid()).await;
    ended
}

#[test]
fn processes_that_come_and_go() {
    let_in(async |_| {
        dead().await;
        Ok(())
    });
}

#[test]
fn names() {
    let_in(async |n| {
        let name = format!("name {n}");
        node().register(&*name, this_pid())?;
        node().unregister(&name)?;
        let holder = spawn_process(async move |me: Process<()>| {
            me.node().register(&*name, me.pid())?;
            Ok(())
        });
        node().ended(holder.pid()).await;
        assert_eq!(node().whereis("nobody"), None);
        Ok(())
    });
}

#[test]
fn keys() {
    let_in(async |n| {
        let keys = biotope::Keys::<u64, u64>::duplicate(&node());
        let holder = spawn_process(async move |me: Process<()>| {
            keys.register(&me, n, n)?;
            keys.register(&me, n + 1, n)?;
            Ok(())
        });
        node().ended(holder.pid()).await;
        Ok(())
    });
}

#[test]
fn keys_of_one_table() {
    let keys = std::sync::Mutex::new(None::<biotope::Keys<u64, u64>>);
    let_in(move |n| {
        let keys = keys.lock().unwrap().get_or_insert_with(|| biotope::Keys::unique(&node())).clone();
        async move {
            let holder = spawn_process(async move |me: Process<()>| {
                keys.register(&me, n, n)?;
                Ok(())
            });
            node().ended(holder.pid()).await;
            Ok(())
        }
    });
}

#[test]
fn monitors_and_links_of_the_dead_and_of_the_living() {
    let_in(async |_| {
        let (gone, there) = (dead().await, spawn_process(async |mut me: Process<()>| Ok(me.receive().await?)));
        let there_pid = there.pid();
        let watcher = spawn_process(async move |mut me: Process<()>| {
            me.trap_exits(true);
            me.monitor(&gone);
            me.link(&gone);
            for _ in 0..3 {
                let watch = me.monitor(there_pid);
                me.demonitor(watch);
                me.link(there_pid);
                me.unlink(there_pid);
            }
            for _ in 0..2 {
                me.receive_info(Ok::<Info, Info>).await?;
            }
            Ok(())
        });
        node().ended(watcher.pid()).await;
        there.cast(());
        node().ended(there_pid).await;
        Ok(())
    });
}

#[test]
fn monitors_of_one_process_by_many() {
    let target = std::sync::Mutex::new(None::<Address<()>>);
    let_in(move |_| {
        let forever = || spawn_process(async |mut me: Process<()>| Ok(me.receive().await?));
        let target = target.lock().unwrap().get_or_insert_with(forever).clone();
        async move {
            let watcher = spawn_process(async move |me: Process<()>| {
                me.monitor(&target);
                Ok(())
            });
            node().ended(watcher.pid()).await;
            Ok(())
        }
    });
}

#[test]
fn aliases() {
    let_in(async |_| {
        let owner = spawn_process(async |me: Process<()>| {
            for _ in 0..3 {
                let alias = me.alias();
                me.unalias(&alias);
                alias.cast(());
            }
            Ok(())
        });
        node().ended(owner.pid()).await;
        Ok(())
    });
}

#[test]
fn timers() {
    let_in(async |_| {
        let gone = dead().await;
        node().send_after(Duration::from_secs(3_600), &gone, ());
        let owner = spawn_process(async |me: Process<()>| {
            let myself = me.address();
            let timer = me.send_after(Duration::from_secs(3_600), &myself, ());
            me.cancel_timer(timer);
            me.send_after(Duration::from_secs(3_600), &myself, ());
            Ok(())
        });
        node().ended(owner.pid()).await;
        Ok(())
    });
}

#[test]
fn dead_letters_that_a_subscriber_does_not_read() {
    let events = std::sync::Mutex::new(Vec::new());
    let_in(move |n| {
        if n == 0 {
            events.lock().unwrap().push(node().subscribe_dead_letters());
        }
        drop(node().subscribe_dead_letters());
        async {
            dead().await.cast(());
            Ok(())
        }
    });
}

#[test]
fn messages_for_a_mailbox_that_has_a_limit() {
    let full = std::sync::Mutex::new(Vec::<Address<u64>>::new());
    let_in(move |n| {
        let mut full = full.lock().unwrap();
        if full.is_empty() {
            for overflow in [Overflow::Reject, Overflow::DropNewest, Overflow::DropOldest] {
                let stuck = biotope::process(async |_: Process<u64>| {
                    std::future::pending::<()>().await;
                    Ok(())
                });
                full.push(spawn(options(stuck).mailbox(Bounded::to(10).or(overflow))));
            }
        }
        full.iter().for_each(|full| full.cast(n));
        async { Ok(()) }
    });
}

#[test]
fn callers_that_wait_for_room_and_give_up() {
    let full = std::sync::Mutex::new(None::<Address<ReplyTo<()>>>);
    let_in(move |_| {
        let stuck = || {
            let stuck = biotope::process(async |_: Process<ReplyTo<()>>| {
                std::future::pending::<()>().await;
                Ok(())
            });
            let stuck = spawn(options(stuck).mailbox(Bounded::to(1)));
            stuck.cast(ReplyTo::from_fn(|_| ()));
            stuck
        };
        let full = full.lock().unwrap().get_or_insert_with(stuck).clone();
        async move {
            let caller = spawn_process(async move |_: Process<()>| {
                let failed = Call::new(&full, |reply| reply).timeout(Duration::from_millis(1)).await;
                assert_eq!(failed, Err(CallFailed::Full));
                Ok(())
            });
            assert_eq!(node().ended(caller.pid()).await, ExitReason::Normal);
            Ok(())
        }
    });
}

//! What processes are charged for, and how a limit ends them. A test program of its own: a program has one allocator.

use std::future::Future;
use std::sync::Arc;

use biotope::memory::Accounting;
use biotope::prelude::*;
use biotope::{Info, Spawn};
use parking_lot::Mutex;
use tokio::sync::oneshot;

#[global_allocator]
static ALLOCATOR: Accounting = Accounting::new();

const KB: u64 = 1_024;
const MB: u64 = 1_024 * KB;

/// Runs `body` under 100 seeds in virtual time, and ten times on the real scheduler.
fn everywhere<F: Future<Output = biotope::Result<()>> + Send + 'static>(name: &'static str, body: fn() -> F) {
    biotope_testkit::everywhere(name, 100, 10, body);
}

fn under_seeds<F: Future<Output = biotope::Result<()>> + Send + 'static>(name: &'static str, body: fn() -> F) {
    biotope_testkit::under_seeds(name, 100, body);
}

/// Has what it is told to have.
#[derive(Actor, Default)]
struct Keeper {
    blocks: Vec<Vec<u8>>,
}

#[handlers]
impl Keeper {
    pub(crate) fn make(&mut self, bytes: u64) -> usize {
        self.blocks.push(block(bytes));
        self.blocks.len()
    }

    pub(crate) fn take(&mut self, block: Vec<u8>) {
        self.blocks.push(block);
    }

    pub(crate) fn grow(&mut self, mut block: Vec<u8>, by: u64) -> Vec<u8> {
        block.reserve_exact(by as usize);
        block
    }

    pub(crate) fn give(&mut self) -> Option<Vec<u8>> {
        self.blocks.pop()
    }

    pub(crate) fn forget(&mut self) {
        self.blocks.clear();
    }

    pub(crate) fn make_and_drop(&mut self, bytes: u64) -> usize {
        block(bytes).len()
    }

    pub(crate) fn make_elsewhere(&mut self, bytes: u64) {
        let made = std::thread::spawn(move || block(bytes)).join();
        self.blocks.extend(made);
    }

    pub(crate) fn sum_in_scratch(&self, len: u64, cx: &Context<Self>) -> u64 {
        cx.scratch(|scratch| scratch.collect(0..len).iter().sum())
    }

    #[cast]
    pub(crate) async fn make_and_await(&mut self, bytes: u64) {
        self.blocks.push(block(bytes));
        std::future::pending::<()>().await;
    }

    #[cast]
    pub(crate) fn make_all_of(&mut self, bytes: u64, times: u64) {
        for _ in 0..times {
            self.blocks.push(block(bytes));
        }
    }
}

fn block(bytes: u64) -> Vec<u8> {
    vec![1; bytes as usize]
}

/// Why `what` ends, of which a monitor tells; it is told `what` to do once that stands.
async fn end_of<S>(what: S, tell: impl FnOnce(&S::Ref) + Send + 'static) -> ExitReason
where
    S: Spawn + Send + 'static,
    S::Ref: Send + Sync,
{
    let (ended, end) = oneshot::channel();
    spawn_process(async move |mut me: Process<()>| {
        let (reference, monitor) = me.spawn_monitor(what);
        tell(&reference);
        let down = me.receive_info(|info| match info {
            Info::Down(down) if down.reference == monitor => Ok(down.reason),
            other => Err(other),
        });
        let _ = ended.send(down.await?);
        Ok(())
    });
    end.await.expect("the watcher tells")
}

async fn allocated(of: impl Into<Pid>) -> u64 {
    let info = node().process_info(of.into()).await.expect("it is alive");
    info.allocated.expect("the allocator is installed")
}

/// What `of` has is `before` and about `more`.
async fn assert_has(of: &ActorRef<Keeper>, before: u64, more: u64) {
    let has = allocated(of).await;
    assert!((before + more..before + more + 8 * KB).contains(&(has + 4 * KB)), "{has}, and not {before} and {more}");
}

#[test]
fn a_process_is_charged_for_what_it_allocates_and_credited_when_it_frees_that() {
    everywhere("a_process_is_charged_for_what_it_allocates_and_credited_when_it_frees_that", || async {
        let keeper = spawn(Keeper::default());
        keeper.make(16).await?;
        let before = allocated(&keeper).await;
        keeper.make(MB).await?;
        assert_has(&keeper, before, MB).await;
        keeper.forget().await?;
        assert_has(&keeper, before, 0).await;
        Ok(())
    });
}

#[test]
fn who_made_a_block_is_credited_when_another_process_frees_it() {
    everywhere("who_made_a_block_is_credited_when_another_process_frees_it", || async {
        let (maker, taker) = (spawn(Keeper::default()), spawn(Keeper::default()));
        maker.make(MB).await?;
        taker.make(16).await?;
        let (made, taken) = (allocated(&maker).await, allocated(&taker).await);
        let block = maker.give().await?.expect("it has one");
        taker.take(block).await?;
        assert_has(&maker, made, 0).await;
        assert_has(&taker, taken, 0).await;
        taker.forget().await?;
        assert_has(&maker, made - MB, 0).await;
        assert_has(&taker, taken, 0).await;
        Ok(())
    });
}

#[test]
fn a_block_that_another_lets_grow_stays_its_makers() {
    everywhere("a_block_that_another_lets_grow_stays_its_makers", || async {
        let (maker, other) = (spawn(Keeper::default()), spawn(Keeper::default()));
        maker.make(MB).await?;
        let (made, had) = (allocated(&maker).await, allocated(&other).await);
        let block = other.grow(maker.give().await?.expect("it has one"), MB).await?;
        assert_eq!(block.capacity() as u64, 2 * MB);
        assert_has(&maker, made, MB).await;
        assert_has(&other, had, 0).await;
        Ok(())
    });
}

#[test]
fn what_is_freed_after_its_makers_death_is_on_nobodys_account() {
    // Not on threads: there the slot may lie with a worker that spawns nothing.
    under_seeds("what_is_freed_after_its_makers_death_is_on_nobodys_account", || async {
        let maker = spawn(Keeper::default());
        maker.make(MB).await?;
        maker.make(MB).await?;
        let kept = maker.give().await?;
        let pid = maker.pid();
        maker.stop();
        node().ended(&maker).await;
        // The next one in the same slot.
        let next = (0..1_000).map(|_| spawn(Keeper::default())).find(|next| next.pid().slot() == pid.slot());
        let next = next.expect("a slot that is free is used again");
        next.make(64 * KB).await?;
        let before = allocated(&next).await;
        assert!((64 * KB..MB).contains(&before), "{before}");
        drop(kept);
        assert_eq!(allocated(&next).await, before);
        Ok(())
    });
}

#[test]
fn what_no_process_allocates_is_nobodys_and_neither_is_the_memory_of_mailboxes() {
    everywhere("what_no_process_allocates_is_nobodys_and_neither_is_the_memory_of_mailboxes", || async {
        let keeper = spawn(Keeper::default());
        keeper.make(16).await?;
        let before = allocated(&keeper).await;
        keeper.make_elsewhere(MB).await?;
        assert_has(&keeper, before, 0).await;
        let me = this_pid();
        let mine = allocated(me).await;
        node().suspend(&keeper);
        for _ in 0..50_000 {
            keeper.make_all_of(0, 0);
        }
        let now = allocated(me).await;
        assert!(now < mine + 64 * KB, "{now}, and {mine} before");
        Ok(())
    });
}

#[derive(Actor, Default)]
#[actor(max_memory = 1024 * 1024)]
struct Limited {
    blocks: Vec<Vec<u8>>,
    handled: u64,
}

#[handlers]
impl Limited {
    #[cast]
    pub(crate) fn make(&mut self, bytes: u64, witness: Arc<Mutex<Vec<&'static str>>>) {
        self.blocks.push(block(bytes));
        witness.lock().push("made");
    }

    #[cast]
    pub(crate) async fn make_and_await(&mut self, bytes: u64, witness: Arc<Mutex<Vec<&'static str>>>) {
        self.blocks.push(block(bytes));
        witness.lock().push("made");
        time::yield_now().await;
        witness.lock().push("went on");
    }

    #[cast]
    pub(crate) fn witness(&mut self, witness: Arc<Mutex<Vec<&'static str>>>) {
        witness.lock().push("went on");
    }

    pub(crate) fn make_and_drop(&mut self, bytes: u64) -> u64 {
        drop(block(bytes));
        self.handled += 1;
        self.handled
    }

    #[terminate]
    fn terminate(&mut self, _reason: &ExitReason) {
        panic!("who is over its limit does nothing more");
    }
}

fn is_over(reason: &ExitReason, limit: u64) -> bool {
    matches!(reason, ExitReason::MemoryLimit { limit: told, used } if *told == limit && used > told)
}

#[test]
fn who_is_over_its_limit_ends_after_the_handler_and_others_live() {
    everywhere("who_is_over_its_limit_ends_after_the_handler_and_others_live", || async {
        let spy = Arc::new(Mutex::new(Vec::new()));
        let other = spawn(Limited::default());
        let spies = (spy.clone(), spy.clone());
        let reason = end_of(Limited::default(), |limited| {
            limited.make(2 * MB, spies.0);
            limited.witness(spies.1);
        });
        let reason = reason.await;
        assert!(is_over(&reason, MB), "{reason}");
        assert!(reason.to_string().contains("1048576"), "{reason}");
        assert_eq!(*spy.lock(), ["made"]);
        assert_eq!(other.make_and_drop(16).await?, 1);
        Ok(())
    });
}

#[test]
fn who_is_over_its_limit_where_it_awaits_ends_there() {
    everywhere("who_is_over_its_limit_where_it_awaits_ends_there", || async {
        let spy = Arc::new(Mutex::new(Vec::new()));
        let spied = spy.clone();
        let reason = end_of(Limited::default(), |limited| limited.make_and_await(2 * MB, spied)).await;
        assert!(is_over(&reason, MB), "{reason}");
        assert_eq!(*spy.lock(), ["made"]);
        // Also if nothing would ever wake it, and for straight-line code with a limit of its own.
        let keeper = options(Keeper::default()).max_memory(100_000);
        let reason = end_of(keeper, |keeper| keeper.make_and_await(MB)).await;
        assert!(is_over(&reason, 100_000), "{reason}");
        let straight = options(process(async |mut me: Process<()>| {
            let kept = block(MB);
            let _ = me.receive().await;
            drop(kept);
            panic!("it went on");
        }));
        let reason = end_of(straight.max_memory(100_000), |_| ()).await;
        assert!(is_over(&reason, 100_000), "{reason}");
        Ok(())
    });
}

#[test]
fn who_was_over_its_limit_within_a_handler_and_is_not_at_its_end_lives() {
    everywhere("who_was_over_its_limit_within_a_handler_and_is_not_at_its_end_lives", || async {
        let limited = spawn(Limited::default());
        for number in 1..=3 {
            assert_eq!(limited.make_and_drop(2 * MB).await?, number);
        }
        Ok(())
    });
}

#[test]
fn an_end_by_the_limit_is_seen_by_links_and_supervisors_as_any_crash() {
    everywhere("an_end_by_the_limit_is_seen_by_links_and_supervisors_as_any_crash", || async {
        let spy = Arc::new(Mutex::new(Vec::new()));
        let limited = Limited::spec().named("limited").restart(Permanent);
        let tree = Supervisor::one_for_one().child(limited).start_link().await?;
        let first = node().lookup::<Limited>("limited").expect("it was started");
        first.make(2 * MB, spy.clone());
        let second = loop {
            match node().lookup::<Limited>("limited") {
                Some(second) if second != first => break second,
                _ => time::yield_now().await,
            }
        };
        assert_eq!(second.make_and_drop(16).await?, 1);
        assert_eq!(*spy.lock(), ["made"]);
        tree.stop();
        Ok(())
    });
}

#[test]
fn a_start_that_is_over_its_limit_fails_with_the_reason() {
    everywhere("a_start_that_is_over_its_limit_fails_with_the_reason", || async {
        #[derive(Actor)]
        #[actor(max_memory = 100_000)]
        struct Large(#[expect(dead_code, reason = "it is there to be large")] Vec<u8>);

        #[handlers]
        impl Large {
            #[start]
            async fn start() -> Self {
                let made = Self(block(MB));
                time::yield_now().await;
                made
            }
        }

        let failed = Large::spec().start().await.expect_err("it is over its limit");
        assert!(matches!(&failed, biotope::StartError::Died(reason) if is_over(reason, 100_000)), "{failed}");
        Ok(())
    });
}

#[test]
fn scratch_memory_that_is_kept_is_on_no_process_account() {
    everywhere("scratch_memory_that_is_kept_is_on_no_process_account", || async {
        let keeper = spawn(Keeper::default());
        keeper.make(16).await?;
        let before = allocated(&keeper).await;
        for len in [10, 10_000, 1_000_000, 100] {
            assert_eq!(keeper.sum_in_scratch(len).await?, len * (len - 1) / 2);
            assert_has(&keeper, before, 0).await;
        }
        Ok(())
    });
}

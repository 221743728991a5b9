//! Sources: streams and futures as messages of an actor, with back-pressure, and their end with it.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::task::{Context as TaskContext, Poll, ready};

use biotope::prelude::*;
use biotope::{Exited, Source};
use biotope_testkit::{once, under_seeds};
use futures_util::{Stream, stream};
use tokio::sync::{mpsc, oneshot};

use crate::everywhere;
use crate::probe::{down, observe};

/// A stream of what a test sends, that counts what was taken, and is seen to be dropped.
struct Tap {
    items: mpsc::UnboundedReceiver<u32>,
    taken: Arc<AtomicUsize>,
    polls: Arc<AtomicUsize>,
    _gone: oneshot::Sender<()>,
}

/// The other end of it.
struct Pump {
    items: mpsc::UnboundedSender<u32>,
    taken: Arc<AtomicUsize>,
    polls: Arc<AtomicUsize>,
    gone: oneshot::Receiver<()>,
}

fn tap() -> (Pump, Tap) {
    let ((sender, items), (alive, gone)) = (mpsc::unbounded_channel(), oneshot::channel());
    let (taken, polls) = <(Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
    let pump = Pump { items: sender, taken: taken.clone(), polls: polls.clone(), gone };
    (pump, Tap { items, taken, polls, _gone: alive })
}

impl Pump {
    fn send(&self, items: impl IntoIterator<Item = u32>) {
        for item in items {
            let _ = self.items.send(item);
        }
    }

    fn taken(&self) -> usize {
        self.taken.load(SeqCst)
    }

    /// Whether the stream was dropped.
    fn is_gone(&mut self) -> bool {
        self.gone.try_recv() == Err(oneshot::error::TryRecvError::Closed)
    }
}

impl Stream for Tap {
    type Item = u32;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<u32>> {
        self.polls.fetch_add(1, SeqCst);
        let item = ready!(self.items.poll_recv(cx));
        if item.is_some() {
            self.taken.fetch_add(1, SeqCst);
        }
        Poll::Ready(item)
    }
}

/// What an eater was told.
#[derive(Clone, Debug, PartialEq)]
enum Told {
    Item(u32),
    Over,
    Exit(ExitReason),
}

/// Tells a test what it is told. Answers to items at once, or keeps them waiting.
#[derive(Actor)]
struct Eater {
    tells: mpsc::UnboundedSender<Told>,
    waiting: Vec<ReplyTo<()>>,
    source: Option<Source>,
}

/// It, and what it tells.
struct Seen {
    eater: ActorRef<Eater>,
    told: mpsc::UnboundedReceiver<Told>,
}

/// An item that ends the eater.
const POISON: u32 = 1_000;
/// An item after which no more are wanted.
const ENOUGH: u32 = 2_000;
/// An item that is not taken.
const STALE: u32 = 3_000;

#[handlers]
impl Eater {
    /// Attaches `tap`, with an answer to each item at once.
    fn eat(&mut self, tap: Tap, ahead: usize, cx: &mut Context<Self>) -> Pid {
        let source = cx.source(tap, |me, item| me.on_item(item)).ahead(ahead).then(|me| me.on_over()).attach();
        self.source.insert(source).pid()
    }

    /// Attaches `tap`; items are answered when that is asked for.
    fn chew(&mut self, tap: Tap, ahead: usize, cx: &mut Context<Self>) -> Pid {
        cx.source(tap, |me, item| me.on_chewy(item)).ahead(ahead).then(|me| me.on_over()).attach().pid()
    }

    fn on_item(&mut self, item: u32) -> Result<(), Exited> {
        let _ = self.tells.send(Told::Item(item));
        match item {
            POISON => panic!("poison"),
            STALE => return Err(Exited(ExitReason::value("stale"))),
            ENOUGH => self.cancel(),
            _ => {}
        }
        Ok(())
    }

    /// Attaches `tap` to a handler whose `Result` is seen by its type only.
    fn taste(&mut self, tap: Tap, cx: &mut Context<Self>) -> Pid {
        cx.attach(tap, |me, item| me.on_taste(item)).pid()
    }

    fn on_taste(&mut self, item: u32) -> biotope::Result<()> {
        Ok(self.on_item(item)?)
    }

    fn on_chewy(&mut self, item: u32, reply: ReplyTo<()>) {
        let _ = self.tells.send(Told::Item(item));
        self.waiting.push(reply);
    }

    #[cast]
    fn swallow(&mut self) {
        self.waiting.remove(0).send(());
    }

    #[cast]
    fn spit(&mut self) {
        self.waiting.clear();
    }

    #[cast]
    fn cancel(&mut self) {
        if let Some(source) = &self.source {
            source.cancel();
        }
    }

    #[cast]
    fn on_over(&mut self) {
        let _ = self.tells.send(Told::Over);
    }

    /// What was sent before has been handled.
    fn sync(&mut self) {}

    fn trap(&mut self, cx: &mut Context<Self>) {
        cx.trap_exits(true);
    }

    #[info]
    fn on_exit(&mut self, exit: Exit) {
        let _ = self.tells.send(Told::Exit(exit.reason));
    }

    /// Attaches a stream that panics when it is polled.
    fn swallow_a_panic(&mut self, cx: &mut Context<Self>) -> Pid {
        let broken = stream::poll_fn(|_| -> Poll<Option<u32>> { panic!("a broken stream") });
        cx.attach(broken, |me, item| me.on_item(item)).pid()
    }

    /// Attaches a stream that always has more, all of which may be under way.
    fn gorge(&mut self, cx: &mut Context<Self>) -> Pid {
        cx.source(stream::repeat(0), |me, item| me.on_crumb(item)).ahead(usize::MAX).attach().pid()
    }

    fn on_crumb(&mut self, _item: u32) {}

    /// Attaches a stream that cancels its source with the second item, and always has more.
    fn nibble(&mut self, cx: &mut Context<Self>) -> Pid {
        let (handle, mut given) = (Arc::new(OnceLock::<Source>::new()), 0);
        let its_own = handle.clone();
        let fickle = stream::poll_fn(move |cx| {
            let Some(source) = its_own.get() else {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            };
            given += 1;
            if given == 2 {
                source.cancel();
            }
            Poll::Ready(Some(given))
        });
        let source = cx.source(fickle, |me, item| me.on_item(item)).ahead(10).attach();
        handle.get_or_init(|| source).pid()
    }

    /// Awaits `digested` and is told what it gives.
    fn pipe(&mut self, digested: oneshot::Receiver<u32>, cx: &mut Context<Self>) -> Pid {
        let source = cx.pipe(async { digested.await.expect("it is digested") }, |me, item| me.on_digested(item));
        self.source.insert(source).pid()
    }

    #[cast]
    fn on_digested(&mut self, item: u32) {
        let _ = self.tells.send(Told::Item(item));
    }
}

fn eater_and_its_tells() -> (Eater, mpsc::UnboundedReceiver<Told>) {
    let (tells, told) = mpsc::unbounded_channel();
    (Eater { tells, waiting: Vec::new(), source: None }, told)
}

fn eater() -> Seen {
    let (eater, told) = eater_and_its_tells();
    Seen { eater: spawn(eater), told }
}

impl Seen {
    /// The next that it is told.
    async fn next(&mut self) -> Option<Told> {
        self.told.recv().await
    }

    /// All that it was told and is not read yet.
    fn rest(&mut self) -> Vec<Told> {
        std::iter::from_fn(|| self.told.try_recv().ok()).collect()
    }
}

fn items(items: impl IntoIterator<Item = u32>) -> Vec<Told> {
    items.into_iter().map(Told::Item).collect()
}

/// In virtual time only: after a long while nothing that could happen has not.
fn seeded<F>(name: &'static str, body: fn() -> F)
where
    F: Future<Output = biotope::Result<()>> + Send + 'static,
{
    under_seeds(name, 100, body);
}

#[test]
fn what_a_stream_gives_comes_in_order_and_its_end_after_it() {
    everywhere("order", || {
        observe(async move |mut me| {
            for ahead in [1, 3, 100] {
                let (mut pump, tap) = tap();
                let mut seen = eater();
                let source = seen.eater.eat(tap, ahead).await?;
                let watch = me.monitor(source);
                pump.send(0..50);
                drop(std::mem::replace(&mut pump.items, mpsc::unbounded_channel().0));
                assert_eq!(down(&mut me, watch).await?, ExitReason::Normal);
                // The end was cast before the source ended.
                seen.eater.sync().await?;
                assert_eq!(seen.rest(), [items(0..50), vec![Told::Over]].concat());
                assert!(pump.is_gone());
                assert!(node().is_alive(&seen.eater), "a source that is over ends nobody");
            }
            Ok(())
        })
    });
}

/// As many as may be are taken, and not one more, nor is the stream asked for one.
#[test]
fn no_more_is_taken_than_may_be_with_the_actor() {
    seeded("exact", || async {
        for ahead in [1, 4] {
            let (pump, tap) = tap();
            let seen = eater();
            pump.send(0..20);
            seen.eater.chew(tap, ahead).await?;
            for swallowed in 0..10 {
                time::sleep(secs(3_600)).await;
                assert_eq!(pump.taken(), ahead + swallowed);
                assert_eq!(pump.polls.load(SeqCst), ahead + swallowed);
                seen.eater.swallow();
            }
        }
        Ok(())
    });
}

#[test]
fn the_end_of_a_stream_is_told_when_all_items_have_been_answered() {
    seeded("then", || async {
        let (pump, tap) = tap();
        let mut seen = eater();
        pump.send(0..3);
        drop(pump);
        seen.eater.chew(tap, 3).await?;
        for item in 0..3 {
            assert_eq!(seen.next().await, Some(Told::Item(item)));
        }
        for _ in 0..3 {
            time::sleep(secs(3_600)).await;
            assert_eq!(seen.rest(), []);
            seen.eater.swallow();
        }
        assert_eq!(seen.next().await, Some(Told::Over));
        Ok(())
    });
}

/// On threads, by what is known when an item is handled.
#[test]
fn never_is_more_taken_than_was_answered_and_may_be_with_the_actor() {
    everywhere("bound", || {
        observe(async move |_| {
            for ahead in [1, 4] {
                let (pump, tap) = tap();
                let mut seen = eater();
                seen.eater.chew(tap, ahead).await?;
                pump.send(0..12);
                for answered in 0..12 {
                    assert_eq!(seen.next().await, Some(Told::Item(answered)));
                    assert!(pump.taken() <= ahead + answered as usize, "{} taken", pump.taken());
                    seen.eater.swallow();
                }
            }
            Ok(())
        })
    });
}

#[test]
fn a_suspended_actor_takes_no_more() {
    seeded("suspended", || async {
        let (pump, tap) = tap();
        let mut seen = eater();
        seen.eater.eat(tap, 2).await?;
        node().suspend(&seen.eater);
        pump.send(0..10);
        time::sleep(secs(3_600)).await;
        assert_eq!((pump.taken(), seen.rest()), (2, vec![]));
        node().resume(&seen.eater);
        time::sleep(secs(1)).await;
        assert_eq!((pump.taken(), seen.rest()), (10, items(0..10)));
        Ok(())
    });
}

/// However full the mailbox is, and whatever becomes of what others send.
#[test]
fn what_a_source_sends_comes_into_a_full_mailbox() {
    #[derive(Actor)]
    #[actor(mailbox = bounded(1, reject))]
    struct Rejects(u32);
    #[handlers]
    impl Rejects {
        fn attach(&mut self, tap: Tap, result: oneshot::Receiver<u32>, cx: &mut Context<Self>) {
            cx.attach(tap, |me, item| me.add(item));
            cx.pipe(async { result.await.expect("it is sent") }, |me, item| me.add_more(item));
        }
        fn add(&mut self, item: u32) {
            self.0 += item;
        }
        fn sum(&self) -> u32 {
            self.0
        }
        #[cast]
        fn add_more(&mut self, item: u32) {
            self.0 += item;
        }
    }
    #[derive(Actor)]
    #[actor(mailbox = bounded(1, drop_oldest))]
    struct Drops(u32);
    #[handlers]
    impl Drops {
        fn attach(&mut self, tap: Tap, cx: &mut Context<Self>) {
            cx.source(tap, |me, item| me.add(item)).ahead(5).attach();
        }
        fn add(&mut self, item: u32) {
            self.0 += item;
        }
        fn sum(&self) -> u32 {
            self.0
        }
    }
    seeded("full", || async {
        let ((pump, tap), (tell, told)) = (tap(), oneshot::channel());
        let rejects = spawn(Rejects(0));
        rejects.attach(tap, told).await?;
        node().suspend(&rejects);
        time::sleep(secs(1)).await;
        let _waits = rejects.add(100).send();
        assert_eq!(rejects.add(0).await, Err(CallFailed::Full));
        pump.send([1, 2]);
        let _ = tell.send(10);
        time::sleep(secs(1)).await;
        node().resume(&rejects);
        time::sleep(secs(1)).await;
        assert_eq!(rejects.sum().await?, 113);

        let (pump, tap) = self::tap();
        let drops = spawn(Drops(0));
        drops.attach(tap).await?;
        node().suspend(&drops);
        time::sleep(secs(1)).await;
        pump.send([1, 2, 3]);
        time::sleep(secs(1)).await;
        let dropped = drops.add(1_000).send();
        let _waits = drops.add(100).send();
        assert_eq!(dropped.await, Err(CallFailed::Full));
        node().resume(&drops);
        time::sleep(secs(1)).await;
        assert_eq!(drops.sum().await?, 106);
        Ok(())
    });
}

/// However long an item takes; and a call that has a deadline keeps it.
#[test]
fn an_answer_is_awaited_without_a_deadline_unless_the_call_has_one() {
    #[derive(Actor)]
    struct Slow(bool);
    #[handlers]
    impl Slow {
        fn attach(&mut self, tap: Tap, ahead: usize, cx: &mut Context<Self>) -> Pid {
            match self.0 {
                true => cx.source(tap, |me, item| me.work(item).timeout(secs(60))).ahead(ahead).attach().pid(),
                false => cx.source(tap, |me, item| me.work(item)).ahead(ahead).attach().pid(),
            }
        }
        async fn work(&mut self, item: u32) {
            time::sleep(secs(item.into())).await;
        }
    }
    seeded("deadline", || {
        observe(async move |mut me| {
            for ahead in [1, 3] {
                for (has_deadline, reason) in [(false, ExitReason::Normal), (true, ExitReason::Timeout)] {
                    let (pump, tap) = tap();
                    let slow = spawn(Slow(has_deadline));
                    let source = slow.attach(tap, ahead).await?;
                    let watch = me.monitor(source);
                    pump.send([10_000, 10_000]);
                    drop(pump);
                    assert_eq!(down(&mut me, watch).await?, reason, "{ahead}");
                }
            }
            Ok(())
        })
    });
}

#[test]
fn a_source_ends_with_its_actor_whatever_the_reason() {
    everywhere("ends", || {
        observe(async move |mut me| {
            let panics =
                |reason: &ExitReason| matches!(reason, ExitReason::Panic(report) if report.message == "poison");
            for is_busy in [false, true] {
                for how in 0..5 {
                    let (mut pump, tap) = tap();
                    let mut seen = eater();
                    let source = seen.eater.eat(tap, 2).await?;
                    let watch = me.monitor(source);
                    if is_busy {
                        pump.send(0..1_000);
                        seen.next().await;
                    }
                    match how {
                        0 => seen.eater.stop(),
                        1 => seen.eater.address().stop(ExitReason::value("why")),
                        2 => node().exit(&seen.eater, ExitReason::Kill),
                        3 => node().drain(&seen.eater),
                        _ => drop(seen.eater.on_item(POISON).send()),
                    }
                    let reason = down(&mut me, watch).await?;
                    assert!(
                        match how {
                            0 | 3 => reason == ExitReason::Normal,
                            1 => reason == ExitReason::value("why"),
                            2 => reason == ExitReason::Killed,
                            _ => panics(&reason),
                        },
                        "{how} {reason}"
                    );
                    assert!(pump.is_gone(), "{how}");
                }
            }
            Ok(())
        })
    });
}

/// In the handler of an item: that was the last.
#[test]
fn no_item_comes_after_the_one_in_whose_handler_its_source_is_cancelled() {
    everywhere("cancel", || {
        observe(async move |mut me| {
            let (mut pump, tap) = tap();
            let mut seen = eater();
            let source = seen.eater.eat(tap, 1).await?;
            let watch = me.monitor(source);
            pump.send((0..3).chain([ENOUGH]).chain(3..1_000));
            assert_eq!(down(&mut me, watch).await?, ExitReason::Normal);
            seen.eater.sync().await?;
            assert_eq!(seen.rest(), items([0, 1, 2, ENOUGH]));
            assert_eq!(pump.taken(), 4);
            assert!(pump.is_gone());
            Ok(())
        })
    });
}

/// Also when it could take more without waiting for anything.
#[test]
fn a_source_takes_no_more_from_the_moment_on_in_which_it_is_cancelled() {
    everywhere("cancel at once", || {
        observe(async move |mut me| {
            let mut seen = eater();
            let ended = seen.eater.nibble().await?;
            let watch = me.monitor(ended);
            down(&mut me, watch).await?;
            seen.eater.sync().await?;
            assert_eq!(seen.rest(), items([1, 2]));
            Ok(())
        })
    });
}

/// From elsewhere, while it waits for its stream, its actor or a future.
#[test]
fn a_source_that_waits_is_cancelled() {
    everywhere("cancel waiting", || {
        observe(async move |mut me| {
            let (mut pump, tap) = tap();
            let seen = eater();
            let source = seen.eater.eat(tap, 1).await?;
            let watch = me.monitor(source);
            seen.eater.cancel();
            assert_eq!(down(&mut me, watch).await?, ExitReason::Normal);
            assert!(pump.is_gone());

            let (mut tell, told) = oneshot::channel();
            let source = seen.eater.pipe(told).await?;
            let watch = me.monitor(source);
            seen.eater.cancel();
            assert_eq!(down(&mut me, watch).await?, ExitReason::Normal);
            tell.closed().await;
            assert!(node().is_alive(&seen.eater));
            Ok(())
        })
    });
}

#[test]
fn a_panic_in_a_stream_ends_its_actor_unless_that_traps_exits() {
    everywhere("panic", || {
        observe(async move |mut me| {
            let is_its_panic = |reason: ExitReason| match reason {
                ExitReason::Panic(report) => assert_eq!(report.message, "a broken stream"),
                other => panic!("{other}"),
            };
            let seen = eater();
            let watch = me.monitor(&seen.eater);
            let _ = seen.eater.swallow_a_panic().await;
            is_its_panic(down(&mut me, watch).await?);

            let mut seen = eater();
            seen.eater.trap().await?;
            seen.eater.swallow_a_panic().await?;
            let Some(Told::Exit(reason)) = seen.next().await else { panic!("it hears of the end") };
            is_its_panic(reason);
            seen.eater.sync().await?;
            Ok(())
        })
    });
}

#[test]
fn a_handler_that_answers_with_an_error_ends_the_source_and_what_does_not_trap() {
    everywhere("error", || {
        observe(async move |mut me| {
            for tastes in [false, true] {
                let (mut pump, tap) = tap();
                let mut seen = eater();
                let watch = me.monitor(&seen.eater);
                pump.send([0, STALE, 1]);
                // It may end before it has told.
                let _ = if tastes { seen.eater.taste(tap).await } else { seen.eater.eat(tap, 1).await };
                assert_eq!(down(&mut me, watch).await?, ExitReason::value("stale"));
                assert_eq!(seen.rest(), items([0, STALE]));
                let _ = (&mut pump.gone).await;

                let (mut pump, tap) = self::tap();
                let mut seen = eater();
                seen.eater.trap().await?;
                let source = if tastes { seen.eater.taste(tap).await } else { seen.eater.eat(tap, 1).await };
                let watch = me.monitor(source?);
                pump.send([0, STALE, 1]);
                assert_eq!(down(&mut me, watch).await?, ExitReason::value("stale"));
                assert!(pump.is_gone());
                for told in [Told::Item(0), Told::Item(STALE), Told::Exit(ExitReason::value("stale"))] {
                    assert_eq!(seen.next().await, Some(told));
                }
                seen.eater.sync().await?;
            }
            Ok(())
        })
    });
}

/// A reply that is dropped is an answer too: a failed call.
#[test]
fn an_item_that_is_not_answered_ends_the_source() {
    everywhere("no reply", || {
        observe(async move |mut me| {
            for ahead in [1, 2] {
                let (pump, tap) = tap();
                let mut seen = eater();
                let watch = me.monitor(seen.eater.chew(tap, ahead).await?);
                pump.send(0..5);
                for item in 0..ahead {
                    assert_eq!(seen.next().await, Some(Told::Item(item as u32)));
                }
                seen.eater.spit();
                let reason = down(&mut me, watch).await?;
                assert_eq!(reason, ExitReason::error(CallFailed::NoReply));
            }
            Ok(())
        })
    });
}

/// On one worker, which it would keep for ever.
#[test]
fn a_stream_that_always_has_more_keeps_nobody_from_running() {
    let body = async move |mut me: Process<()>| {
        let seen = eater();
        let watch = me.monitor(seen.eater.gorge().await?);
        for _ in 0..5 {
            seen.eater.sync().await?;
            time::yield_now().await;
        }
        seen.eater.stop();
        assert_eq!(down(&mut me, watch).await?, ExitReason::Normal);
        Ok(())
    };
    for seed in 0..3 {
        once(Runtime::builder().seeded(seed), observe(body)).unwrap();
    }
    once(Runtime::builder().workers(1), observe(body)).unwrap();
}

#[test]
fn a_future_is_awaited_while_the_actor_handles_other_messages() {
    everywhere("pipe", || {
        observe(async move |mut me| {
            let (tell, told) = oneshot::channel();
            let mut seen = eater();
            let watch = me.monitor(seen.eater.pipe(told).await?);
            seen.eater.sync().await?;
            assert_eq!(seen.rest(), []);
            let _ = tell.send(7);
            assert_eq!(seen.next().await, Some(Told::Item(7)));
            assert_eq!(down(&mut me, watch).await?, ExitReason::Normal);
            Ok(())
        })
    });
}

#[test]
fn a_future_is_dropped_when_its_actor_ends_and_its_panic_ends_the_actor() {
    everywhere("pipe ends", || {
        observe(async move |mut me| {
            for reason in [ExitReason::Normal, ExitReason::value("why")] {
                let (mut tell, told) = oneshot::channel();
                let seen = eater();
                let watch = me.monitor(seen.eater.pipe(told).await?);
                seen.eater.address().stop(reason.clone());
                assert_eq!(down(&mut me, watch).await?, reason);
                tell.closed().await;
            }
            let (tell, told) = oneshot::channel();
            let seen = eater();
            let watch = me.monitor(&seen.eater);
            seen.eater.pipe(told).await?;
            drop(tell);
            let ExitReason::Panic(report) = down(&mut me, watch).await? else { panic!("it did not panic") };
            assert!(report.message.starts_with("it is digested"));
            Ok(())
        })
    });
}

/// What `init` has tied to itself, before the start fails, ends with it: somebody waits for the start, and it hears of nobody over
/// a link, but they do.
#[derive(Actor)]
struct Picky {
    tied: mpsc::UnboundedSender<[Pid; 2]>,
    panics: bool,
}

#[handlers]
impl Picky {
    #[start]
    fn new((tied, panics): (mpsc::UnboundedSender<[Pid; 2]>, bool)) -> Self {
        Self { tied, panics }
    }

    #[init]
    fn begin(&mut self, cx: &mut Context<Self>) -> Result<(), ExitReason> {
        let source = cx.attach(stream::pending::<u32>(), |me, item| me.item(item));
        let child = cx.spawn_link(process(async |mut me: Process<()>| Ok(me.receive().await?)));
        let _ = self.tied.send([source.pid(), child.pid()]);
        assert!(!self.panics, "told to");
        Err(ExitReason::value("no"))
    }

    fn item(&mut self, _: u32) {}
}

#[test]
fn what_a_start_has_tied_to_itself_ends_if_it_fails() {
    everywhere("what_a_start_has_tied_to_itself_ends_if_it_fails", || {
        observe(async move |mut me| {
            for panics in [false, true] {
                let (tell, mut tied) = mpsc::unbounded_channel();
                let spec = Picky::spec_with(move || (tell.clone(), panics));
                assert!(spec.start().await.is_err());
                for pid in tied.recv().await.expect("it has begun") {
                    let monitor = me.monitor(pid);
                    down(&mut me, monitor).await?;
                }
            }
            Ok(())
        })
    });
}

/// Feeds itself, or another, and lets go of what feeds it.
#[derive(Actor, Default)]
struct Fed;

#[handlers]
impl Fed {
    fn unlinked(&mut self, cx: &mut Context<Self>) -> Pid {
        let source = cx.attach(stream::repeat(1), |me, item| me.item(item));
        cx.unlink(source.pid());
        source.pid()
    }

    fn feed(&mut self, other: &'static ActorRef<Self>, cx: &mut Context<Self>) -> Pid {
        cx.trap_exits(true);
        cx.attach(stream::repeat(1), move |_, item| other.item(item)).pid()
    }

    async fn item(&mut self, _: u32) {
        time::sleep(millis(1)).await;
    }
}

#[test]
fn a_source_that_was_unlinked_ends_after_its_actor() {
    everywhere("a_source_that_was_unlinked_ends_after_its_actor", || {
        observe(async move |mut me| {
            let fed = spawn(Fed);
            let source = fed.unlinked().await?;
            let monitor = me.monitor(source);
            fed.stop();
            assert_eq!(down(&mut me, monitor).await?, ExitReason::Normal);
            Ok(())
        })
    });
}

#[test]
fn a_source_whose_items_go_to_the_dead_ends_although_its_actor_lives() {
    everywhere("a_source_whose_items_go_to_the_dead_ends_although_its_actor_lives", || {
        observe(async move |mut me| {
            // For as long as the test program runs.
            let gone: &'static ActorRef<Fed> = Box::leak(Box::new(spawn(Fed)));
            gone.stop();
            node().ended(gone).await;
            let fed = spawn(Fed);
            let source = fed.feed(gone).await?;
            let monitor = me.monitor(source);
            assert_eq!(down(&mut me, monitor).await?, ExitReason::NoProc);
            assert!(node().is_alive(&fed));
            Ok(())
        })
    });
}

//! Actors that have a thread of their own: not `Send`, or blocking; otherwise processes like all others.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::mpsc;
use std::thread::{self, ThreadId};

use biotope::prelude::*;
use biotope::{OwnThread, Runtime, StartError, Status, run, time};
use tokio::sync::oneshot;

/// Bound to its thread by its type, and by the compiler.
type Bound = Rc<RefCell<Vec<u64>>>;

#[derive(Actor)]
struct Desk {
    numbers: Bound,
    thread: ThreadId,
    told: mpsc::Sender<Told>,
}

/// What a desk tells of its life, and on which thread.
#[derive(Debug, PartialEq)]
enum Told {
    Terminated(String, ThreadId),
    Dropped(ThreadId),
}

#[handlers(own_thread)]
impl Desk {
    #[start]
    fn new(told: mpsc::Sender<Told>) -> Self {
        Self { numbers: Bound::default(), thread: thread::current().id(), told }
    }

    #[init]
    async fn begin(&mut self) {
        // Held over an await.
        let numbers = self.numbers.clone();
        time::yield_now().await;
        numbers.borrow_mut().push(0);
    }

    fn add(&mut self, number: u64) -> usize {
        self.assert_here();
        self.numbers.borrow_mut().push(number);
        self.numbers.borrow().len()
    }

    async fn add_later(&mut self, number: u64) -> usize {
        let numbers = self.numbers.clone();
        time::sleep(millis(1)).await;
        self.assert_here();
        numbers.borrow_mut().push(number);
        numbers.borrow().len()
    }

    fn thread(&self) -> ThreadId {
        self.thread
    }

    /// Blocks until somebody lets it go.
    fn block(&mut self, begun: oneshot::Sender<()>, go: Gate) {
        let _ = begun.send(());
        let _ = go.0.recv();
    }

    #[cast]
    fn fail(&mut self) {
        panic!("asked to");
    }

    #[cast]
    fn end(&mut self, cx: &mut Context<Self>) {
        cx.stop(ExitReason::value("done"));
    }

    /// What an actor may do beside working on its state.
    fn look_around(&mut self, cx: &mut Context<Self>) -> (Pid, Option<Status>) {
        let child = cx.spawn_link(process(async |mut me: Process<()>| Ok(me.receive().await?)));
        cx.then(|me| me.note(7));
        (child.pid(), node().peek(cx.pid()).map(|info| info.status))
    }

    #[cast]
    fn note(&mut self, number: u64) {
        self.numbers.borrow_mut().push(number);
    }

    fn numbers(&self) -> Vec<u64> {
        self.numbers.borrow().clone()
    }

    #[terminate]
    fn close(&mut self, reason: &ExitReason) {
        let _ = self.told.send(Told::Terminated(reason.to_string(), thread::current().id()));
    }
}

impl Desk {
    #[track_caller]
    fn assert_here(&self) {
        assert_eq!(thread::current().id(), self.thread);
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.assert_here();
        let _ = self.told.send(Told::Dropped(thread::current().id()));
    }
}

/// A receiver in a message, which is shown by nobody.
struct Gate(mpsc::Receiver<()>);

fn desk() -> (Spec<Desk, OwnThread>, mpsc::Receiver<Told>) {
    let (told, heard) = mpsc::channel();
    (Desk::spec_with(move || told.clone()), heard)
}

/// Why `pid` ends when `act` has happened.
async fn end_of(pid: impl Into<Pid>, act: impl FnOnce() + Send + 'static) -> biotope::Result<ExitReason> {
    let (pid, (tell, told)) = (pid.into(), oneshot::channel());
    spawn(process(async move |mut me: Process<()>| {
        let monitor = me.monitor(pid);
        act();
        let down = me.receive_info(move |info| match info {
            Info::Down(down) if down.reference == monitor => Ok(down.reason),
            other => Err(other),
        });
        let _ = tell.send(down.await?);
        Ok(())
    }));
    Ok(told.await?)
}

async fn a_life() -> biotope::Result<()> {
    let (spec, heard) = desk();
    let desk = spec.start().await?;
    assert_eq!(desk.add(1).await?, 2);
    assert_eq!(desk.add_later(2).await?, 3);
    assert_eq!(desk.with_state(|desk| desk.numbers.borrow().clone()).await?, [0, 1, 2]);
    let thread = desk.thread().await?;
    if !node().runtime().is_seeded() {
        assert_ne!(thread, thread::current().id());
    }
    // Links, monitors, children and continuing, as in any process.
    let (child, seen) = desk.look_around().await?;
    assert_eq!(seen, Some(Status::Running));
    assert_eq!(desk.numbers().await?, [0, 1, 2, 7]);
    let ending = desk.clone();
    assert_eq!(end_of(child, move || ending.end()).await?, ExitReason::value("done"), "it was linked");
    node().ended(&desk).await;
    assert_eq!(heard.try_recv()?, Told::Terminated("\"done\"".to_owned(), thread));
    assert_eq!(heard.try_recv()?, Told::Dropped(thread));
    assert_eq!(desk.add(3).await, Err(CallFailed::NoProc));
    // A panic, and a kill.
    for kill in [false, true] {
        let (spec, heard) = self::desk();
        let desk = spec.start().await?;
        let thread = desk.thread().await?;
        let (go, gate) = mpsc::channel();
        drop(go);
        desk.block(oneshot::channel().0, Gate(gate)).await?;
        let ending = desk.clone();
        if kill {
            let reason = end_of(&desk, move || node().exit(&ending, ExitReason::Kill)).await?;
            assert_eq!(reason, ExitReason::Killed);
        } else {
            let reason = end_of(&desk, move || ending.fail()).await?;
            assert!(matches!(reason, ExitReason::Panic(_)));
            assert!(matches!(heard.try_recv()?, Told::Terminated(_, on) if on == thread));
        }
        assert_eq!(heard.try_recv()?, Told::Dropped(thread));
    }
    Ok(())
}

#[biotope::test(allow_crashes)]
async fn what_is_not_send_lives_and_dies_on_its_thread() -> biotope::Result<()> {
    for _ in 0..20 {
        a_life().await?;
    }
    Ok(())
}

#[biotope::test(seeds = 200, allow_crashes)]
async fn in_a_seeded_run_it_is_one_process_among_others() -> biotope::Result<()> {
    a_life().await
}

/// On one worker: it would be held up, if the handler ran there. Nothing is reported either.
#[test]
fn a_handler_that_blocks_holds_up_nobody_else() {
    let outcome = run(Runtime::builder().workers(1), "test", async {
        let (desk, other) = (desk().0.start().await?, desk().0.start().await?);
        let ((begun, begins), (go, gate)) = (oneshot::channel(), mpsc::channel());
        let blocked = desk.block(begun, Gate(gate)).send();
        begins.await?;
        // It is in its handler; all others go on, as long as they like.
        let mut lints = node().lints();
        for number in 0..1_000 {
            assert_eq!(other.add(number).await?, number as usize + 2);
            assert_eq!(spawn(process(async |_: Process<()>| Ok(()))).pid().node(), node().id());
        }
        let seen = node().peek(&desk).map(|info| (info.status, info.activity));
        assert_eq!(seen, Some((Status::Running, Some("block"))));
        // An exit signal reaches it when the handler is over.
        let ending = desk.clone();
        let reason = end_of(&desk, move || {
            node().exit(&ending, ExitReason::Kill);
            drop(go);
        });
        assert_eq!(reason.await?, ExitReason::Killed);
        // Its reply went out before.
        assert_eq!(blocked.await, Ok(()));
        // What the machine does to others, as to take the core away in a turn of theirs, is not told of it.
        let seen = |event: Option<biotope::LintEvent>| assert_ne!(event.map(|event| event.pid), Some(desk.pid()));
        while let Some(event) = futures_util::FutureExt::now_or_never(lints.next()) {
            seen(event);
        }
        Ok(())
    });
    assert_eq!(outcome.expect("a node"), Ok(()));
}

/// Many, at once: each on a thread of its own, none left behind.
#[biotope::test(allow_crashes)]
async fn many_come_and_go() -> biotope::Result<()> {
    let (spec, heard) = desk();
    let mut threads = std::collections::HashSet::new();
    for _ in 0..5 {
        let mut desks = Vec::new();
        for _ in 0..20 {
            desks.push(spec.start().await?);
        }
        for desk in desks {
            assert!(threads.insert(desk.thread().await?), "no two have one");
            let ending = desk.clone();
            assert_eq!(end_of(&desk, move || ending.end()).await?, ExitReason::value("done"));
        }
    }
    drop(spec);
    assert_eq!(heard.iter().count(), 200, "each has told of its end, and is dropped");
    Ok(())
}

/// A supervisor restarts it as any other, on a new thread.
#[biotope::test(allow_crashes)]
async fn a_supervisor_restarts_it() -> biotope::Result<()> {
    let (spec, heard) = desk();
    let _supervisor = Supervisor::one_for_one().child(spec.named("desk")).start_link().await?;
    let desk = node().named::<Desk>("desk");
    let first = desk.now()?;
    let thread = first.thread().await?;
    first.fail();
    node().ended(&first).await;
    let second = desk.within(secs(300)).await?;
    assert_ne!(second.thread().await?, thread);
    assert_eq!(second.add(1).await?, 2);
    assert!(matches!(heard.try_recv()?, Told::Terminated(_, on) if on == thread));
    Ok(())
}

/// What it is to be made of: an error of its start is one like any other's.
#[derive(Actor)]
struct Picky(#[expect(dead_code, reason = "it is not Send")] Rc<()>);

#[handlers(own_thread)]
impl Picky {
    #[start]
    fn new(likes: bool) -> Result<Self, biotope::Error> {
        if likes { Ok(Self(Rc::new(()))) } else { Err(ExitReason::value("no").into()) }
    }
}

#[biotope::test(seeds = 20)]
async fn a_start_that_is_refused() -> biotope::Result<()> {
    let refused = Picky::spec_with(|| false).start().await;
    assert_eq!(refused, Err(StartError::Refused(ExitReason::value("no"))));
    let picky = Picky::spec_with(|| true).start().await?;
    // A priority that workers would pick it by does not move it.
    biotope::test::spawn(options(Picky::spec_with(|| true)).priority(biotope::Priority::Low));
    picky.stop();
    node().ended(&picky).await;
    Ok(())
}

/// A node that ends takes it along, and the runtime its thread.
#[test]
fn a_node_that_shuts_down_ends_it() {
    let (spec, heard) = desk();
    {
        let runtime = Runtime::builder().workers(1).build().expect("a runtime");
        runtime.block_on(async {
            let node = Node::builder("test").runtime(runtime.clone()).start().await.expect("a node");
            node.start(&spec).await.expect("it starts");
            node.shutdown().await;
        });
        drop(spec);
    }
    assert!(heard.iter().any(|told| matches!(told, Told::Dropped(_))));
}

/// A seeded run that goes on in another thread would take it along.
#[test]
#[should_panic = "goes on where it began"]
fn a_seeded_run_does_not_move_it() {
    let runtime = Runtime::builder().seeded(1).build().expect("a runtime");
    let node = runtime.block_on(Node::builder("test").runtime(runtime.clone()).start()).expect("a node");
    let picky = runtime.block_on(node.start(&Picky::spec_with(|| true))).expect("it starts");
    let moved = thread::spawn(move || {
        picky.stop();
        runtime.block_on(node.ended(&picky));
    });
    if let Err(payload) = moved.join() {
        std::panic::resume_unwind(payload);
    }
}

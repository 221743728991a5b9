//! Stop, drain and kill: the table of `docs/internals/exit.md`, cell by cell.
//!
//! The names of the tests say the cell: `ends_<way>_<what>`. Most begin with an actor that is held in a handler
//! that awaits, so that its mailbox is known when the end is asked for.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc as threads_mpsc;
use std::time::Duration;

use biotope_runtime::{
    Actor, ActorRef, Address, Call, CallFailed, Context, DeadLetter, Exit, ExitReason, Handle, Info, MonitorRef,
    Process, ReceiveError, ReplyTo, Request, Result, Step, node, spawn, spawn_process, time,
};
use tokio::sync::oneshot;

use crate::acts::{Dropping, Log, act, acted, down, dropping, end_of, puppet};
use crate::runs::{SEEDS, everywhere, is_virtual, millis, secs, threads, under_seeds, until};

/// What the actor of these tests enters, in order.
#[derive(Clone, Debug, PartialEq)]
enum Event {
    /// It handled the message of this number.
    Handled(u32),
    /// The handler that awaited came to its end.
    Resumed,
    /// The handler that awaited was dropped before.
    Abandoned,
    /// `terminate` ran.
    Terminated(ExitReason),
    /// Its state was dropped.
    Dropped,
}

use Event::{Abandoned, Dropped, Handled, Resumed, Terminated};

/// What an examined process does when it is told.
type Deed = Box<dyn FnOnce(&mut Context<Examined>) + Send>;

struct Examined {
    log: Log<Event>,
    /// `terminate` awaits this, if it is set.
    last_wish: Option<(oneshot::Sender<()>, oneshot::Receiver<()>)>,
}

enum Told {
    Note(u32),
    Ask(u32, ReplyTo<u32>),
    /// Says that it has begun, and awaits the gate.
    Await {
        begun: oneshot::Sender<()>,
        gate: oneshot::Receiver<()>,
        reply: ReplyTo<u32>,
    },
    Act(Deed),
}

impl Actor for Examined {
    type Msg = Told;
    type Client = Address<Told>;
    const NAME: &'static str = "Examined";
}

impl Handle for Examined {
    async fn handle(&mut self, message: Told, _cx: &mut Context<Self>) {
        let Told::Await { begun, gate, reply } = message else { unreachable!("`step` handles the others") };
        let mut awaiting = Awaiting { log: self.log.clone(), is_over: false };
        let _ = begun.send(());
        let _ = gate.await;
        awaiting.is_over = true;
        self.log.push(Resumed);
        reply.send(0);
    }

    fn step(&mut self, message: Told, cx: &mut Context<Self>) -> Step<impl Future<Output = ()> + Send> {
        match message {
            Told::Note(n) => self.log.push(Handled(n)),
            Told::Ask(n, reply) => {
                self.log.push(Handled(n));
                reply.send(n);
            }
            Told::Act(act) => act(cx),
            awaits @ Told::Await { .. } => return Step::Async(self.handle(awaits, cx)),
        }
        Step::Done
    }

    async fn terminate(&mut self, reason: &ExitReason, _cx: &mut Context<Self>) {
        self.log.push(Terminated(reason.clone()));
        if let Some((begun, gate)) = self.last_wish.take() {
            let mut awaiting = Awaiting { log: self.log.clone(), is_over: false };
            let _ = begun.send(());
            let _ = gate.await;
            awaiting.is_over = true;
            self.log.push(Resumed);
        }
    }
}

impl Drop for Examined {
    fn drop(&mut self) {
        self.log.push(Dropped);
    }
}

/// What a handler holds while it awaits.
struct Awaiting {
    log: Log<Event>,
    is_over: bool,
}

impl Drop for Awaiting {
    fn drop(&mut self) {
        if !self.is_over {
            self.log.push(Abandoned);
        }
    }
}

/// An actor that is held in a handler, with its caller.
struct Held {
    actor: ActorRef<Examined>,
    log: Log<Event>,
    /// Lets the handler go on.
    open: oneshot::Sender<()>,
    /// The call that the handler is about.
    caller: Request<u32>,
    monitor: MonitorRef,
    /// How many dead letters there were before.
    stopped: u64,
    lost: u64,
}

const PATIENT: Duration = secs(300);

fn examined() -> (ActorRef<Examined>, Log<Event>) {
    let log = Log::new();
    (spawn(Examined { log: log.clone(), last_wish: None }), log)
}

async fn held<M: Send + 'static>(me: &Process<M>) -> Result<Held> {
    let (actor, log) = examined();
    let monitor = me.monitor(&actor);
    let (open, gate) = oneshot::channel();
    let (begin, begun) = oneshot::channel();
    let await_it = |reply| Told::Await { begun: begin, gate, reply };
    let caller = Call::new(&actor, await_it).timeout(PATIENT).send();
    begun.await?;
    let stopped = node().dead_letters_of(DeadLetter::Stopped);
    let lost = node().dead_letters_of(DeadLetter::NoProc);
    Ok(Held { actor, log, open, caller, monitor, stopped, lost })
}

impl Held {
    fn note(&self, n: u32) {
        self.actor.cast(Told::Note(n));
    }

    fn ask(&self, n: u32) -> Request<u32> {
        Call::new(&self.actor, |reply| Told::Ask(n, reply)).timeout(PATIENT).send()
    }

    fn stop(&self, reason: ExitReason) {
        self.actor.address().stop(reason);
    }

    fn drain(&self) {
        node().drain(&self.actor);
    }

    fn kill(&self) {
        node().exit(&self.actor, ExitReason::Kill);
    }

    /// Messages that were in the mailbox at the end, and messages that came to no mailbox, since it was held.
    fn dead_letters(&self) -> (u64, u64) {
        let now = |why| node().dead_letters_of(why);
        (now(DeadLetter::Stopped) - self.stopped, now(DeadLetter::NoProc) - self.lost)
    }
}

fn enough() -> ExitReason {
    ExitReason::value("enough")
}

const DIED: fn(ExitReason) -> std::result::Result<u32, CallFailed> = |reason| Err(CallFailed::Died(reason));

// ---- stop: a request that takes its turn in the mailbox

#[test]
fn ends_stop_messages_before_it_are_handled_and_those_behind_it_are_dead_letters() {
    everywhere(async |mut me: Process<()>| {
        let mut held = held(&me).await?;
        held.note(1);
        held.note(2);
        held.stop(enough());
        held.note(3);
        held.note(4);
        held.note(5);
        let open = std::mem::replace(&mut held.open, oneshot::channel().0);
        let _ = open.send(());
        assert_eq!(down(&mut me, held.monitor).await?.reason, enough());
        assert_eq!(held.log.all(), [Resumed, Handled(1), Handled(2), Terminated(enough()), Dropped]);
        assert_eq!(held.dead_letters(), (3, 0));
        // What comes later reaches nobody.
        held.note(6);
        assert_eq!(held.dead_letters(), (3, 1));
        Ok(())
    });
}

#[test]
fn ends_stop_callers_before_it_have_replies_and_those_behind_it_learn_the_reason() {
    everywhere(async |mut me: Process<()>| {
        let held = held(&me).await?;
        let (before, again) = (held.ask(1), held.ask(2));
        held.stop(enough());
        let (behind, last) = (held.ask(3), held.ask(4));
        let address = held.actor.clone();
        let _ = held.open.send(());
        assert_eq!((held.caller.await, before.await, again.await), (Ok(0), Ok(1), Ok(2)));
        assert_eq!((behind.await, last.await), (DIED(enough()), DIED(enough())));
        assert_eq!(down(&mut me, held.monitor).await?.reason, enough());
        assert_eq!(Call::new(&address, |reply| Told::Ask(5, reply)).await, Err(CallFailed::NoProc));
        Ok(())
    });
}

/// The handler that runs, and awaits, is not disturbed by `asked`, however long it takes.
fn a_handler_that_awaits_comes_to_its_end(asked: fn(&Held)) {
    under_seeds(SEEDS, move |mut me: Process<()>| async move {
        let held = held(&me).await?;
        asked(&held);
        time::sleep(secs(200)).await;
        assert_eq!(held.log.all(), []);
        assert!(node().is_alive(&held.actor));
        let _ = held.open.send(());
        assert_eq!(held.caller.await, Ok(0));
        assert_eq!(down(&mut me, held.monitor).await?.reason, ExitReason::Normal);
        assert_eq!(held.log.all(), [Resumed, Terminated(ExitReason::Normal), Dropped]);
        Ok(())
    });
}

#[test]
fn ends_stop_a_handler_that_awaits_comes_to_its_end() {
    a_handler_that_awaits_comes_to_its_end(|held| held.stop(ExitReason::Normal));
}

/// A plain handler comes to its end, too, and what was in the mailbox before the request is handled.
#[test]
fn ends_stop_a_plain_handler_comes_to_its_end() {
    everywhere(async |mut me: Process<()>| {
        let held = held(&me).await?;
        let log = held.log.clone();
        held.actor.cast(Told::Act(Box::new(move |cx| {
            cx.myself().address().stop(enough());
            cx.myself().cast(Told::Note(9));
            log.push(Handled(7));
        })));
        held.note(1);
        let _ = held.open.send(());
        assert_eq!(down(&mut me, held.monitor).await?.reason, enough());
        assert_eq!(held.log.all(), [Resumed, Handled(7), Handled(1), Terminated(enough()), Dropped]);
        Ok(())
    });
}

/// On threads: one that runs at the moment of the request, on another worker.
#[test]
fn ends_stop_a_handler_that_runs_at_that_moment_comes_to_its_end() {
    threads(10, async |mut me: Process<()>| {
        let (running, release, log, actor, monitor) = running(&me).await?;
        actor.address().stop(enough());
        actor.cast(Told::Note(2));
        release.send(()).expect("it waits");
        running.await?;
        assert_eq!(down(&mut me, monitor).await?.reason, enough());
        assert_eq!(log.all(), [Handled(7), Handled(1), Terminated(enough()), Dropped]);
        Ok(())
    });
}

/// An actor in a plain handler that holds its worker, with a message behind it.
async fn running<M: Send + 'static>(
    me: &Process<M>,
) -> Result<(oneshot::Receiver<()>, threads_mpsc::Sender<()>, Log<Event>, ActorRef<Examined>, MonitorRef)> {
    let (actor, log) = examined();
    let monitor = me.monitor(&actor);
    let (release, released) = threads_mpsc::channel();
    let (begin, begun) = oneshot::channel();
    let (end, ended) = oneshot::channel();
    let entered = log.clone();
    actor.cast(Told::Act(Box::new(move |_| {
        let _ = begin.send(());
        // Fails if the test does, which lets it go on, too.
        let _ = released.recv();
        entered.push(Handled(7));
        let _ = end.send(());
    })));
    actor.cast(Told::Note(1));
    begun.await?;
    Ok((ended, release, log, actor, monitor))
}

/// The first request counts.
#[test]
fn ends_stop_the_first_reason_counts() {
    everywhere(async |mut me: Process<()>| {
        let held = held(&me).await?;
        held.stop(enough());
        held.stop(ExitReason::value("too late"));
        held.note(1);
        let _ = held.open.send(());
        assert_eq!(down(&mut me, held.monitor).await?.reason, enough());
        assert_eq!(held.log.all(), [Resumed, Terminated(enough()), Dropped]);
        Ok(())
    });
}

/// One that stops itself ends after the handler that runs: what is in its mailbox is not handled.
#[test]
fn ends_stop_of_itself_is_after_the_handler_that_runs() {
    everywhere(async |mut me: Process<()>| {
        let held = held(&me).await?;
        let log = held.log.clone();
        held.actor.cast(Told::Act(Box::new(move |cx| {
            cx.stop(enough());
            log.push(Handled(7));
        })));
        held.note(1);
        let asked = held.ask(2);
        let stopped = node().dead_letters_of(DeadLetter::Stopped);
        let _ = held.open.send(());
        assert_eq!(asked.await, DIED(enough()));
        assert_eq!(down(&mut me, held.monitor).await?.reason, enough());
        assert_eq!(held.log.all(), [Resumed, Handled(7), Terminated(enough()), Dropped]);
        assert_eq!(node().dead_letters_of(DeadLetter::Stopped) - stopped, 2);
        Ok(())
    });
}

/// A suspended process takes the request past the messages that wait.
#[test]
fn ends_stop_a_suspended_process_takes_it_past_its_messages() {
    everywhere(async |mut me: Process<()>| {
        let held = held(&me).await?;
        node().suspend(&held.actor);
        held.note(1);
        held.note(2);
        held.stop(enough());
        let (actor, log, monitor, stopped) = (held.actor.clone(), held.log.clone(), held.monitor, held.stopped);
        let _ = held.open.send(());
        assert_eq!(down(&mut me, monitor).await?.reason, enough());
        assert_eq!(log.all(), [Resumed, Terminated(enough()), Dropped]);
        assert_eq!(node().dead_letters_of(DeadLetter::Stopped) - stopped, 2);
        assert!(!node().is_alive(&actor));
        Ok(())
    });
}

/// An actor that waits ends at once; one that has ended is no concern of the request.
#[test]
fn ends_stop_an_idle_and_a_dead_process() {
    everywhere(async |mut me: Process<()>| {
        let (actor, log) = examined();
        let monitor = me.monitor(&actor);
        actor.stop();
        assert_eq!(down(&mut me, monitor).await?.reason, ExitReason::Normal);
        assert_eq!(log.all(), [Terminated(ExitReason::Normal), Dropped]);
        actor.stop();
        node().drain(&actor);
        node().exit(&actor, ExitReason::Kill);
        node().suspend(&actor);
        assert_eq!(end_of(&mut me, &actor).await?, ExitReason::NoProc);
        assert_eq!(log.len(), 2);
        Ok(())
    });
}

/// Straight-line code is told by the receive that comes to the request.
#[test]
fn ends_stop_straight_line_code_is_told_when_it_comes_to_it() {
    everywhere(async |mut me: Process<()>| {
        let (process, log, open, monitor) = straight(&me, None);
        let stopped = node().dead_letters_of(DeadLetter::Stopped);
        process.cast(1);
        process.cast(2);
        process.stop(enough());
        process.cast(3);
        let _ = open.send(());
        assert_eq!(down(&mut me, monitor).await?.reason, enough());
        assert_eq!(log.all(), [Resumed, Handled(1), Handled(2), Terminated(enough()), Dropped]);
        assert_eq!(node().dead_letters_of(DeadLetter::Stopped) - stopped, 1);
        Ok(())
    });
}

/// A process that awaits a gate, and then receives until it is told to stop. With a pick, only that number.
fn straight<M: Send + 'static>(
    me: &Process<M>,
    pick: Option<u32>,
) -> (Address<u32>, Log<Event>, oneshot::Sender<()>, MonitorRef) {
    let log = Log::new();
    let (open, gate) = oneshot::channel::<()>();
    let entered = log.clone();
    let process = spawn_process(async move |mut me: Process<u32>| {
        struct State(Log<Event>);
        impl Drop for State {
            fn drop(&mut self) {
                self.0.push(Dropped);
            }
        }
        let state = State(entered);
        let mut awaiting = Awaiting { log: state.0.clone(), is_over: false };
        let _ = gate.await;
        awaiting.is_over = true;
        state.0.push(Resumed);
        loop {
            match me.receive_match(|n| pick.is_none_or(|pick| *n == pick)).await {
                Ok(n) => state.0.push(Handled(n)),
                Err(ReceiveError::Stopped(reason)) => {
                    state.0.push(Terminated(reason.clone()));
                    return Err(reason.into());
                }
                Err(other) => return Err(other.into()),
            }
        }
    });
    let monitor = me.monitor(&process);
    (process, log, open, monitor)
}

/// Also one that waits for something else than what lies before the request: it looks past that.
#[test]
fn ends_stop_a_selective_receive_comes_to_the_request() {
    everywhere(async |mut me: Process<()>| {
        let (process, log, open, monitor) = straight(&me, Some(9));
        let _ = open.send(());
        for n in [1, 2, 9] {
            process.cast(n);
        }
        process.stop(ExitReason::Shutdown);
        process.cast(9);
        assert_eq!(down(&mut me, monitor).await?.reason, ExitReason::Shutdown);
        assert_eq!(log.all(), [Resumed, Handled(9), Terminated(ExitReason::Shutdown), Dropped]);
        Ok(())
    });
}

/// Code that awaits something else comes to the request when it receives again.
#[test]
fn ends_stop_straight_line_code_that_awaits_is_not_disturbed() {
    under_seeds(SEEDS, async |mut me: Process<()>| {
        let (process, log, open, monitor) = straight(&me, None);
        process.stop(enough());
        time::sleep(secs(200)).await;
        assert!(node().is_alive(&process) && log.all().is_empty());
        let _ = open.send(());
        assert_eq!(down(&mut me, monitor).await?.reason, enough());
        assert_eq!(log.all(), [Resumed, Terminated(enough()), Dropped]);
        Ok(())
    });
}

// ---- drain: nothing new is taken, what is queued is handled

#[test]
fn ends_drain_what_is_queued_is_handled_and_nothing_new_is_taken() {
    everywhere(async |mut me: Process<()>| {
        let mut held = held(&me).await?;
        held.note(1);
        held.note(2);
        held.drain();
        held.note(3);
        held.note(4);
        let open = std::mem::replace(&mut held.open, oneshot::channel().0);
        let _ = open.send(());
        assert_eq!(down(&mut me, held.monitor).await?.reason, ExitReason::Normal);
        assert_eq!(held.log.all(), [Resumed, Handled(1), Handled(2), Terminated(ExitReason::Normal), Dropped]);
        // Casts after it are dead letters, of the kind for which there is no process.
        assert_eq!(held.dead_letters(), (0, 2));
        Ok(())
    });
}

/// A call after it fails at once with `NoProc`, although the process is still there.
#[test]
fn ends_drain_new_calls_fail_at_once() {
    everywhere(async |mut me: Process<()>| {
        let held = held(&me).await?;
        let before = held.ask(1);
        held.drain();
        assert_eq!(held.ask(2).await, Err(CallFailed::NoProc));
        assert!(node().is_alive(&held.actor));
        let other = held.actor.clone();
        let from_elsewhere = acted(&puppet(), move |_| Call::new(&other, |reply| Told::Ask(3, reply)).send()).await?;
        assert_eq!(from_elsewhere.await, Err(CallFailed::NoProc));
        let _ = held.open.send(());
        assert_eq!((held.caller.await, before.await), (Ok(0), Ok(1)), "those before it have their replies");
        assert_eq!(down(&mut me, held.monitor).await?.reason, ExitReason::Normal);
        assert_eq!(held.log.all(), [Resumed, Handled(1), Terminated(ExitReason::Normal), Dropped]);
        Ok(())
    });
}

#[test]
fn ends_drain_the_handler_that_runs_comes_to_its_end() {
    a_handler_that_awaits_comes_to_its_end(Held::drain);
}

#[test]
fn ends_drain_a_handler_that_runs_at_that_moment_comes_to_its_end() {
    threads(10, async |mut me: Process<()>| {
        let (running, release, log, actor, monitor) = running(&me).await?;
        node().drain(&actor);
        actor.cast(Told::Note(2));
        release.send(()).expect("it waits");
        running.await?;
        assert_eq!(down(&mut me, monitor).await?.reason, ExitReason::Normal);
        assert_eq!(log.all(), [Handled(7), Handled(1), Terminated(ExitReason::Normal), Dropped]);
        Ok(())
    });
}

/// What a draining process sends itself is new, too.
#[test]
fn ends_drain_what_it_sends_itself_is_not_taken() {
    everywhere(async |mut me: Process<()>| {
        let held = held(&me).await?;
        held.actor.cast(Told::Act(Box::new(|cx| cx.myself().cast(Told::Note(9)))));
        held.note(1);
        held.drain();
        let (log, lost) = (held.log.clone(), held.lost);
        let _ = held.open.send(());
        assert_eq!(down(&mut me, held.monitor).await?.reason, ExitReason::Normal);
        assert_eq!(log.all(), [Resumed, Handled(1), Terminated(ExitReason::Normal), Dropped]);
        assert_eq!(node().dead_letters_of(DeadLetter::NoProc) - lost, 1);
        Ok(())
    });
}

/// A kill during it is a kill.
#[test]
fn ends_drain_a_kill_during_it_is_a_kill() {
    everywhere(async |mut me: Process<()>| {
        let held = held(&me).await?;
        held.note(1);
        let asked = held.ask(2);
        held.drain();
        held.kill();
        assert_eq!(down(&mut me, held.monitor).await?.reason, ExitReason::Killed);
        assert_eq!(held.log.all(), [Abandoned, Dropped]);
        assert_eq!(held.dead_letters(), (2, 0));
        assert_eq!((held.caller.await, asked.await), (DIED(ExitReason::Killed), DIED(ExitReason::Killed)));
        Ok(())
    });
}

/// Signals are not messages: they reach a process that drains.
#[test]
fn ends_drain_exit_signals_and_links_still_act() {
    everywhere(async |mut me: Process<()>| {
        let signalled = held(&me).await?;
        signalled.note(1);
        signalled.drain();
        me.exit(&signalled.actor, ExitReason::Shutdown);
        assert_eq!(down(&mut me, signalled.monitor).await?.reason, ExitReason::Shutdown);
        assert_eq!(signalled.log.all(), [Abandoned, Dropped]);

        let linked = held(&me).await?;
        linked.drain();
        let (partner, pid) = (puppet(), linked.actor.pid());
        acted(&partner, move |partner| partner.link(pid)).await?;
        let again = me.monitor(pid);
        me.exit(&partner, enough());
        assert_eq!(down(&mut me, linked.monitor).await?.reason, enough());
        assert_eq!(down(&mut me, again).await?.reason, enough(), "a monitor is set while it drains");
        Ok(())
    });
}

/// Without anything in its mailbox it ends at once; twice is once.
#[test]
fn ends_drain_an_idle_process_and_twice() {
    everywhere(async |mut me: Process<()>| {
        let (actor, log) = examined();
        let monitor = me.monitor(&actor);
        node().drain(&actor);
        node().drain(&actor);
        assert_eq!(down(&mut me, monitor).await?.reason, ExitReason::Normal);
        assert_eq!(log.all(), [Terminated(ExitReason::Normal), Dropped]);

        let held = held(&me).await?;
        held.note(1);
        held.drain();
        held.drain();
        let _ = held.open.send(());
        assert_eq!(down(&mut me, held.monitor).await?.reason, ExitReason::Normal);
        assert_eq!(held.log.all(), [Resumed, Handled(1), Terminated(ExitReason::Normal), Dropped]);
        Ok(())
    });
}

/// A suspended process handles nothing: it comes to its end past its messages, as for a stop.
#[test]
fn ends_drain_a_suspended_process_ends_past_its_messages() {
    everywhere(async |mut me: Process<()>| {
        let held = held(&me).await?;
        node().suspend(&held.actor);
        held.note(1);
        held.drain();
        held.note(2);
        let (log, monitor, stopped, lost) = (held.log.clone(), held.monitor, held.stopped, held.lost);
        let _ = held.open.send(());
        assert_eq!(down(&mut me, monitor).await?.reason, ExitReason::Normal);
        assert_eq!(log.all(), [Resumed, Terminated(ExitReason::Normal), Dropped]);
        assert_eq!(node().dead_letters_of(DeadLetter::Stopped) - stopped, 1);
        assert_eq!(node().dead_letters_of(DeadLetter::NoProc) - lost, 1);
        Ok(())
    });
}

#[test]
fn ends_drain_straight_line_code_receives_what_is_queued() {
    everywhere(async |mut me: Process<()>| {
        let (process, log, open, monitor) = straight(&me, None);
        process.cast(1);
        process.cast(2);
        node().drain(&process);
        assert!(process.try_cast(3).is_err());
        let _ = open.send(());
        assert_eq!(down(&mut me, monitor).await?.reason, ExitReason::Normal);
        let expected = [Resumed, Handled(1), Handled(2), Terminated(ExitReason::Normal), Dropped];
        assert_eq!(log.all(), expected);
        Ok(())
    });
}

/// Goal: whatever races with the drain, each message is handled or a dead letter, and each call answered.
#[test]
fn ends_drain_no_message_is_lost_between_the_two() {
    everywhere(async |mut me: Process<()>| {
        let held = held(&me).await?;
        let senders: Vec<_> = (0..4).map(|_| puppet()).collect();
        let (report, mut requests) = tokio::sync::mpsc::unbounded_channel();
        for sender in &senders {
            let (actor, report) = (held.actor.clone(), report.clone());
            act(sender, move |_| {
                for n in 0..20 {
                    actor.cast(Told::Note(n));
                    let _ = report.send(Call::new(&actor, |reply| Told::Ask(n, reply)).timeout(PATIENT).send());
                }
            });
        }
        drop(report);
        held.drain();
        let (log, stopped, lost) = (held.log.clone(), held.stopped, held.lost);
        let _ = held.open.send(());
        assert_eq!(down(&mut me, held.monitor).await?.reason, ExitReason::Normal);
        let (mut replies, mut refusals) = (0, 0);
        while let Some(request) = requests.recv().await {
            match request.await {
                Ok(_) => replies += 1,
                Err(CallFailed::NoProc) => refusals += 1,
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(replies + refusals, 80);
        let handled = log.all().iter().filter(|event| matches!(event, Handled(_))).count() as u64;
        let notes = handled - replies;
        assert_eq!(node().dead_letters_of(DeadLetter::Stopped), stopped);
        // A call that fails has told its caller; whether it counts as a dead letter is not said here.
        let lost = node().dead_letters_of(DeadLetter::NoProc) - lost;
        assert!(notes + lost == 80 || notes + lost == 80 + refusals, "{notes} handled, {lost} lost");
        Ok(())
    });
}

// ---- kill: an exit signal that cannot be trapped

#[test]
fn ends_kill_what_is_queued_is_not_handled_and_terminate_does_not_run() {
    everywhere(async |mut me: Process<()>| {
        let held = held(&me).await?;
        held.note(1);
        held.note(2);
        held.kill();
        held.note(3);
        assert_eq!(down(&mut me, held.monitor).await?.reason, ExitReason::Killed);
        assert_eq!(held.log.all(), [Abandoned, Dropped], "the future goes before the state");
        let (stopped, lost) = held.dead_letters();
        // The last one was in the mailbox, or came too late for that.
        assert!(stopped >= 2 && stopped + lost == 3, "{stopped} {lost}");
        Ok(())
    });
}

#[test]
fn ends_kill_callers_learn_that_it_was_killed() {
    everywhere(async |mut me: Process<()>| {
        let held = held(&me).await?;
        let queued = [held.ask(1), held.ask(2)];
        held.kill();
        assert_eq!(held.caller.await, DIED(ExitReason::Killed));
        for queued in queued {
            assert_eq!(queued.await, DIED(ExitReason::Killed));
        }
        assert_eq!(down(&mut me, held.monitor).await?.reason, ExitReason::Killed);
        let later = Call::new(&held.actor, |reply| Told::Ask(3, reply)).await;
        assert_eq!(later, Err(CallFailed::NoProc));
        Ok(())
    });
}

/// The future of the handler that awaits is dropped, without being polled again, also if what it awaits has
/// come.
#[test]
fn ends_kill_a_handler_that_awaits_is_dropped() {
    everywhere(async |mut me: Process<()>| {
        let mut held = held(&me).await?;
        let open = std::mem::replace(&mut held.open, oneshot::channel().0);
        held.kill();
        // Behind the signal, so that its turn receives that first.
        let _ = open.send(());
        assert_eq!(down(&mut me, held.monitor).await?.reason, ExitReason::Killed);
        assert_eq!(held.log.all(), [Abandoned, Dropped]);
        Ok(())
    });
}

/// A plain handler that is running comes to the end of its message, and no other is handled after the signal
/// has been received.
#[test]
fn ends_kill_a_plain_handler_comes_to_its_end() {
    everywhere(async |mut me: Process<()>| {
        let held = held(&me).await?;
        let log = held.log.clone();
        held.actor.cast(Told::Act(Box::new(move |cx| {
            cx.node().exit(cx.pid(), ExitReason::Kill);
            log.push(Handled(7));
        })));
        let (log, monitor) = (held.log.clone(), held.monitor);
        let _ = held.open.send(());
        assert_eq!(down(&mut me, monitor).await?.reason, ExitReason::Killed);
        assert_eq!(log.all(), [Resumed, Handled(7), Dropped]);
        Ok(())
    });
}

/// On threads, on another worker; what is in its mailbox is handled or a dead letter, and nothing of it is
/// handled in the next turn.
#[test]
fn ends_kill_a_handler_that_runs_at_that_moment_comes_to_its_end() {
    threads(20, async |mut me: Process<()>| {
        let (running, release, log, actor, monitor) = running(&me).await?;
        let stopped = node().dead_letters_of(DeadLetter::Stopped);
        node().exit(&actor, ExitReason::Kill);
        assert!(node().is_alive(&actor), "its handler runs");
        release.send(()).expect("it waits");
        running.await?;
        assert_eq!(down(&mut me, monitor).await?.reason, ExitReason::Killed);
        let log = log.all();
        let dead = node().dead_letters_of(DeadLetter::Stopped) - stopped;
        let expected = if dead == 1 { vec![Handled(7), Dropped] } else { vec![Handled(7), Handled(1), Dropped] };
        assert_eq!((log, dead <= 1), (expected, true));
        Ok(())
    });
}

/// It acts when it is received, at the next turn, however many messages lie before it.
#[test]
fn ends_kill_acts_before_messages_that_were_sent_before_it() {
    under_seeds(SEEDS, async |mut me: Process<()>| {
        let (actor, log) = examined();
        let monitor = me.monitor(&actor);
        let stopped = node().dead_letters_of(DeadLetter::Stopped);
        // In one turn of this process, so that the other has none in between.
        for n in 0..100 {
            actor.cast(Told::Note(n));
        }
        me.exit(&actor, ExitReason::Kill);
        assert_eq!(down(&mut me, monitor).await?.reason, ExitReason::Killed);
        assert_eq!(log.all(), [Dropped]);
        assert_eq!(node().dead_letters_of(DeadLetter::Stopped) - stopped, 100);
        Ok(())
    });
}

#[test]
fn ends_kill_is_not_trapped() {
    everywhere(async |mut me: Process<()>| {
        let held = held(&me).await?;
        // Trapping, by way of a second actor's handler: the first is held.
        let (actor, log) = examined();
        let monitor = me.monitor(&actor);
        actor.cast(Told::Act(Box::new(|cx| {
            cx.trap_exits(true);
        })));
        let asked = Call::new(&actor, |reply| Told::Ask(1, reply)).await;
        assert_eq!(asked, Ok(1));
        me.exit(&actor, ExitReason::Kill);
        assert_eq!(down(&mut me, monitor).await?.reason, ExitReason::Killed);
        assert_eq!(log.all(), [Handled(1), Dropped]);
        assert_eq!(held.log.all(), [], "nobody else is killed");
        Ok(())
    });
}

/// During `terminate` too: the stop is over.
#[test]
fn ends_kill_during_terminate() {
    everywhere(async |mut me: Process<()>| {
        let log = Log::new();
        let (begin, begun) = oneshot::channel();
        let (_open, gate) = oneshot::channel();
        let actor = spawn(Examined { log: log.clone(), last_wish: Some((begin, gate)) });
        let monitor = me.monitor(&actor);
        actor.address().stop(enough());
        begun.await?;
        let asked = Call::new(&actor, |reply| Told::Ask(1, reply)).timeout(PATIENT).send();
        node().exit(&actor, ExitReason::Kill);
        assert_eq!(down(&mut me, monitor).await?.reason, ExitReason::Killed);
        assert_eq!(log.all(), [Terminated(enough()), Abandoned, Dropped]);
        assert_eq!(asked.await, DIED(ExitReason::Killed));
        Ok(())
    });
}

/// A suspended process is killed as any other.
#[test]
fn ends_kill_a_suspended_process() {
    everywhere(async |mut me: Process<()>| {
        let (actor, log) = examined();
        let monitor = me.monitor(&actor);
        node().suspend(&actor);
        actor.cast(Told::Note(1));
        me.exit(&actor, ExitReason::Kill);
        assert_eq!(down(&mut me, monitor).await?.reason, ExitReason::Killed);
        assert_eq!(log.all(), [Dropped]);
        Ok(())
    });
}

#[test]
fn ends_kill_straight_line_code_is_dropped_where_it_awaits() {
    everywhere(async |mut me: Process<()>| {
        let (process, log, mut open, monitor) = straight(&me, None);
        // Until it awaits the gate: then its state is made.
        let pid = process.pid();
        until(move || node().peek(pid).is_some_and(|info| info.status == biotope_runtime::Status::Awaiting)).await;
        let stopped = node().dead_letters_of(DeadLetter::Stopped);
        process.cast(1);
        me.exit(&process, ExitReason::Kill);
        assert_eq!(down(&mut me, monitor).await?.reason, ExitReason::Killed);
        assert_eq!(log.all(), [Abandoned, Dropped]);
        assert_eq!(node().dead_letters_of(DeadLetter::Stopped) - stopped, 1);
        // Nobody waits at the gate any more.
        open.closed().await;
        Ok(())
    });
}

// ---- when "stopped" is true

/// How an end is asked for.
#[derive(Clone, Copy, Debug)]
enum Way {
    Stop,
    Drain,
    Kill,
    Signal,
    Panic,
}

const WAYS: [Way; 5] = [Way::Stop, Way::Drain, Way::Kill, Way::Signal, Way::Panic];

/// A state that takes its time to be dropped, and says when it is.
struct Slow {
    is_gone: Arc<AtomicBool>,
    _told: Dropping,
}

impl Actor for Slow {
    type Msg = Box<dyn FnOnce() + Send>;
    type Client = Address<Self::Msg>;
    const NAME: &'static str = "Slow";
}

impl Handle for Slow {
    async fn handle(&mut self, act: Self::Msg, _cx: &mut Context<Self>) {
        act();
    }
}

impl Drop for Slow {
    fn drop(&mut self) {
        // Lets other threads hear too early of the end, if they could.
        for _ in 0..20 {
            std::thread::yield_now();
        }
        self.is_gone.store(true, Ordering::Release);
    }
}

/// Whoever hears of the end, and by whatever way, hears of it when the state is dropped.
#[test]
fn ends_stopped_is_true_when_the_state_is_dropped() {
    everywhere(async |mut me: Process<()>| {
        me.trap_exits(true);
        for way in WAYS {
            let is_gone = Arc::new(AtomicBool::new(false));
            let (guard, told) = dropping();
            let actor = spawn(Slow { is_gone: is_gone.clone(), _told: guard });
            let is_over = || is_gone.load(Ordering::Acquire);
            me.link(&actor);
            let monitor = me.monitor(&actor);
            let ended = node().ended(&actor);
            match way {
                Way::Stop => actor.stop(),
                Way::Drain => node().drain(&actor),
                Way::Kill => node().exit(&actor, ExitReason::Kill),
                Way::Signal => node().exit(&actor, ExitReason::Shutdown),
                Way::Panic => actor.cast(Box::new(|| panic!("on purpose"))),
            }
            if !is_virtual() {
                while node().is_alive(&actor) {
                    time::yield_now().await;
                }
                assert!(is_over(), "{way:?}: it is not alive, and its state is");
            }
            let exit = me.receive_info(|info| match info {
                Info::Exit(Exit { from, .. }) => Ok(from),
                other => Err(other),
            });
            assert_eq!(exit.await?, actor.pid());
            assert!(is_over(), "{way:?}, by a link");
            down(&mut me, monitor).await?;
            ended.await;
            assert!(is_over(), "{way:?}, by a monitor");
            told.await?;
        }
        Ok(())
    });
}

/// So a process that is started anew finds free what the one before held.
#[test]
fn ends_stopped_means_that_what_the_state_held_is_free() {
    everywhere(async |mut me: Process<()>| {
        // A thing that one process at a time can have.
        let thing = Arc::new(tokio::sync::Mutex::new(0_u32));
        for way in 0..12_u32 {
            let taken = Arc::clone(&thing).try_lock_owned().expect("the one before has given it back");
            let process = spawn_process(async move |mut me: Process<()>| {
                let mut taken = taken;
                *taken += 1;
                me.receive().await?;
                Ok(())
            });
            let monitor = me.monitor(&process);
            match way % 3 {
                0 => process.stop(enough()),
                1 => node().drain(&process),
                _ => me.exit(&process, ExitReason::Kill),
            }
            down(&mut me, monitor).await?;
        }
        assert!(thing.try_lock().is_ok());
        Ok(())
    });
}

/// The order of an end, seen from its own messages: whoever is told of it by the drop of one, finds the name
/// still taken or free, but never the process at work.
#[test]
fn ends_nothing_is_handled_after_the_end_is_known() {
    everywhere(async |mut me: Process<()>| {
        for way in 0..3 {
            let (actor, log) = examined();
            let monitor = me.monitor(&actor);
            let flooding = puppet();
            let to = actor.clone();
            act(&flooding, move |_| {
                for n in 0..200 {
                    to.cast(Told::Note(n));
                }
            });
            match way {
                0 => actor.stop(),
                1 => node().drain(&actor),
                _ => me.exit(&actor, ExitReason::Kill),
            }
            down(&mut me, monitor).await?;
            let entries = log.len();
            assert_eq!(log.all().last(), Some(&Dropped));
            // The flood is over when this is answered.
            acted(&flooding, |_| ()).await?;
            time::sleep(if is_virtual() { secs(1) } else { millis(0) }).await;
            assert_eq!(log.len(), entries);
            // What it handled is what came first, in order.
            let handled: Vec<_> = log.all().into_iter().filter(|event| matches!(event, Handled(_))).collect();
            assert_eq!(handled, (0..handled.len() as u32).map(Handled).collect::<Vec<_>>());
        }
        Ok(())
    });
}

//! Event managers: what their handlers are given, and what becomes of one that ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use biotope::prelude::*;
use biotope::supervision::{DeleteHandlerError, SwapHandlerError};
use biotope::{StartError, VisitError};
use tokio::sync::mpsc;

/// An event.
#[derive(Clone, Debug, PartialEq, Message)]
struct Tick(u32);

/// A tick at which a handler falls, and one at which it leaves.
const FALL: u32 = 1_000;
const LEAVE: u32 = 2_000;

/// What handlers tell a test.
#[derive(Debug, PartialEq)]
enum Told {
    Tick(&'static str, u32),
    Terminated(&'static str),
}

type Tells = mpsc::UnboundedSender<Told>;

/// Keeps ticks, and tells a test of them.
#[derive(Actor)]
struct Log {
    name: &'static str,
    ticks: Vec<u32>,
    tells: Tells,
    /// How long a tick takes.
    takes: Duration,
}

#[handlers]
impl Log {
    #[biotope::start]
    async fn start((name, ticks, tells, takes): (&'static str, Vec<u32>, Tells, Duration)) -> biotope::Result<Self> {
        match name {
            "slow" => time::sleep(secs(1)).await,
            "broken" => return Err(ExitReason::value("it is broken").into()),
            _ => {}
        }
        Ok(Self { name, ticks, tells, takes })
    }

    #[message]
    async fn on_tick(&mut self, tick: Tick, cx: &mut Context<Self>) {
        assert_ne!(tick.0, FALL, "it falls");
        if !self.takes.is_zero() {
            time::sleep(self.takes).await;
        }
        if tick.0 == LEAVE {
            cx.stop(ExitReason::Normal);
        }
        self.ticks.push(tick.0);
        let _ = self.tells.send(Told::Tick(self.name, tick.0));
    }

    fn ticks(&self) -> Vec<u32> {
        self.ticks.clone()
    }

    #[biotope::terminate]
    fn terminate(&mut self) {
        let _ = self.tells.send(Told::Terminated(self.name));
    }
}

fn log(name: &'static str, tells: &Tells, takes: Duration) -> Spec<Log> {
    let tells = tells.clone();
    Log::spec_with(move || (name, Vec::new(), tells.clone(), takes))
}

/// As many as others are not told of.
fn quiet(name: &'static str) -> Spec<Log> {
    log(name, &mpsc::unbounded_channel().0, Duration::ZERO)
}

async fn manager() -> biotope::Result<ActorRef<EventManager<Tick>>> {
    Ok(EventManager::<Tick>::spec().start().await?)
}

/// The pids of the handlers.
async fn pids(manager: &ActorRef<EventManager<Tick>>) -> biotope::Result<Vec<Pid>> {
    Ok(manager.which_handlers().await?.iter().map(|handler| handler.pid).collect())
}

/// Goal: each is given what was notified from when it was added to when it is removed, in order; several may be of one type.
#[biotope::test(seeds = 200, allow_crashes, allow_leftovers)]
async fn handlers_come_and_go_while_events_come() -> biotope::Result<()> {
    let manager = manager().await?;
    manager.notify(Tick(0));
    let (one, two) = (manager.add_handler(quiet("one")).await?, manager.add_handler(quiet("two")).await?);
    assert_eq!(pids(&manager).await?, [one.pid(), two.pid()]);
    manager.notify(Tick(1));
    manager.notify(Tick(2));
    assert_eq!(manager.call(&one, |log| log.ticks()).await?, [1, 2]);
    let three = manager.add_handler(quiet("three")).await?;
    manager.notify(Tick(3));
    assert_eq!(manager.delete_handler(&one, |log| log.ticks.clone()).await?, [1, 2, 3]);
    manager.notify(Tick(4));
    manager.sync_notify(Tick(5)).await?;
    assert_eq!((two.ticks().await?, three.ticks().await?), (vec![1, 2, 3, 4, 5], vec![3, 4, 5]));
    assert_eq!(pids(&manager).await?, [two.pid(), three.pid()]);
    assert!(!node().is_alive(&one));
    Ok(())
}

/// Goal: what is taken is taken after all that was notified before, and then the handler terminates.
#[biotope::test(seeds = 200, allow_crashes, allow_leftovers)]
async fn a_handler_that_is_removed_has_handled_what_was_notified_before_and_terminates() -> biotope::Result<()> {
    let manager = manager().await?;
    let (tells, mut told) = mpsc::unbounded_channel();
    let slow = manager.add_handler(log("log", &tells, millis(10))).await?;
    for tick in 0..5 {
        manager.notify(Tick(tick));
    }
    assert_eq!(manager.delete_handler(&slow, |log| log.ticks.len()).await?, 5);
    for tick in 0..5 {
        assert_eq!(told.recv().await, Some(Told::Tick("log", tick)));
    }
    assert_eq!(told.recv().await, Some(Told::Terminated("log")));
    let again = manager.delete_handler(&slow, |log| log.ticks.len()).await;
    assert_eq!(again, Err(CallError::Reply(DeleteHandlerError::NotAHandler)));
    Ok(())
}

#[biotope::test(seeds = 200, allow_crashes, allow_leftovers)]
async fn a_synchronous_event_was_handled_by_all_and_an_asynchronous_one_waits_for_nobody() -> biotope::Result<()> {
    let manager = manager().await?;
    let handlers = [
        manager.add_handler(log("a", &mpsc::unbounded_channel().0, millis(30))).await?,
        manager.add_handler(log("b", &mpsc::unbounded_channel().0, secs(20))).await?,
        manager.add_handler(quiet("c")).await?,
    ];
    let begin = time::now();
    manager.notify(Tick(1));
    pids(&manager).await?;
    assert_eq!(time::now(), begin, "the manager answers while handlers are busy");
    manager.sync_notify(Tick(2)).timeout(secs(60)).await?;
    assert_eq!(time::now() - begin, secs(40));
    for handler in &handlers {
        assert_eq!(handler.ticks().await?, [1, 2]);
    }
    // Who gives up waiting changes nothing.
    assert!(manager.sync_notify(Tick(3)).await.is_err());
    assert_eq!(handlers[1].ticks().timeout(secs(60)).await?, [1, 2, 3]);
    Ok(())
}

/// Goal: the crash of one, in an event or by a signal, is one report and nobody else's business; nor does whoever waits for all wait
/// for it.
#[biotope::test(seeds = 200, allow_crashes, allow_leftovers)]
async fn a_handler_crashes_alone() -> biotope::Result<()> {
    let manager = manager().await?;
    let (falls, killed, stays) = (
        manager.add_handler(quiet("falls")).await?,
        manager.add_handler(log("killed", &mpsc::unbounded_channel().0, secs(3600))).await?,
        manager.add_handler(Steady::spec()).await?,
    );
    let killer = killed.clone();
    spawn_process(async move |_: Process<()>| {
        time::sleep(millis(1)).await;
        node().exit(&killer, ExitReason::Kill);
        Ok(())
    });
    let ended = node().ended(&falls);
    manager.sync_notify(Tick(FALL)).await?;
    assert!(matches!(ended.await, ExitReason::Panic(_)));
    manager.sync_notify(Tick(1)).await?;
    assert_eq!(stays.ticks().await?, 2);
    assert_eq!(pids(&manager).await?, [stays.pid()]);
    assert_eq!(manager.which_handlers().await?[0].actor, "Steady");
    assert_eq!(node().stats().crashed, 2);
    Ok(())
}

/// Takes all ticks. A handler of another type.
#[derive(Actor, Default)]
struct Steady {
    ticks: usize,
}

#[handlers]
impl Steady {
    #[message]
    fn on_tick(&mut self, _tick: Tick) {
        self.ticks += 1;
    }

    fn ticks(&self) -> usize {
        self.ticks
    }
}

#[biotope::test(seeds = 200, allow_crashes, allow_leftovers)]
async fn a_handler_removes_itself() -> biotope::Result<()> {
    let manager = manager().await?;
    let (leaves, stays) = (manager.add_handler(quiet("leaves")).await?, manager.add_handler(Steady::spec()).await?);
    let ended = node().ended(&leaves);
    manager.sync_notify(Tick(LEAVE)).await?;
    assert_eq!(ended.await, ExitReason::Normal);
    manager.sync_notify(Tick(1)).await?;
    assert_eq!((pids(&manager).await?, stays.ticks().await?), (vec![stays.pid()], 2));
    Ok(())
}

/// Goal: whoever notifies meanwhile, each event is handled once, by the one before or by the next; also one that is waited for.
#[biotope::test(seeds = 200, allow_crashes, allow_leftovers)]
async fn a_swap_misses_nothing_and_nothing_is_handled_twice() -> biotope::Result<()> {
    let manager = manager().await?;
    let tells = mpsc::unbounded_channel().0;
    let mut holder = manager.add_handler(log("before", &tells, millis(2))).await?;
    let notifies = manager.clone();
    let notifier = spawn_process(async move |_: Process<()>| {
        for tick in 0..40 {
            match tick % 4 {
                3 => notifies.sync_notify(Tick(tick)).await?,
                _ => notifies.notify(Tick(tick)),
            }
            time::reduce(500).await;
        }
        Ok(())
    });
    let notified = node().ended(notifier.pid());
    for _ in 0..4 {
        let tells = tells.clone();
        let next = manager.swap_handler(&holder, |log| {
            let ticks = std::mem::take(&mut log.ticks);
            Log::spec_with(move || ("next", ticks.clone(), tells.clone(), millis(1)))
        });
        let before = std::mem::replace(&mut holder, next.await?);
        assert!(!node().is_alive(&before));
        assert_eq!(pids(&manager).await?, [holder.pid()]);
    }
    assert_eq!(notified.await, ExitReason::Normal);
    manager.sync_notify(Tick(40)).await?;
    assert_eq!(holder.ticks().await?, (0..=40).collect::<Vec<_>>());
    Ok(())
}

#[biotope::test(seeds = 200, allow_crashes, allow_leftovers)]
async fn a_swap_that_fails_says_why_and_leaves_no_handler() -> biotope::Result<()> {
    let manager = manager().await?;
    let (first, second, third) = (
        manager.add_handler(quiet("first")).await?,
        manager.add_handler(quiet("second")).await?,
        manager.add_handler(quiet("third")).await?,
    );
    let failed = manager.swap_handler(&first, |_| quiet("broken")).await;
    assert!(matches!(failed, Err(CallError::Reply(SwapHandlerError::NotStarted(StartError::Refused(_))))));
    let failed = manager.swap_handler(&first, |_| quiet("next")).await;
    assert_eq!(failed.err(), Some(CallError::Reply(SwapHandlerError::NotAHandler)));
    let failed = manager.swap_handler(&second, |_| -> Spec<Log> { panic!("it cannot be taken") }).await;
    assert!(matches!(failed, Err(CallError::Reply(SwapHandlerError::NotTaken(VisitError::Panicked(_))))));
    let failed = manager.delete_handler(&third, |_| panic!("nor this")).await;
    assert!(matches!(failed, Err(CallError::Reply(DeleteHandlerError::NotTaken(VisitError::Panicked(_))))));
    // Nobody waits for the next ones.
    manager.sync_notify(Tick(1)).await?;
    assert_eq!(pids(&manager).await?, []);
    assert!([first, second, third].iter().all(|log| !node().is_alive(log)));
    Ok(())
}

/// Goal: whoever has added it is told why it ended, whatever the reason; and with it the handler goes, and nobody else.
#[biotope::test(seeds = 200, allow_crashes, allow_leftovers)]
async fn a_handler_goes_with_whoever_has_added_it_who_is_told_of_its_end() -> biotope::Result<()> {
    let manager = manager().await?;
    let (tells, mut told) = mpsc::unbounded_channel();
    let stays = manager.add_handler(Steady::spec()).await?;
    let adding = manager.clone();
    let adder = spawn_process(async move |mut me: Process<()>| {
        let (falls, falls_ref) = adding.add_sup_handler(&me, quiet("falls")).await?;
        let (deleted, deleted_ref) = adding.add_sup_handler(&me, quiet("deleted")).await?;
        let (swapped, swapped_ref) = adding.add_sup_handler(&me, quiet("swapped")).await?;
        assert!(adding.which_handlers().await?[1..].iter().all(|handler| handler.adder == Some(me.pid())));
        let next = log("next", &tells, Duration::ZERO);
        adding.swap_handler(&swapped, move |_| next).await?;
        adding.delete_handler(&deleted, |_| ()).await?;
        drop((tells, falls));
        adding.sync_notify(Tick(1)).await?;
        adding.sync_notify(Tick(FALL)).await?;
        for _ in 0..3 {
            let down = me.receive_info(|info| match info {
                Info::Down(down) => Ok(down),
                other => Err(other),
            });
            let down = down.await?;
            match down.reference {
                falls if falls == falls_ref => assert!(matches!(down.reason, ExitReason::Panic(_))),
                other => assert!([deleted_ref, swapped_ref].contains(&other) && down.reason == ExitReason::Shutdown),
            }
        }
        Ok(())
    });
    let ended = node().ended(&adder);
    assert_eq!(told.recv().await, Some(Told::Tick("next", 1)));
    assert_eq!(ended.await, ExitReason::Normal);
    // The next one had fallen too, or is stopped now, and nobody is left who could tell.
    while told.recv().await.is_some() {}
    manager.sync_notify(Tick(2)).await?;
    assert_eq!((pids(&manager).await?, stays.ticks().await?), (vec![stays.pid()], 3));
    Ok(())
}

/// Goal: the adder may end at any time: before its handler has started, while that is replaced, after it.
#[biotope::test(seeds = 200, allow_crashes, allow_leftovers)]
async fn an_adder_that_ends_at_any_time_leaves_no_handler() -> biotope::Result<()> {
    let manager = manager().await?;
    let adding = manager.clone();
    let adder = spawn_process(async move |me: Process<()>| {
        let (one, _) = adding.add_sup_handler(&me, quiet("one")).await?;
        adding.add_sup_handler(&me, quiet("slow")).await?;
        adding.swap_handler(&one, |_| quiet("slow")).await?;
        Ok(())
    });
    let lives = millis(node().runtime().random() % 2_200);
    let ended = node().ended(&adder);
    time::sleep(lives).await;
    node().exit(&adder, ExitReason::Kill);
    ended.await;
    // What was being started has started.
    time::sleep(secs(5)).await;
    assert_eq!(pids(&manager).await?, []);
    let others = node().processes().into_iter().filter(|info| info.actor == "Log").count();
    assert_eq!(others, 0, "after {lives:?}");
    Ok(())
}

#[biotope::test(seeds = 200, allow_crashes, allow_leftovers)]
async fn a_handler_that_does_not_start_is_none_and_a_slow_one_keeps_nobody_waiting() -> biotope::Result<()> {
    let manager = manager().await?;
    let begin = time::now();
    let slow = manager.add_handler(quiet("slow")).send();
    let broken = manager.add_handler(quiet("broken")).await;
    assert!(matches!(broken, Err(CallError::Reply(StartError::Refused(_)))));
    let quick = manager.add_handler(quiet("quick")).await?;
    manager.sync_notify(Tick(1)).await?;
    assert_eq!((time::now(), pids(&manager).await?), (begin, vec![quick.pid()]));
    let slow = slow.await?;
    manager.sync_notify(Tick(2)).await?;
    assert_eq!((quick.ticks().await?, slow.ticks().await?), (vec![1, 2], vec![2]));
    Ok(())
}

/// Goal: whichever way it ends, no process of a handler is left when its end is told, if it ends in order; and soon, if it is killed.
#[biotope::test(seeds = 200, allow_crashes, allow_leftovers)]
async fn with_the_manager_its_handlers_end() -> biotope::Result<()> {
    for reason in [ExitReason::Normal, ExitReason::Shutdown, ExitReason::Kill] {
        let manager = manager().await?;
        let (tells, mut told) = mpsc::unbounded_channel();
        manager.add_handler(log("steady", &tells, Duration::ZERO)).await?;
        let removed = manager.add_handler(log("removed", &tells, millis(500))).await?;
        manager.notify(Tick(1));
        let _starts = manager.add_handler(log("slow", &tells, Duration::ZERO)).send();
        let _leaves = manager.delete_handler(&removed, |_| ()).send();
        drop(tells);
        time::sleep(millis(node().runtime().random() % 3)).await;
        let ended = node().ended(&manager);
        match reason {
            ExitReason::Kill => node().exit(&manager, ExitReason::Kill),
            ref reason => manager.stop_with(reason.clone()),
        }
        assert_eq!(ended.await, if reason == ExitReason::Kill { ExitReason::Killed } else { reason.clone() });
        if reason == ExitReason::Kill {
            time::sleep(millis(1)).await;
        }
        assert!(node().processes().iter().all(|info| info.actor != "Log"), "{:?}", node().processes());
        let mut terminated = 0;
        while let Some(told) = told.recv().await {
            terminated += usize::from(matches!(told, Told::Terminated(_)));
        }
        assert!(reason == ExitReason::Kill || terminated >= 2);
    }
    Ok(())
}

/// Goal: it stands in a supervisor and has a name; a new one begins without handlers.
#[biotope::test(seeds = 50, allow_crashes, allow_leftovers)]
async fn a_manager_is_supervised_and_named_as_others_are() -> biotope::Result<()> {
    let shop = Supervisor::one_for_one().child(EventManager::<Tick>::spec().named("ticks")).start_link().await?;
    let ticks = node().named::<EventManager<Tick>>("ticks");
    let first = ticks.now()?;
    let handler = first.add_handler(Steady::spec()).await?;
    let (ended, handler_ended) = (node().ended(&first), node().ended(&handler));
    node().exit(&first, ExitReason::Kill);
    ended.await;
    assert_eq!(handler_ended.await, ExitReason::Killed);
    let second = ticks.within(secs(1)).await?;
    assert_eq!(second.which_handlers().await?, []);
    let handler = second.add_handler(Steady::spec()).await?;
    second.sync_notify(Tick(1)).await?;
    let handler_ended = node().ended(&handler);
    shop.terminate_child("ticks").await?;
    assert_eq!((handler_ended.await, node().is_alive(&second)), (ExitReason::Shutdown, false));
    Ok(())
}

/// Goal: on threads too, with many handlers that come, go and fall while events come: each is given a piece of the events without a gap.
#[biotope::test(allow_crashes, allow_leftovers)]
async fn on_threads_each_handler_is_given_its_events_without_a_gap() -> biotope::Result<()> {
    let manager = manager().await?;
    let notifies = manager.clone();
    let notifier = spawn_process(async move |_: Process<()>| {
        for tick in 10_000.. {
            notifies.notify(Tick(tick));
            if tick % 50 == 0 {
                notifies.sync_notify(Tick(tick)).await?;
            }
            time::reduce(1).await;
        }
        Ok(())
    });
    let done = Arc::new(AtomicUsize::new(0));
    let comers: Vec<_> = (0..8)
        .map(|_| {
            let (manager, done) = (manager.clone(), done.clone());
            spawn_process(async move |_: Process<()>| {
                for _ in 0..20 {
                    let handler = manager.add_handler(quiet("comer")).await?;
                    manager.sync_notify(Tick(LEAVE + 1)).await?;
                    let mut ticks = manager.delete_handler(&handler, |log| std::mem::take(&mut log.ticks)).await?;
                    assert!(ticks.contains(&(LEAVE + 1)));
                    ticks.retain(|tick| *tick != LEAVE + 1);
                    ticks.dedup();
                    assert!(ticks.windows(2).all(|pair| pair[1] == pair[0] + 1), "{ticks:?}");
                }
                done.fetch_add(1, SeqCst);
                Ok(())
            })
        })
        .collect();
    for comer in &comers {
        let ended = node().ended(comer);
        ended.await;
    }
    assert_eq!(done.load(SeqCst), 8);
    node().exit(&notifier, ExitReason::Kill);
    Ok(())
}

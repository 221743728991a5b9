//! Area GS: generic servers.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use biotope_runtime::{
    Actor, ActorRef, Address, Call, CallFailed, Context, ExitReason, Handle, Info, Keys, Named, Options, Pid, Process,
    Received, Refused, ReplyTo, Request, Requests, Result, Spec, Start, StartError, multi_call, node, process, spawn,
    spawn_monitor, spawn_process, time,
};

use crate::acts::{Log, all_there, down, end_of, nothing_more};
use crate::runs::{SEEDS, everywhere, millis, secs, under_seeds};

/// A server that does what it is asked, and counts what it has handled.
struct Server {
    handled: u64,
    kept: Vec<ReplyTo<u64>>,
    log: Log<String>,
}

/// What it is asked. Each is answered with how much it has handled, unless it says otherwise.
enum Ask {
    Count(ReplyTo<u64>),
    /// To be answered after the handler has slept.
    Sleep(Duration, ReplyTo<u64>),
    /// To be answered by a message of a timer's.
    Later(Duration, ReplyTo<u64>),
    /// To be answered by another process.
    Delegate(ReplyTo<u64>),
    /// Never to be answered.
    Keep(ReplyTo<u64>),
    /// Not to be answered: it ends.
    Stop(ExitReason, ReplyTo<u64>),
    /// Not to be answered: the handler panics.
    Panic(ReplyTo<u64>),
    /// To be answered with what comes of a call to itself, by reference and by these names.
    CallYourself(Vec<Named<Server>>, ReplyTo<Vec<std::result::Result<u64, CallFailed>>>),
    /// Ties the server to this process: a link and a monitor.
    Watch(Pid, ReplyTo<u64>),
    /// Is logged.
    Tell(&'static str),
}

impl Server {
    fn new() -> Self {
        Self::logging(Log::new())
    }

    fn logging(log: Log<String>) -> Self {
        Self { handled: 0, kept: Vec::new(), log }
    }
}

impl Actor for Server {
    type Msg = Ask;
    type Client = Address<Ask>;
    const NAME: &'static str = "Server";
    const OPTIONS: Options = Options { trap_exit: true, ..Options::DEFAULT };
}

impl Handle for Server {
    async fn handle(&mut self, ask: Ask, cx: &mut Context<Self>) {
        self.handled += 1;
        match ask {
            Ask::Count(reply) => reply.send(self.handled),
            Ask::Sleep(duration, reply) => {
                time::sleep(duration).await;
                reply.send(self.handled);
            }
            Ask::Later(delay, reply) => {
                cx.tell_after(delay, |myself| myself.cast(Ask::Count(reply)));
            }
            Ask::Delegate(reply) => {
                let handled = self.handled;
                spawn_process(async move |_: Process<()>| {
                    reply.send(handled);
                    Ok(())
                });
            }
            Ask::Keep(reply) => self.kept.push(reply),
            Ask::Stop(reason, reply) => {
                self.kept.push(reply);
                cx.stop(reason);
            }
            Ask::Panic(_reply) => panic!("asked to"),
            Ask::CallYourself(names, reply) => {
                let mut outcomes = vec![Call::new(cx.myself().address(), Ask::Count).await];
                for name in names {
                    outcomes.push(name.call(|server| Call::new(server, Ask::Count)).await);
                }
                reply.send(outcomes);
            }
            Ask::Watch(pid, reply) => {
                cx.link(pid);
                cx.monitor(pid);
                reply.send(self.handled);
            }
            Ask::Tell(what) => self.log.push(what.to_owned()),
        }
    }

    async fn info(&mut self, info: Info, _cx: &mut Context<Self>) {
        self.log.push(match info {
            Info::Exit(exit) => format!("exit: {}", exit.reason),
            Info::Down(down) => format!("down: {}", down.reason),
            other => format!("{other:?}"),
        });
    }

    async fn terminate(&mut self, reason: &ExitReason, _cx: &mut Context<Self>) {
        let why = if matches!(reason, ExitReason::Panic(_)) { "a panic".to_owned() } else { reason.to_string() };
        self.log.push(format!("terminate after {}: {why}", self.handled));
    }
}

fn server() -> Address<Ask> {
    spawn(Server::new()).address().clone()
}

/// Asks `actor` to stop, and waits until it has.
async fn ended<M: Send + 'static, A: Actor>(me: &mut Process<M>, actor: ActorRef<A>) -> Result<ActorRef<A>> {
    actor.stop();
    end_of(me, actor.pid()).await?;
    Ok(actor)
}

/// What comes of a start.
type Outcome = fn() -> std::result::Result<(), Refused>;

/// How a server starts, or does not.
#[derive(Clone)]
struct Plan {
    takes: Duration,
    outcome: Outcome,
    begun: Arc<AtomicU64>,
}

impl Plan {
    fn new(outcome: Outcome) -> Self {
        Self { takes: Duration::ZERO, outcome, begun: Arc::default() }
    }

    fn spec(&self) -> Spec<Server> {
        let plan = self.clone();
        Spec::new(move || plan.clone())
    }
}

impl Start for Server {
    type Args = Plan;

    async fn start(plan: Plan, _cx: &mut Context<Self>) -> std::result::Result<Self, Refused> {
        plan.begun.fetch_add(1, Ordering::Relaxed);
        time::sleep(plan.takes).await;
        (plan.outcome)().map(|()| Self::new())
    }
}

// ---- GS-01

#[test]
fn gs_01_a_start_waits_for_initialisation() {
    under_seeds(SEEDS, async |mut me: Process<()>| {
        me.trap_exits(true);
        let start = time::now();
        let server = Plan { takes: millis(200), ..Plan::new(|| Ok(())) }.spec().start_link().await?;
        assert_eq!(time::now() - start, millis(200));
        assert_eq!(Call::new(server.address(), Ask::Count).await?, 1);
        // It is linked to whoever started it.
        me.exit(&server, ExitReason::Kill);
        let exit = me.receive_any().await?;
        assert!(matches!(&exit, Received::Info(Info::Exit(exit)) if exit.from == server.pid()), "{exit:?}");
        Ok(())
    });
}

// ---- GS-02

/// When the start returns its name is free, and nothing of it comes over the link.
#[test]
fn gs_02_a_start_that_is_refused_leaves_nothing() {
    everywhere(async |mut me: Process<()>| {
        me.trap_exits(true);
        let refused: [(Outcome, StartError); 2] = [
            (|| Err(Refused::Ignore), StartError::Ignored),
            (|| Err(Refused::Error(ExitReason::value("no"))), StartError::Refused(ExitReason::value("no"))),
        ];
        for (outcome, error) in refused {
            let spec = Plan::new(outcome).spec().named("n");
            assert_eq!(spec.start_link().await, Err(error));
            assert_eq!(node().whereis("n"), None);
            assert_eq!(all_there(&mut me).await?, []);
        }
        nothing_more(&mut me).await;
        Ok(())
    });
}

// ---- GS-03

#[test]
fn gs_03_a_panic_while_it_starts_is_an_error_and_comes_over_the_link() {
    everywhere(async |mut me: Process<()>| {
        let spec = Plan::new(|| panic!("not today")).spec();
        let is_that = |reason: &ExitReason| matches!(reason, ExitReason::Panic(said) if said.message == "not today");
        let outcome = spec.start().await;
        assert!(matches!(&outcome, Err(StartError::Refused(reason)) if is_that(reason)), "{outcome:?}");
        // Who traps has it as the result, and once.
        me.trap_exits(true);
        let outcome = spec.start_link().await;
        assert!(matches!(&outcome, Err(StartError::Refused(reason)) if is_that(reason)), "{outcome:?}");
        assert_eq!(all_there(&mut me).await?, []);
        // Who traps nothing ends with it.
        let (_, monitor) = spawn_monitor(process(async move |_: Process<()>| {
            let _ = spec.start_link().await;
            pending().await
        }));
        let reason = down(&mut me, monitor).await?.reason;
        assert!(is_that(&reason), "{reason:?}");
        Ok(())
    });
}

// ---- GS-04

/// When the start returns, nothing is left of the process, and nothing of it comes later.
#[test]
fn gs_04_a_start_that_is_too_slow_is_killed() {
    under_seeds(SEEDS, async |mut me: Process<()>| {
        me.trap_exits(true);
        let (plan, start) = (Plan { takes: secs(1), ..Plan::new(|| Ok(())) }, time::now());
        let spec = plan.spec().named("slow").timeout(millis(100));
        assert_eq!(spec.start_link().await, Err(StartError::Timeout));
        assert_eq!(time::now() - start, millis(100));
        assert_eq!((plan.begun.load(Ordering::Relaxed), node().whereis("slow")), (1, None));
        nothing_more(&mut me).await;
        // In time.
        let spec = plan.spec().named("slow").timeout(secs(1) + millis(1));
        assert_eq!(Call::new(spec.start_link().await?.address(), Ask::Count).await?, 1);
        Ok(())
    });
}

// ---- GS-05

#[test]
fn gs_05_a_start_under_a_taken_name_runs_nothing() {
    everywhere(async |_: Process<()>| {
        let plan = Plan::new(|| Ok(()));
        let first = plan.spec().named("n").start().await?;
        assert_eq!(Call::new(first.address(), Ask::Count).await?, 1);
        let other = Plan::new(|| Ok(()));
        assert_eq!(other.spec().named("n").start().await, Err(StartError::AlreadyStarted(first.pid())));
        // The same by way of a key. Who has the name and not the key keeps neither.
        let keys = Keys::unique(&node());
        let keyed = plan.spec().keyed(&keys, 7, "seven").start().await?;
        let spec = other.spec().named("m").keyed(&keys, 7, "other");
        assert_eq!(spec.start().await, Err(StartError::AlreadyStarted(keyed.pid())));
        assert_eq!((node().whereis("m"), keys.lookup(&7)), (None, vec![(keyed.pid(), "seven")]));
        assert_eq!(other.begun.load(Ordering::Relaxed), 0);
        for (server, handled) in [(first, 2), (keyed, 1)] {
            assert_eq!(Call::new(server.address(), Ask::Count).await?, handled, "it goes on");
        }
        Ok(())
    });
}

// ---- GS-06

/// At once, by a timer, and by another process: each caller gets its own, and the server does other things meanwhile.
#[test]
fn gs_06_a_reply_may_come_at_once_later_and_from_another() {
    everywhere(async |_: Process<()>| {
        let server = server();
        let later = Call::new(&server, |reply| Ask::Later(millis(1), reply)).send();
        let delegated = Call::new(&server, Ask::Delegate).send();
        assert_eq!(Call::new(&server, Ask::Count).await?, 3);
        assert_eq!(delegated.await?, 2);
        assert_eq!(later.await?, 4, "answered when the timer's message was handled");
        Ok(())
    });
}

// ---- GS-07, GS-08

/// The server finishes, and keeps its state; the reply that comes too late is nowhere, and the next call gets its own.
#[test]
fn gs_07_a_call_that_times_out_leaves_the_server_alone() {
    under_seeds(SEEDS, async |mut me: Process<()>| {
        let (server, start) = (server(), time::now());
        let slow = Call::new(&server, |reply| Ask::Sleep(millis(100), reply)).timeout(millis(20));
        assert_eq!(slow.await, Err(CallFailed::Timeout));
        assert_eq!(time::now() - start, millis(20));
        assert_eq!(Call::new(&server, Ask::Count).await?, 2);
        assert_eq!(time::now() - start, millis(100), "it was busy until then");
        // GS-08
        time::sleep(millis(500)).await;
        nothing_more(&mut me).await;
        Ok(())
    });
}

#[test]
fn gs_07_a_call_waits_for_five_seconds_if_it_does_not_say_otherwise() {
    under_seeds(SEEDS, async |_: Process<()>| {
        let (server, start) = (server(), time::now());
        assert_eq!(Call::new(&server, Ask::Keep).await, Err(CallFailed::Timeout));
        assert_eq!(time::now() - start, secs(5));
        Ok(())
    });
}

#[test]
fn gs_08_a_late_reply_is_not_taken_for_the_next() {
    under_seeds(SEEDS, async |mut me: Process<()>| {
        let server = server();
        for n in 0..10 {
            // The reply to this comes while the next one is awaited.
            let late = Call::new(&server, |reply| Ask::Sleep(millis(30), reply)).timeout(millis(10 + n));
            assert_eq!(late.await, Err(CallFailed::Timeout));
            assert_eq!(Call::new(&server, Ask::Count).await?, 2 * n + 2);
        }
        nothing_more(&mut me).await;
        Ok(())
    });
}

// ---- GS-09

#[test]
fn gs_09_a_call_to_nobody_fails_at_once() {
    under_seeds(SEEDS, async |mut me: Process<()>| {
        let server = ended(&mut me, spawn(Server::new())).await?;
        let start = time::now();
        assert_eq!(Call::new(server.address(), Ask::Count).timeout(secs(300)).await, Err(CallFailed::NoProc));
        let keys = Keys::<u32, ()>::unique(&node());
        let other = Spec::<Other>::new(|| ()).named("other").keyed(&keys, 1, ()).start().await?;
        let names = ["nobody", "other"].map(|name| node().named::<Server>(name));
        for nobody in names.into_iter().chain([0, 1].map(|key| node().keyed(&keys, key))) {
            let called = nobody.call(|server| Call::new(server, Ask::Count).timeout(secs(300))).await;
            assert_eq!(called, Err(CallFailed::NoProc), "{nobody:?}");
        }
        assert!(node().is_alive(&other));
        assert_eq!(time::now(), start);
        Ok(())
    });
}

/// Takes other messages than a [`Server`].
struct Other;

impl Actor for Other {
    type Msg = ();
    type Client = Address<()>;
    const NAME: &'static str = "Other";
}

impl Handle for Other {
    async fn handle(&mut self, (): (), _cx: &mut Context<Self>) {}
}

impl Start for Other {
    type Args = ();

    async fn start((): (), _cx: &mut Context<Self>) -> std::result::Result<Self, Refused> {
        Ok(Self)
    }
}

// ---- GS-10

/// At once, and not when the time is up; also if it is to wait for long.
#[test]
fn gs_10_a_caller_learns_why_the_server_ended() {
    everywhere(async |_: Process<()>| {
        for timeout in [secs(5), secs(300)] {
            for reason in [ExitReason::Normal, ExitReason::value("enough"), ExitReason::Shutdown] {
                let server = server();
                let call = Call::new(&server, |reply| Ask::Stop(reason.clone(), reply)).timeout(timeout);
                assert_eq!(call.await, Err(CallFailed::Died(reason)));
            }
            let panicked = Call::new(&server(), Ask::Panic).timeout(timeout).await;
            assert!(matches!(panicked, Err(CallFailed::Died(ExitReason::Panic(_)))), "{panicked:?}");
            let server = server();
            let call = Call::new(&server, Ask::Keep).timeout(timeout).send();
            assert_eq!(Call::new(&server, Ask::Count).await?, 2, "the other call is being handled");
            node().exit(&server, ExitReason::Kill);
            assert_eq!(call.await, Err(CallFailed::Died(ExitReason::Killed)));
        }
        Ok(())
    });
}

// ---- GS-11

#[test]
fn gs_11_a_server_that_calls_itself_is_told_at_once() {
    under_seeds(SEEDS, async |_: Process<()>| {
        let keys = Keys::unique(&node());
        let server = Plan::new(|| Ok(())).spec().named("me").keyed(&keys, 'm', ()).start().await?;
        let names = vec![node().named("me"), node().keyed(&keys, 'm')];
        let start = time::now();
        let outcomes = Call::new(server.address(), |reply| Ask::CallYourself(names, reply)).await?;
        assert_eq!(outcomes, [Err(CallFailed::SelfCall), Err(CallFailed::SelfCall), Err(CallFailed::SelfCall)]);
        assert_eq!(time::now(), start);
        assert_eq!(Call::new(server.address(), Ask::Count).await?, 2, "it goes on");
        Ok(())
    });
}

// ---- GS-12

/// Whether somebody is there or not.
#[test]
fn gs_12_a_cast_never_fails() {
    everywhere(async |mut me: Process<()>| {
        let log = Log::new();
        let lives = spawn(Server::logging(log.clone()));
        let gone = ended(&mut me, spawn(Server::logging(log.clone()))).await?;
        for server in [&gone, &lives] {
            server.cast(Ask::Tell("hello"));
        }
        assert_eq!(Call::new(lives.address(), Ask::Count).await?, 2);
        assert_eq!(log.all(), ["terminate after 0: normal", "hello"]);
        Ok(())
    });
}

// ---- GS-13

/// What comes from a linked process that is no parent, from a monitor and from a timer waits its turn among all else.
#[test]
fn gs_13_whatever_else_comes_is_handled_in_order_of_arrival() {
    everywhere(async |_: Process<()>| {
        let log = Log::new();
        let server = spawn(Server::logging(log.clone()));
        let other = spawn_process(async |mut me: Process<()>| Ok(me.receive().await?));
        assert_eq!(Call::new(server.address(), |reply| Ask::Watch(other.pid(), reply)).await?, 1);
        server.cast(Ask::Tell("before"));
        node().exit(&other, ExitReason::value("gone"));
        let (mut seen, mut asked) = (0, 1);
        // Both are in its mailbox when they are logged.
        while seen < 3 {
            Call::new(server.address(), Ask::Count).await?;
            asked += 1;
            seen = log.len();
        }
        server.cast(Ask::Tell("after"));
        assert_eq!(Call::new(server.address(), Ask::Count).await?, asked + 3);
        let logged = log.all();
        assert_eq!((&*logged[0], &*logged[3]), ("before", "after"));
        let mut between = logged[1..3].to_vec();
        between.sort_unstable();
        assert_eq!(between, ["down: \"gone\"", "exit: \"gone\""]);
        Ok(())
    });
}

// ---- GS-14

/// It hears the reason, and whoever waits for its end is told afterwards; a second stop asks nobody.
#[test]
fn gs_14_a_stop_runs_terminate_with_its_reason() {
    everywhere(async |mut me: Process<()>| {
        let log = Log::new();
        let server = spawn(Server::logging(log.clone()));
        server.cast(Ask::Tell("last"));
        let monitor = me.monitor(&server);
        server.address().stop(ExitReason::value("closing"));
        assert_eq!(down(&mut me, monitor).await?.reason, ExitReason::value("closing"));
        assert_eq!(log.all(), ["last", "terminate after 1: \"closing\""]);
        server.address().stop(ExitReason::Normal);
        assert_eq!(end_of(&mut me, server.pid()).await?, ExitReason::NoProc);
        Ok(())
    });
}

/// Whoever waits for the end, and then asks for it, learns the reason, also if something else was sooner; who comes later
/// finds nobody.
#[test]
fn gs_14_who_asks_for_a_stop_and_waits_learns_why_it_ended() {
    everywhere(async |_: Process<()>| {
        let (log, closing) = (Log::new(), ExitReason::value("closing"));
        let server = spawn(Server::logging(log.clone()));
        server.cast(Ask::Tell("last"));
        assert_eq!(server.stop_and_wait(closing.clone()).await, closing);
        assert_eq!(log.all(), ["last", "terminate after 1: \"closing\""]);
        assert_eq!(server.stop_and_wait(closing.clone()).await, ExitReason::NoProc);

        let server = spawn(Server::new());
        let (ended, killed) = (node().ended(&server), node().ended(&server));
        server.stop_with(closing.clone());
        assert_eq!((ended.await, killed.await), (closing.clone(), closing.clone()));

        let server = spawn(Server::new());
        let stopped = server.stop_and_wait(closing.clone());
        node().exit(&server, ExitReason::Kill);
        let reason = stopped.await;
        assert!([ExitReason::Killed, closing].contains(&reason), "{reason}");
        Ok(())
    });
}

// ---- GS-19

/// `terminate` gets the state as the handler has left it.
#[test]
fn gs_19_a_panic_runs_terminate_and_the_caller_hears_of_it() {
    everywhere(async |mut me: Process<()>| {
        let log = Log::new();
        let server = spawn(Server::logging(log.clone()));
        let monitor = me.monitor(&server);
        let panicked = Call::new(server.address(), Ask::Panic).await;
        assert!(matches!(panicked, Err(CallFailed::Died(ExitReason::Panic(_)))), "{panicked:?}");
        let reason = down(&mut me, monitor).await?.reason;
        assert!(matches!(&reason, ExitReason::Panic(report) if report.message.contains("asked to")), "{reason}");
        assert_eq!(log.all(), ["terminate after 1: a panic"]);
        Ok(())
    });
}

/// Keeps what it is asked until it is told to answer.
#[derive(Default)]
struct Keeper {
    kept: BTreeMap<u64, ReplyTo<u64>>,
}

enum ToKeeper {
    /// To be answered later, with ten times as much.
    Ask(u64, ReplyTo<u64>),
    /// Answers what was asked with this number.
    Answer(u64),
    /// To be answered now, with the same.
    Echo(u64, ReplyTo<u64>),
    /// Whether nobody waits for the answer any more.
    IsAbandoned(u64, ReplyTo<bool>),
}

impl Actor for Keeper {
    type Msg = ToKeeper;
    type Client = Address<ToKeeper>;
    const NAME: &'static str = "Keeper";
}

impl Handle for Keeper {
    async fn handle(&mut self, message: ToKeeper, _cx: &mut Context<Self>) {
        match message {
            ToKeeper::Ask(n, reply) => {
                self.kept.insert(n, reply);
            }
            ToKeeper::Answer(n) => {
                if let Some(reply) = self.kept.remove(&n) {
                    reply.send(10 * n);
                }
            }
            ToKeeper::Echo(n, reply) => reply.send(n),
            ToKeeper::IsAbandoned(n, reply) => reply.send(self.kept.get(&n).is_none_or(ReplyTo::is_abandoned)),
        }
    }
}

fn keeper() -> Address<ToKeeper> {
    spawn(Keeper::default()).address().clone()
}

/// A keeper that has ended.
async fn gone<M: Send + 'static>(me: &mut Process<M>) -> Result<Address<ToKeeper>> {
    Ok(ended(me, spawn(Keeper::default())).await?.address().clone())
}

fn ask(keeper: &Address<ToKeeper>, n: u64) -> Request<u64> {
    Call::new(keeper, |reply| ToKeeper::Ask(n, reply)).timeout(secs(300)).send()
}

// ---- GS-20

/// Who answers, who has ended and who does not answer in time: each with its outcome, in the order asked for, and nothing of
/// it comes later. It takes as long as the deadline and no longer.
#[test]
fn gs_20_a_multi_call_returns_every_outcome_in_order() {
    under_seeds(SEEDS, async |mut me: Process<()>| {
        let servers = [keeper(), gone(&mut me).await?, keeper(), keeper()];
        let silent = servers[2].pid();
        let start = time::now();
        let outcomes = multi_call(&servers, |server| {
            let message = |reply| {
                if server.pid() == silent { ToKeeper::Ask(2, reply) } else { ToKeeper::Echo(1, reply) }
            };
            Call::new(server, message).timeout(secs(3)).send()
        })
        .await;
        assert_eq!(time::now() - start, secs(3));
        let expected = [Ok(1), Err(CallFailed::NoProc), Err(CallFailed::Timeout), Ok(1)];
        assert_eq!(outcomes.len(), servers.len());
        for ((server, outcome), (asked, expected)) in outcomes.into_iter().zip(servers.iter().zip(expected)) {
            assert_eq!((server.pid(), outcome), (asked.pid(), expected));
        }
        // Too late: nobody waits for it.
        servers[2].cast(ToKeeper::Answer(2));
        nothing_more(&mut me).await;
        Ok(())
    });
}

/// All are asked before the first is waited for: servers that answer one another's questions only would wait for ever.
#[test]
fn gs_20_a_multi_call_asks_all_before_it_waits() {
    everywhere(async |_: Process<()>| {
        let servers = [keeper(), keeper()];
        let outcomes = multi_call([0, 1], |&n| {
            // Whoever is asked last lets all answer.
            let request = ask(&servers[n], 7);
            if n == 1 {
                servers.iter().for_each(|server| server.cast(ToKeeper::Answer(7)));
            }
            request
        })
        .await;
        assert_eq!(outcomes, [(0, Ok(70)), (1, Ok(70))]);
        assert!(multi_call(std::iter::empty::<Address<ToKeeper>>(), |server| ask(server, 0)).await.is_empty());
        Ok(())
    });
}

// ---- GS-22

#[test]
fn gs_22_a_request_can_be_awaited_again_after_a_timeout() {
    everywhere(async |_: Process<()>| {
        let keeper = keeper();
        let mut request = ask(&keeper, 1);
        assert_eq!(time::timeout(Duration::ZERO, &mut request).await, Err(time::Elapsed));
        keeper.cast(ToKeeper::Answer(1));
        assert_eq!(request.await?, 10);
        Ok(())
    });
}

/// In whatever order they were asked.
#[test]
fn gs_22_of_many_requests_what_is_answered_first_comes_first() {
    everywhere(async |_: Process<()>| {
        const ORDER: [u64; 6] = [3, 0, 5, 1, 4, 2];
        let keeper = keeper();
        let mut requests: Requests<u64, u64> = (0..6).map(|n| (n, ask(&keeper, n))).collect();
        for (answered, n) in ORDER.into_iter().enumerate() {
            assert_eq!(requests.len(), ORDER.len() - answered);
            assert_eq!(time::timeout(Duration::ZERO, requests.next()).await, Err(time::Elapsed), "nobody has answered");
            keeper.cast(ToKeeper::Answer(n));
            assert_eq!(requests.next().await, Some((n, Ok(10 * n))));
            let mut left: Vec<u64> = requests.labels().copied().collect();
            left.sort_unstable();
            let mut expected = ORDER[answered + 1..].to_vec();
            expected.sort_unstable();
            assert_eq!(left, expected);
        }
        assert!(requests.is_empty());
        assert_eq!(requests.next().await, None);
        Ok(())
    });
}

/// The label says whom it concerns.
#[test]
fn gs_22_a_request_to_nobody_fails_at_once() {
    everywhere(async |mut me: Process<()>| {
        let (gone, alive) = (gone(&mut me).await?, keeper());
        let mut requests = Requests::new();
        requests.add("alive", ask(&alive, 1));
        requests.add("gone", ask(&gone, 1));
        assert_eq!(requests.next().await, Some(("gone", Err(CallFailed::NoProc))));
        alive.cast(ToKeeper::Answer(1));
        assert_eq!(requests.next().await, Some(("alive", Ok(10))));
        Ok(())
    });
}

/// A process that ends while it is awaited is an answer like any other.
#[test]
fn gs_22_who_ends_while_it_is_awaited_is_heard_of_at_once() {
    everywhere(async |_: Process<()>| {
        let (one, other) = (keeper(), keeper());
        let mut requests: Requests<u8, u64> = [(1, ask(&one, 1)), (2, ask(&other, 1))].into_iter().collect();
        other.stop(ExitReason::Shutdown);
        assert_eq!(requests.next().await, Some((2, Err(CallFailed::Died(ExitReason::Shutdown)))));
        one.cast(ToKeeper::Answer(1));
        assert_eq!(requests.next().await, Some((1, Ok(10))));
        Ok(())
    });
}

#[test]
fn gs_22_requests_that_are_dropped_are_given_up() {
    everywhere(async |_: Process<()>| {
        let keeper = keeper();
        let is_abandoned = |n| Call::new(&keeper, move |reply| ToKeeper::IsAbandoned(n, reply));
        let mut requests = Requests::new();
        requests.extend((1..=2).map(|n| (n, ask(&keeper, n))));
        assert!(!is_abandoned(1).await? && !is_abandoned(2).await?);
        drop(requests);
        assert!(is_abandoned(1).await? && is_abandoned(2).await?);
        Ok(())
    });
}

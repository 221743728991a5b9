//! Area GS: what a server goes on with after a handler, and what it does when nothing comes.

use std::time::Duration;

use biotope_runtime::{
    Actor, ActorRef, Address, Call, Context, ExitReason, Handle, Info, Options, Pid, PriorityAlias, Process, Refused,
    ReplyTo, Status, node, spawn, time,
};
use tokio::sync::oneshot;

use crate::acts::{Log, puppet};
use crate::runs::{SEEDS, everywhere, millis, secs, under_seeds};

/// A server that goes on by itself, and logs all that it does.
struct Server {
    log: Log<String>,
    begin: Option<Begin>,
}

/// What it does in `init`.
type Begin = Box<dyn FnOnce(&mut Context<Server>) + Send>;

enum Ask {
    /// Is logged.
    Note(&'static str),
    /// Is logged, and goes on so often.
    Chain(u32),
    /// Is answered at once; then the server goes on, waits for this, and goes on again.
    Call(oneshot::Receiver<()>, ReplyTo<()>),
    /// What it goes on with after a call.
    Wait(oneshot::Receiver<()>),
    /// It is to be told when it was idle for so long.
    Idle(Duration),
    /// It was.
    Expired,
    /// It is to be told of this process's end.
    Watch(Pid),
    /// It is to go on with two things, and to hibernate after this handler, which takes so long.
    Hibernate(Duration, bool),
    /// An address for urgent messages.
    Urgent(ReplyTo<PriorityAlias<Ask>>),
    /// It is to call this server, which takes a while to answer.
    CallOther(ActorRef<Server>),
    /// Is answered after a while.
    Slow(ReplyTo<()>),
    /// It is to end, and not to go on.
    StopAndGoOn,
    /// Goes on, and panics.
    GoOnAndPanic,
}

impl Actor for Server {
    type Msg = Ask;
    type Client = Address<Ask>;
    const NAME: &'static str = "Server";
}

impl Handle for Server {
    async fn init(&mut self, cx: &mut Context<Self>) -> std::result::Result<(), Refused> {
        if let Some(begin) = self.begin.take() {
            begin(cx);
        }
        Ok(())
    }

    async fn handle(&mut self, ask: Ask, cx: &mut Context<Self>) {
        match ask {
            Ask::Note(what) => self.log.push(what.to_owned()),
            Ask::Chain(left) => {
                self.log.push(format!("chain {left}"));
                if left > 0 {
                    cx.then(|me| me.cast(Ask::Chain(left - 1)));
                }
            }
            Ask::Call(answered, reply) => {
                self.log.push("call".to_owned());
                reply.send(());
                cx.then(|me| me.cast(Ask::Wait(answered)));
                cx.then(|me| me.cast(Ask::Note("last")));
            }
            Ask::Wait(answered) => {
                // Held up for ever, if the reply waited for this.
                answered.await.expect("the caller has its reply");
                self.log.push("waited".to_owned());
                cx.then(|me| me.cast(Ask::Chain(1)));
            }
            Ask::Idle(delay) => {
                self.log.push("idle".to_owned());
                cx.when_idle(delay, |me| me.cast(Ask::Expired));
            }
            Ask::Watch(pid) => drop(cx.monitor(pid)),
            Ask::Expired => self.log.push("expired".to_owned()),
            Ask::Hibernate(duration, goes_on) => {
                self.log.push("hibernate".to_owned());
                cx.hibernate();
                if goes_on {
                    cx.then(|me| me.cast(Ask::Note("went on")));
                }
                if !duration.is_zero() {
                    time::sleep(duration).await;
                }
            }
            Ask::Urgent(reply) => reply.send(cx.priority_alias()),
            Ask::CallOther(other) => {
                Call::new(other.address(), Ask::Slow).await.expect("it answers");
                self.log.push("called".to_owned());
            }
            Ask::Slow(reply) => {
                time::sleep(millis(50)).await;
                reply.send(());
            }
            Ask::StopAndGoOn => {
                cx.then(|me| me.cast(Ask::Note("never")));
                cx.stop(ExitReason::Normal);
            }
            Ask::GoOnAndPanic => {
                cx.then(|me| me.cast(Ask::Note("never")));
                panic!("asked to");
            }
        }
    }

    async fn info(&mut self, _: Info, _cx: &mut Context<Self>) {
        self.log.push("info".to_owned());
    }

    async fn terminate(&mut self, _: &ExitReason, cx: &mut Context<Self>) {
        self.log.push("terminate".to_owned());
        // Too late.
        cx.then(|me| me.cast(Ask::Note("never")));
    }
}

fn server(log: &Log<String>) -> ActorRef<Server> {
    spawn(Server { log: log.clone(), begin: None })
}

fn beginning(log: &Log<String>, begin: impl FnOnce(&mut Context<Server>) + Send + 'static) -> ActorRef<Server> {
    spawn(Server { log: log.clone(), begin: Some(Box::new(begin)) })
}

fn is_hibernating(server: &ActorRef<Server>) -> bool {
    node().peek(server.pid()).is_some_and(|info| info.status == Status::Hibernating)
}

// ---- GS-15

#[test]
fn gs_15_what_init_goes_on_with_comes_before_all_messages() {
    everywhere(async |_me: Process<()>| {
        let log = Log::new();
        let server = beginning(&log, |cx| {
            cx.myself().address().cast(Ask::Note("m"));
            cx.then(|me| me.cast(Ask::Chain(2)));
            cx.myself().address().cast(Ask::StopAndGoOn);
        });
        node().ended(&server).await;
        assert_eq!(log.all(), ["chain 2", "chain 1", "chain 0", "m", "terminate"]);
        Ok(())
    });
}

#[test]
fn gs_15_the_reply_goes_first_then_what_is_gone_on_with_then_what_was_queued() {
    everywhere(async |_me: Process<()>| {
        let log = Log::new();
        let server = server(&log);
        let urgent = Call::new(server.address(), Ask::Urgent).await?;
        let (sender, answered) = oneshot::channel();
        let call = Call::new(server.address(), |reply| Ask::Call(answered, reply)).send();
        server.address().cast(Ask::Note("q1"));
        server.address().cast(Ask::StopAndGoOn);
        call.await?;
        // It waits in what it goes on with: an urgent message comes after all of that, and before what was queued.
        urgent.cast_urgent(Ask::Note("urgent"));
        let _ = sender.send(());
        node().ended(&server).await;
        let last = ["call", "waited", "last", "chain 1", "chain 0", "urgent", "q1", "terminate"];
        assert_eq!(log.all(), last);
        Ok(())
    });
}

#[test]
fn gs_15_a_panic_leaves_nothing_to_go_on_with() {
    everywhere(async |_me: Process<()>| {
        let log = Log::new();
        let server = server(&log);
        server.address().cast(Ask::GoOnAndPanic);
        node().ended(&server).await;
        assert_eq!(log.all(), ["terminate"]);
        Ok(())
    });
}

/// A call goes ahead like a cast; who takes the request along has the reply.
#[test]
fn gs_15_a_call_can_be_gone_on_with() {
    everywhere(async |_me: Process<()>| {
        let (log, (lend, lent)) = (Log::new(), oneshot::channel());
        let server = beginning(&log, |cx| {
            cx.myself().address().cast(Ask::Note("m"));
            cx.then(|me| {
                let (answer, answered) = oneshot::channel();
                let _ = answer.send(());
                let _ = lend.send(Call::new(me, |reply| Ask::Call(answered, reply)).send());
            });
        });
        lent.await?.await?;
        server.address().cast(Ask::StopAndGoOn);
        node().ended(&server).await;
        assert_eq!(log.all(), ["call", "waited", "last", "chain 1", "chain 0", "m", "terminate"]);
        Ok(())
    });
}

/// The address that it goes on by, used by somebody else: a message like any other.
#[test]
fn gs_15_the_way_ahead_is_for_the_process_itself_only() {
    everywhere(async |_me: Process<()>| {
        let (log, (lend, lent)) = (Log::new(), oneshot::channel());
        let server = beginning(&log, |cx| cx.then(|me| drop(lend.send(me.clone()))));
        let (sender, answered) = oneshot::channel();
        Call::new(server.address(), |reply| Ask::Call(answered, reply)).await?;
        server.address().cast(Ask::Note("q1"));
        lent.await?.cast(Ask::Note("q2"));
        server.address().cast(Ask::StopAndGoOn);
        let _ = sender.send(());
        node().ended(&server).await;
        assert_eq!(log.all(), ["call", "waited", "last", "chain 1", "chain 0", "q1", "q2", "terminate"]);
        Ok(())
    });
}

// ---- GS-16

/// Just after `delay` from now.
async fn pass(delay: Duration) {
    time::sleep(delay + Duration::from_nanos(1)).await;
}

#[test]
fn gs_16_a_silence_is_told_when_it_has_lasted_for_its_time() {
    under_seeds(SEEDS, async |_me: Process<()>| {
        let log = Log::new();
        let server = server(&log);
        server.address().cast(Ask::Idle(millis(100)));
        pass(millis(100) - Duration::from_nanos(2)).await;
        assert_eq!(log.all(), ["idle"]);
        pass(Duration::from_nanos(1)).await;
        assert_eq!(log.all(), ["idle", "expired"]);
        // Once.
        pass(secs(3_600)).await;
        assert_eq!(log.len(), 2);
        Ok(())
    });
}

#[test]
fn gs_16_whatever_is_handled_before_takes_it_back() {
    under_seeds(SEEDS, async |me: Process<()>| {
        let log = Log::new();
        let server = server(&log);
        let watched = puppet();
        server.address().cast(Ask::Watch(watched.pid()));
        // A message.
        server.address().cast(Ask::Idle(millis(100)));
        pass(millis(50)).await;
        server.address().cast(Ask::Note("message"));
        pass(secs(3_600)).await;
        // A message that came at the last moment, and waits while a handler is at work.
        server.address().cast(Ask::Idle(millis(100)));
        server.address().cast(Ask::Note("behind"));
        pass(secs(3_600)).await;
        // What the runtime tells.
        server.address().cast(Ask::Idle(millis(100)));
        pass(millis(50)).await;
        me.exit(watched.pid(), ExitReason::Kill);
        pass(secs(3_600)).await;
        assert_eq!(log.all(), ["idle", "message", "idle", "behind", "idle", "info"]);
        Ok(())
    });
}

#[test]
fn gs_16_asked_again_the_last_counts_and_a_look_from_outside_is_no_message() {
    under_seeds(SEEDS, async |_me: Process<()>| {
        let log = Log::new();
        let server = server(&log);
        server.address().cast(Ask::Idle(millis(100)));
        pass(millis(60)).await;
        server.address().cast(Ask::Idle(millis(100)));
        pass(millis(60)).await;
        server.with_state(|_| ()).await?;
        assert_eq!(log.all(), ["idle", "idle"]);
        pass(millis(40)).await;
        assert_eq!(log.all(), ["idle", "idle", "expired"]);
        Ok(())
    });
}

/// Whoever may not handle anything is not silent by its own choice: what waits comes first.
#[test]
fn gs_16_a_suspended_server_is_told_after_what_waits_if_at_all() {
    under_seeds(SEEDS, async |_me: Process<()>| {
        let log = Log::new();
        let server = server(&log);
        server.address().cast(Ask::Idle(millis(20)));
        pass(Duration::ZERO).await;
        node().suspend(&server);
        pass(millis(5)).await;
        server.address().cast(Ask::Note("waits"));
        pass(millis(100)).await;
        node().resume(&server);
        pass(secs(3_600)).await;
        assert_eq!(log.all(), ["idle", "waits"]);
        // With nothing that waits it is told, some time after it goes on.
        server.address().cast(Ask::Idle(millis(20)));
        pass(Duration::ZERO).await;
        node().suspend(&server);
        pass(millis(105)).await;
        assert_eq!(log.len(), 3);
        node().resume(&server);
        pass(millis(20)).await;
        assert_eq!(log.all(), ["idle", "waits", "idle", "expired"]);
        Ok(())
    });
}

/// Exactly one of the two is told, whichever comes first.
#[test]
fn gs_16_a_message_and_the_end_of_a_silence_at_once() {
    everywhere(async |_me: Process<()>| {
        let log = Log::new();
        let server = server(&log);
        server.address().cast(Ask::Idle(millis(1)));
        time::sleep(millis(1)).await;
        server.address().cast(Ask::Note("message"));
        server.address().cast(Ask::StopAndGoOn);
        node().ended(&server).await;
        let log = log.all();
        let expected = [&["idle", "message", "terminate"][..], &["idle", "expired", "message", "terminate"]];
        assert!(expected.iter().any(|expected| log == *expected), "{log:?}");
        Ok(())
    });
}

// ---- GS-21

#[test]
fn gs_21_a_server_hibernates_after_its_handler_until_the_next_message() {
    under_seeds(SEEDS, async |_me: Process<()>| {
        let log = Log::new();
        let server = server(&log);
        server.address().cast(Ask::Note("before"));
        for duration in [Duration::ZERO, millis(5)] {
            server.address().cast(Ask::Hibernate(duration, false));
            pass(duration).await;
            assert!(is_hibernating(&server));
            // A look does not wake it.
            assert_eq!(server.with_state(|server| server.log.len()).await?, log.len());
            assert!(is_hibernating(&server));
            server.address().cast(Ask::Note("after"));
            pass(Duration::ZERO).await;
            assert!(!is_hibernating(&server), "it hibernates when it is asked to");
        }
        assert_eq!(log.all(), ["before", "hibernate", "after", "hibernate", "after"]);
        Ok(())
    });
}

#[test]
fn gs_21_a_server_that_has_something_to_do_does_not_hibernate() {
    under_seeds(SEEDS, async |_me: Process<()>| {
        let log = Log::new();
        let server = server(&log);
        server.address().cast(Ask::Hibernate(Duration::ZERO, true));
        pass(Duration::ZERO).await;
        assert!(!is_hibernating(&server));
        server.address().cast(Ask::Hibernate(Duration::ZERO, false));
        server.address().cast(Ask::Note("behind"));
        pass(Duration::ZERO).await;
        assert!(!is_hibernating(&server));
        assert_eq!(log.all(), ["hibernate", "went on", "hibernate", "behind"]);
        Ok(())
    });
}

/// The alarm of a call rings after its reply, when nobody waits any more.
#[test]
fn gs_21_a_server_that_has_called_hibernates_too() {
    under_seeds(SEEDS, async |_me: Process<()>| {
        let (log, callee) = (Log::new(), server(&Log::new()));
        let server = server(&log);
        let called = callee.clone();
        server.address().cast(Ask::CallOther(called));
        pass(secs(8)).await;
        server.address().cast(Ask::Hibernate(Duration::ZERO, false));
        pass(Duration::ZERO).await;
        assert!(is_hibernating(&server));
        assert_eq!(log.all(), ["called", "hibernate"]);
        Ok(())
    });
}

/// Hibernates by itself.
struct Drowsy;

impl Actor for Drowsy {
    /// How long the handler takes.
    type Msg = Duration;
    type Client = Address<Duration>;
    const NAME: &'static str = "Drowsy";
    const OPTIONS: Options = Options { hibernate_after: Some(Duration::from_millis(100)), ..Options::DEFAULT };
}

impl Handle for Drowsy {
    async fn handle(&mut self, duration: Duration, _cx: &mut Context<Self>) {
        if !duration.is_zero() {
            time::sleep(duration).await;
        }
    }
}

#[test]
fn gs_21_a_server_hibernates_by_itself_when_it_was_idle_for_so_long() {
    under_seeds(SEEDS, async |_me: Process<()>| {
        let drowsy = spawn(Drowsy);
        let is_hibernating = || node().peek(drowsy.pid()).is_some_and(|info| info.status == Status::Hibernating);
        pass(millis(99)).await;
        assert!(!is_hibernating());
        pass(millis(1)).await;
        assert!(is_hibernating(), "also if nothing ever came");
        // After a message, and after one that took long, which counts from its end.
        for duration in [Duration::ZERO, millis(250)] {
            drowsy.address().cast(duration);
            pass(duration + millis(99)).await;
            assert!(!is_hibernating());
            pass(millis(1)).await;
            assert!(is_hibernating());
        }
        // Each message begins the time anew.
        for _ in 0..5 {
            drowsy.address().cast(Duration::ZERO);
            pass(millis(60)).await;
            assert!(!is_hibernating());
        }
        pass(millis(40)).await;
        assert!(is_hibernating());
        // Nothing keeps it awake, and no timer is left.
        pass(secs(3_600)).await;
        assert!(is_hibernating());
        assert_eq!(node().runtime().stats().timers, 0);
        Ok(())
    });
}

//! What a failure claims, of its message and of another try, is so.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use biotope_runtime::{
    Actor, ActorRef, Address, Bounded, Call, CallError, CallFailed, Context, ExitReason, Fate, Handle, Keys,
    LookupError, Overflow, Process, ReceiveError, Refused, RegisterError, ReplyTo, SendError, Spec, Start, StartError,
    VisitError, node, options, spawn, spawn_process, time,
};
use tokio::sync::oneshot;

use crate::everywhere;
use crate::probe::{Msg, Probe, end_of, observe};

/// Counts, where all can see it, how many messages it has begun to handle.
struct Server {
    handled: Arc<AtomicU64>,
    kept: Option<ReplyTo<u64>>,
}

enum Ask {
    Count(ReplyTo<u64>),
    /// Waits until this is open.
    Wait(oneshot::Receiver<()>),
    /// To be dropped the first time, and answered later.
    Forget(ReplyTo<u64>),
    /// Ends the server, which keeps the reply until then.
    Stop(ReplyTo<u64>),
    CallYourself(ReplyTo<Result<u64, CallFailed>>),
}

impl Actor for Server {
    type Msg = Ask;
    type Client = Address<Ask>;
    const NAME: &'static str = "Server";
}

impl Handle for Server {
    async fn handle(&mut self, ask: Ask, cx: &mut Context<Self>) {
        let handled = self.handled.fetch_add(1, Ordering::SeqCst) + 1;
        match ask {
            Ask::Count(reply) => reply.send(handled),
            Ask::Wait(gate) => drop(gate.await),
            Ask::Forget(reply) if handled == 1 => drop(reply),
            Ask::Forget(reply) => reply.send(handled),
            Ask::Stop(reply) => {
                self.kept = Some(reply);
                cx.stop(ExitReason::value("enough"));
            }
            Ask::CallYourself(reply) => reply.send(Call::new(cx.myself().address(), Ask::Count).await),
        }
    }
}

struct Observed {
    server: ActorRef<Server>,
    handled: Arc<AtomicU64>,
}

impl Observed {
    fn new() -> Self {
        Self::with(None)
    }

    fn bounded(messages: usize, overflow: Overflow) -> Self {
        Self::with(Some(Bounded::to(messages).or(overflow)))
    }

    fn with(mailbox: Option<Bounded>) -> Self {
        let handled = Arc::new(AtomicU64::new(0));
        let server = options(Server { handled: handled.clone(), kept: None });
        let server = match mailbox {
            Some(mailbox) => spawn(server.mailbox(mailbox)),
            None => spawn(server),
        };
        Self { server, handled }
    }

    fn count(&self) -> Call<'_, Ask, u64> {
        Call::new(&self.server, Ask::Count)
    }

    /// Busy until the gate is opened, or dropped.
    async fn busy(&self) -> oneshot::Sender<()> {
        let (open, gate) = oneshot::channel();
        self.server.cast(Ask::Wait(gate));
        while self.handled() == 0 {
            time::yield_now().await;
        }
        open
    }

    fn handled(&self) -> u64 {
        self.handled.load(Ordering::SeqCst)
    }
}

#[track_caller]
fn assert_claims(failed: &CallFailed, fate: Fate, can_retry: bool, reason: Option<ExitReason>) {
    assert_eq!((failed.fate(), failed.can_retry(), failed.reason()), (fate, can_retry, reason.as_ref()), "{failed}");
}

/// All of them, also those that only another node fails with; `tests/cluster` provokes these.
#[test]
fn each_failed_call_says_what_became_of_its_message() {
    use Fate::{MaybeHandled, NotHandled};
    let reason = ExitReason::value("enough");
    for (failed, fate, can_retry, reason) in [
        (CallFailed::NoProc, NotHandled, false, None),
        (CallFailed::NoConnection, MaybeHandled, true, None),
        (CallFailed::Full, NotHandled, true, None),
        (CallFailed::Timeout, MaybeHandled, true, None),
        (CallFailed::Died(reason.clone()), MaybeHandled, false, Some(reason)),
        (CallFailed::NoReply, MaybeHandled, true, None),
        (CallFailed::SelfCall, NotHandled, false, None),
        // Of nobody; what is claimed does not depend on who is in it.
        (CallFailed::Cycle(rmp_serde::from_slice(&[0x90]).expect("an empty list")), MaybeHandled, true, None),
        (CallFailed::UnknownMethod, NotHandled, false, None),
        (CallFailed::Malformed("bytes".into()), MaybeHandled, false, None),
    ] {
        assert_claims(&failed, fate, can_retry, reason.clone());
        let error = CallError::<&str>::Failed(failed);
        assert_eq!((error.fate(), error.can_retry(), error.reason()), (fate, can_retry, reason.as_ref()));
    }
    let replied = CallError::Reply("no");
    assert_eq!((replied.fate(), replied.can_retry(), replied.reason()), (Fate::Handled, false, None));
}

#[test]
fn a_call_that_is_not_handled_has_run_no_handler() {
    everywhere("not handled", || {
        observe(async move |mut me| {
            // Nobody is there.
            let gone = Observed::new();
            gone.server.stop();
            end_of(&mut me, gone.server.pid()).await?;
            for _ in 0..2 {
                let failed = gone.count().await.unwrap_err();
                assert_eq!(failed, CallFailed::NoProc);
                assert_claims(&failed, Fate::NotHandled, false, None);
            }
            assert_eq!(gone.handled(), 0);

            // There is no room.
            let full = Observed::bounded(1, Overflow::Reject);
            let open = full.busy().await;
            let queued = full.count().send();
            let failed = full.count().await.unwrap_err();
            assert_eq!(failed, CallFailed::Full);
            assert_claims(&failed, Fate::NotHandled, true, None);
            let _ = open.send(());
            assert_eq!((queued.await?, full.count().await?), (2, 3), "the one that failed is not among them");

            // It had room, until a newer one came.
            let drops = Observed::bounded(1, Overflow::DropOldest);
            let open = drops.busy().await;
            let (oldest, newest) = (drops.count().send(), drops.count().send());
            let failed = oldest.await.unwrap_err();
            assert_eq!(failed, CallFailed::Full);
            let _ = open.send(());
            assert_eq!((newest.await?, drops.count().await?), (2, 3));

            // To itself, again and again.
            let selfish = Observed::new();
            for n in 1..=2 {
                let failed = Call::new(&selfish.server, Ask::CallYourself).await?.unwrap_err();
                assert_eq!(failed, CallFailed::SelfCall);
                assert_claims(&failed, Fate::NotHandled, false, None);
                assert_eq!(selfish.handled(), n, "the call that it was asked for, and no other");
            }
            Ok(())
        })
    });
}

/// It waits for room until its deadline, and is not handled when there is room later.
#[test]
fn a_call_for_which_there_was_no_room_in_time_has_run_no_handler() {
    biotope_testkit::under_seeds("no room", 200, || async {
        let server = Observed::bounded(1, Overflow::Suspend);
        let open = server.busy().await;
        let queued = server.count().send();
        let failed = server.count().timeout(Duration::from_secs(1)).await.unwrap_err();
        assert_eq!(failed, CallFailed::Full);
        let _ = open.send(());
        assert_eq!((queued.await?, server.count().await?), (2, 3));
        biotope_runtime::Result::<()>::Ok(())
    });
}

/// Each of these has happened with a message that was handled, and with one that was not: nobody can tell.
#[test]
fn a_call_that_may_have_been_handled_was_or_was_not() {
    biotope_testkit::under_seeds("maybe", 200, || async {
        // Too late, and handled afterwards; and never, because the server is killed.
        for is_killed in [false, true] {
            let server = Observed::new();
            let open = server.busy().await;
            let failed = server.count().timeout(Duration::from_millis(10)).await.unwrap_err();
            assert_eq!(failed, CallFailed::Timeout);
            assert_claims(&failed, Fate::MaybeHandled, true, None);
            if is_killed {
                node().exit(&server.server, ExitReason::Kill);
            }
            let _ = open.send(());
            match server.count().await {
                Ok(handled) => assert_eq!(handled, 3, "also the one that was given up"),
                Err(failed) => assert!(is_killed && server.handled() == 1, "{failed}"),
            }
        }
        // It ended, by the handler of this call and before that of the other.
        let server = Observed::new();
        let (stops, behind) = (Call::new(&server.server, Ask::Stop).send(), server.count().send());
        for call in [stops, behind] {
            let failed = call.await.unwrap_err();
            assert_claims(&failed, Fate::MaybeHandled, false, Some(ExitReason::value("enough")));
        }
        assert_eq!(server.handled(), 1);
        assert_eq!(server.count().await, Err(CallFailed::NoProc), "another try cannot help");
        // It was handled, and nobody answered; the next time somebody does.
        let server = Observed::new();
        let failed = Call::new(&server.server, Ask::Forget).await.unwrap_err();
        assert_eq!((failed.clone(), server.handled()), (CallFailed::NoReply, 1));
        assert_claims(&failed, Fate::MaybeHandled, true, None);
        assert_eq!(Call::new(&server.server, Ask::Forget).await?, 2);
        biotope_runtime::Result::<()>::Ok(())
    });
}

#[test]
fn what_is_not_sent_is_handed_back_and_not_handled() {
    everywhere("handed back", || {
        observe(async move |mut me| {
            let tell = || Ask::Wait(oneshot::channel().1);
            let full = Observed::bounded(1, Overflow::Reject);
            let open = full.busy().await;
            assert!(full.server.try_cast(tell()).is_ok());
            let refused = full.server.try_cast(tell()).unwrap_err();
            assert!(matches!(refused, SendError::Full(_)) && refused.can_retry());
            let message = refused.into_message();
            assert!(matches!(message, Ask::Wait(_)));
            let _ = open.send(());
            full.server.cast_async(message).await.unwrap_or_else(|refused| assert!(refused.can_retry()));
            full.server.with_state(|_| ()).await?;
            assert!((2..=3).contains(&full.handled()));

            full.server.stop();
            end_of(&mut me, full.server.pid()).await?;
            let refused = full.server.try_cast(tell()).unwrap_err();
            assert!(matches!(refused, SendError::NoProc(Ask::Wait(_))) && !refused.can_retry());
            Ok(())
        })
    });
}

/// Refused, or not, as it is told.
struct Picky;

impl Actor for Picky {
    type Msg = ();
    type Client = Address<()>;
    const NAME: &'static str = "Picky";
}

impl Handle for Picky {
    async fn handle(&mut self, (): (), _cx: &mut Context<Self>) {}
}

impl Start for Picky {
    type Args = Result<(), Refused>;

    async fn start(args: Self::Args, _cx: &mut Context<Self>) -> Result<Self, Refused> {
        args.map(|()| Self)
    }
}

#[test]
fn a_start_that_fails_says_whether_another_may_succeed() {
    everywhere("starts", || {
        observe(async move |mut me| {
            let (no, tries) = (ExitReason::value("not yet"), Arc::new(AtomicU64::new(0)));
            let refusal = no.clone();
            let spec = Spec::<Picky>::new(move || match tries.fetch_add(1, Ordering::SeqCst) {
                0 => Err(Refused::Error(refusal.clone())),
                _ => Ok(()),
            });
            let refused = spec.start().await.unwrap_err();
            assert_eq!((refused.can_retry(), refused.reason()), (true, Some(&no)));
            let spec = spec.named("picky");
            let picky = spec.start().await?;
            let taken = spec.start().await.unwrap_err();
            assert_eq!((&taken, taken.reason()), (&StartError::AlreadyStarted(picky.pid()), None));
            assert!(taken.can_retry());
            picky.stop();
            end_of(&mut me, picky.pid()).await?;
            spec.start().await?;
            let ignored = Spec::<Picky>::new(|| Err(Refused::Ignore)).start().await.unwrap_err();
            assert_eq!((ignored.can_retry(), ignored.reason()), (false, None));
            Ok(())
        })
    });
}

#[test]
fn looks_names_and_receives_say_whether_another_try_can_help() {
    everywhere("others", || {
        observe(async move |mut me| {
            let probe = spawn(Probe::new());
            // A look.
            let panicked = probe.with_state(|_| panic!("a look")).await.unwrap_err();
            assert!(matches!(panicked, VisitError::Panicked(_)));
            assert_eq!((panicked.fate(), panicked.can_retry(), panicked.reason()), (Fate::Handled, false, None));
            let other = ActorRef::<Picky>::new(spawn_process(async |mut me: Process<()>| Ok(me.receive().await?)));
            let refused = other.with_state(|_| ()).await.unwrap_err();
            assert_eq!(
                (&refused, refused.fate(), refused.can_retry()),
                (&VisitError::OtherActor, Fate::NotHandled, false)
            );
            // A name.
            node().register("n", &probe)?;
            let taken = node().register("n", me.pid()).unwrap_err();
            assert_eq!((taken.clone(), taken.can_retry()), (RegisterError::Taken(probe.pid()), true));
            let named = node().register("m", &probe).unwrap_err();
            assert_eq!((named.clone(), named.can_retry()), (RegisterError::HasName("n".into()), false));
            probe.cast(Msg::Stop(ExitReason::Shutdown));
            let ended = probe.with_state(|_| ()).await.unwrap_err();
            let reason = ended.reason().cloned();
            assert!(!ended.can_retry() && reason.is_none_or(|reason| reason == ExitReason::Shutdown), "{ended}");
            end_of(&mut me, probe.pid()).await?;
            assert!(!node().register("n", &probe).unwrap_err().can_retry());
            let nobody = node().named::<Probe>("n").now().unwrap_err();
            assert!(nobody.can_retry());
            assert_eq!(
                (CallFailed::from(nobody.clone()), nobody),
                (CallFailed::NoProc, LookupError::NotRegistered("n".into()),)
            );
            node().register("n", me.pid())?;
            // A receive.
            let nothing = me.receive().timeout(Duration::ZERO).await.unwrap_err();
            assert_eq!((nothing.can_retry(), nothing.reason()), (true, None));
            let (told, stopped) = oneshot::channel();
            let asked = spawn_process(async move |mut me: Process<()>| {
                let _ = told.send(me.receive().await);
                Ok(())
            });
            asked.stop(ExitReason::Shutdown);
            let stopped = stopped.await?.unwrap_err();
            assert_eq!(stopped, ReceiveError::Stopped(ExitReason::Shutdown));
            assert_eq!((stopped.can_retry(), stopped.reason()), (false, Some(&ExitReason::Shutdown)));
            Ok(())
        })
    });
}

/// A panic for a mistake of the caller's is placed where the mistake is.
#[test]
fn a_panic_for_the_callers_mistake_names_the_callers_code() {
    everywhere("mistakes", || {
        observe(async move |_| {
            // What another process may do in its own code only.
            let mistakes: [fn(&Process<()>); 5] = [
                |_| assert_eq!(Bounded::to(0).messages, 0),
                |_| drop(Keys::<u32, ()>::unique(&node()).partitions(0)),
                |other| other.scratch(|_| ()),
                |other| other.exit_now(ExitReason::Normal),
                |other| other.demonitor_flush(other.monitor(other.pid())),
            ];
            for mistake in mistakes {
                let mut reports = node().crash_reports();
                let (sender, other) = oneshot::channel();
                spawn_process(async move |me: Process<()>| {
                    let _ = sender.send(me);
                    Ok(())
                });
                let other = other.await?;
                spawn_process(async move |_: Process<()>| {
                    mistake(&other);
                    Ok(())
                });
                let report = reports.next().await.expect("the node lives");
                let ExitReason::Panic(panic) = &report.reason else { panic!("{}", report.reason) };
                let place = panic.location.as_deref().expect("it has a place");
                assert!(place.contains("failures.rs"), "{place}: {}", panic.message);
            }
            Ok(())
        })
    });
}

//! Calls tell the truth about what became of the message.

use biotope_runtime::{
    Actor, Address, Bounded, Call, CallFailed, Context, ExitReason, Handle, Node, Options, Overflow, Process, ReplyTo,
    Runtime, node, spawn, time,
};
use std::time::Duration;

use crate::everywhere;
use crate::probe::{Msg, Probe, end_of, observe};

#[test]
fn a_call_to_a_dead_process_fails_with_noproc() {
    everywhere("noproc", || {
        observe(async move |mut me| {
            let probe = spawn(Probe::new());
            probe.stop();
            end_of(&mut me, probe.pid()).await?;
            assert_eq!(Call::new(&probe, Msg::Seen).await, Err(CallFailed::NoProc));
            Ok(())
        })
    });
}

#[test]
fn a_call_whose_callee_ends_learns_the_reason_at_once() {
    everywhere("died", || {
        observe(async move |_| {
            let probe = spawn(Probe::new());
            // One call is held by the state, one waits in the mailbox behind the end.
            let held = Call::new(&probe, Msg::Hold).send();
            probe.cast(Msg::Stop(ExitReason::value("gone")));
            let queued = Call::new(&probe, Msg::Seen).send();
            assert_eq!(held.await, Err(CallFailed::Died(ExitReason::value("gone"))));
            let queued = queued.await.unwrap_err();
            let expected = [CallFailed::Died(ExitReason::value("gone")), CallFailed::NoProc];
            assert!(expected.contains(&queued), "{queued}");
            Ok(())
        })
    });
}

#[test]
fn a_dropped_reply_is_told_to_the_caller() {
    everywhere("no reply", || {
        observe(async move |_| {
            let probe = spawn(Probe::new());
            assert_eq!(Call::new(&probe, Msg::DropReply).await, Err(CallFailed::NoReply));
            Ok(())
        })
    });
}

/// The default deadline is 5 s, in virtual time, to the instant.
#[test]
fn a_call_without_an_answer_fails_at_its_deadline() {
    biotope_testkit::under_seeds("deadline", 50, || async {
        let probe = spawn(Probe::new());
        let start = time::now();
        assert_eq!(Call::new(&probe, Msg::Hold).await, Err(CallFailed::Timeout));
        assert_eq!(time::now() - start, Duration::from_secs(5));
        let start = time::now();
        let short = Call::new(&probe, Msg::Hold).timeout(Duration::from_millis(7));
        assert_eq!(short.await, Err(CallFailed::Timeout));
        assert_eq!(time::now() - start, Duration::from_millis(7));
    });
}

struct Narrow;

impl Actor for Narrow {
    type Msg = ReplyTo<()>;
    type Client = Address<ReplyTo<()>>;
    const NAME: &'static str = "Narrow";
    const OPTIONS: Options = Options { mailbox: Some(Bounded::to(2).or(Overflow::Reject)), ..Options::DEFAULT };
}

impl Handle for Narrow {
    async fn handle(&mut self, reply: ReplyTo<()>, cx: &mut Context<Self>) {
        if cx.pid() == biotope_runtime::this_pid() {
            reply.send(());
        }
    }
}

#[test]
fn a_full_mailbox_refuses_and_counts() {
    // Seed 0 runs the caller first, so the mailbox fills before its owner has a turn.
    biotope_testkit::under_seeds("full", 1, || async {
        let narrow = spawn(Narrow);
        let first = Call::new(&narrow, |reply| reply).send();
        let second = Call::new(&narrow, |reply| reply).send();
        assert_eq!(Call::new(&narrow, |reply| reply).await, Err(CallFailed::Full));
        narrow.cast(ReplyTo::from_fn(|_| ()));
        // The call and the cast.
        assert_eq!(node().dead_letters_of(biotope_runtime::DeadLetter::Full), 2);
        assert_eq!((first.await, second.await), (Ok(()), Ok(())));
    });
}

struct Selfish;

impl Actor for Selfish {
    type Msg = ReplyTo<Result<(), CallFailed>>;
    type Client = Address<Self::Msg>;
    const NAME: &'static str = "Selfish";
}

impl Handle for Selfish {
    async fn handle(&mut self, reply: ReplyTo<Result<(), CallFailed>>, cx: &mut Context<Self>) {
        let myself = cx.myself();
        let outcome = Call::new(&myself, |reply: ReplyTo<Result<(), CallFailed>>| reply).await;
        reply.send(outcome.and_then(|inner| inner));
    }
}

#[test]
fn a_process_that_calls_itself_gets_an_error_at_once() {
    everywhere("selfcall", || {
        observe(async move |_| {
            let selfish = spawn(Selfish);
            let outcome = Call::new(&selfish, |reply| reply).await?;
            assert_eq!(outcome, Err(CallFailed::SelfCall));
            Ok(())
        })
    });
}

/// Holds each call until the next comes: then it replies to the one before, and at once to that one.
#[derive(Default)]
struct Late(Option<ReplyTo<u32>>);

enum Ask {
    Hold(ReplyTo<u32>),
    Reply(ReplyTo<u32>),
}

impl Actor for Late {
    type Msg = Ask;
    type Client = Address<Ask>;
    const NAME: &'static str = "Late";
}

impl Handle for Late {
    async fn handle(&mut self, ask: Ask, _cx: &mut Context<Self>) {
        match ask {
            Ask::Hold(reply) => self.0 = Some(reply),
            Ask::Reply(reply) => {
                if let Some(late) = self.0.take() {
                    late.send(1);
                }
                reply.send(2);
            }
        }
    }
}

#[test]
fn a_late_reply_does_not_reach_the_next_call() {
    everywhere("late", || {
        observe(async move |_| {
            let late = spawn(Late::default());
            let given_up = Call::new(&late, Ask::Hold).timeout(Duration::from_millis(1)).await;
            assert_eq!(given_up, Err(CallFailed::Timeout));
            assert_eq!(Call::new(&late, Ask::Reply).await, Ok(2));
            Ok(())
        })
    });
}

/// The processes of two runtimes may know each other. How old theirs is does not matter to who waits.
#[test]
fn a_deadline_is_one_of_the_clock_of_who_waits() {
    let seeded = Runtime::builder().seeded(1).build().expect("no threads");
    let old = seeded.block_on(async {
        let node = Node::builder("old").runtime(seeded.clone()).start().await?;
        // Ten years, of its own time.
        seeded.sleep(Duration::from_secs(10 * 365 * 24 * 3_600)).await;
        Ok::<_, biotope_runtime::NodeError>(node.spawn(Late::default()))
    });
    let old = old.expect("it starts");
    // Nobody runs its processes any more.
    let young = Runtime::builder().workers(1).build().expect("threads");
    let (tell, outcome) = tokio::sync::oneshot::channel();
    let asked = young.block_on(async {
        let node = Node::builder("young").runtime(young.clone()).start().await?;
        node.spawn_process(async move |_: Process<()>| {
            let _ = tell.send(Call::new(&old, Ask::Hold).timeout(Duration::from_millis(1)).await);
            Ok(())
        });
        Ok::<_, biotope_runtime::NodeError>(outcome.await)
    });
    assert_eq!(asked.expect("it starts"), Ok(Err(CallFailed::Timeout)));
}

/// What cannot say which handler a message is for.
struct Torn;

impl Actor for Torn {
    type Msg = ReplyTo<u32>;
    type Client = Address<ReplyTo<u32>>;
    const NAME: &'static str = "Torn";

    fn handler_of(_: &ReplyTo<u32>) -> u32 {
        panic!("torn")
    }
}

impl Handle for Torn {
    async fn handle(&mut self, _: ReplyTo<u32>, _: &mut Context<Self>) {}
}

#[test]
fn a_panic_on_the_way_to_the_handler_is_told_to_the_caller() {
    everywhere("torn", || {
        observe(async move |_| {
            let outcome = Call::new(&spawn(Torn), |reply| reply).await;
            assert!(matches!(outcome, Err(CallFailed::Died(ExitReason::Panic(_)))), "{outcome:?}");
            Ok(())
        })
    });
}

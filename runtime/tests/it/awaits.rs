//! What reaches an actor while its handler awaits something, and what waits.

use biotope::prelude::*;
use biotope_testkit::{once, repetitions, under_seeds};
use tokio::sync::{mpsc, oneshot};

use crate::everywhere;
use crate::probe::{down, observe};

/// Awaits what it is told to, and tells what it has handled.
#[derive(Actor)]
struct Waiter {
    log: mpsc::UnboundedSender<&'static str>,
}

#[handlers]
impl Waiter {
    async fn until(&mut self, gate: oneshot::Receiver<()>) {
        let _ = self.log.send("waits");
        let _ = gate.await;
        let _ = self.log.send("went on");
    }

    #[cast]
    fn note(&mut self, what: &'static str) {
        let _ = self.log.send(what);
    }

    fn trap(&mut self, cx: &mut Context<Self>) {
        cx.trap_exits(true);
    }

    #[info]
    fn on_exit(&mut self, _: Exit) {
        let _ = self.log.send("exit");
    }

    /// Calls another that calls back.
    async fn ask(&mut self, other: ActorRef<Waiter>, myself: ActorRef<Waiter>) -> Result<(), CallFailed> {
        other.ask_back(myself).timeout(secs(60)).await.map_err(CallError::flat)
    }

    async fn ask_back(&mut self, first: ActorRef<Waiter>) -> Result<(), CallFailed> {
        first.trap().await
    }
}

fn waiter() -> (ActorRef<Waiter>, mpsc::UnboundedReceiver<&'static str>) {
    let (log, told) = mpsc::unbounded_channel();
    // Nobody's child: its parent's exit would end it also if it traps exits.
    (node().spawn(Waiter { log }), told)
}

#[test]
fn messages_wait_while_a_handler_awaits_and_trapped_exits_among_them() {
    everywhere("waiting", || {
        observe(async move |me| {
            let ((waiter, mut told), (open, gate)) = (waiter(), oneshot::channel());
            waiter.trap().await?;
            let waits = waiter.until(gate).send();
            assert_eq!(told.recv().await, Some("waits"));
            waiter.note("before");
            me.exit(&waiter, ExitReason::Shutdown);
            waiter.note("after");
            // It has received all of these when it has answered, and handled none.
            assert!(node().process_info(&waiter).await.is_some());
            assert!(told.try_recv().is_err());
            let _ = open.send(());
            waits.await?;
            for next in ["went on", "before", "exit", "after"] {
                assert_eq!(told.recv().await, Some(next));
            }
            Ok(())
        })
    });
}

#[test]
fn an_exit_that_is_not_trapped_ends_a_handler_where_it_awaits() {
    everywhere("exit", || {
        observe(async move |mut me| {
            for (sent, reason) in [(ExitReason::Shutdown, ExitReason::Shutdown), (ExitReason::Kill, ExitReason::Killed)]
            {
                let ((waiter, mut told), (mut open, gate)) = (waiter(), oneshot::channel());
                let watch = me.monitor(&waiter);
                let waits = waiter.until(gate).send();
                assert_eq!(told.recv().await, Some("waits"));
                me.exit(&waiter, sent);
                assert_eq!(down(&mut me, watch).await?, reason);
                // What it awaited was dropped, and it did not go on.
                open.closed().await;
                assert_eq!(told.recv().await, None);
                assert_eq!(waits.await, Err(CallFailed::Died(reason)));
            }
            Ok(())
        })
    });
}

#[test]
fn a_handler_goes_on_whose_caller_has_given_up() {
    under_seeds("given up", 100, || async {
        let ((waiter, mut told), (open, gate)) = (waiter(), oneshot::channel());
        assert_eq!(waiter.until(gate).timeout(secs(1)).await, Err(CallFailed::Timeout));
        assert_eq!(told.recv().await, Some("waits"));
        let _ = open.send(());
        assert_eq!(told.recv().await, Some("went on"));
        biotope::Result::<()>::Ok(())
    });
}

/// Neither comes to the other's call: the deadline of the inner one ends it, where cycles are not looked for.
#[test]
fn of_two_whose_handlers_call_each_other_the_first_to_give_up_is_told_so() {
    let two = || async {
        let (start, (first, _log), (second, _other_log)) = (time::now(), waiter(), waiter());
        let outcome = first.ask(second, first.clone()).timeout(secs(100)).await;
        assert_eq!(outcome, Err(CallError::Reply(CallFailed::Timeout)));
        assert_eq!(time::now() - start, secs(5));
        biotope::Result::<()>::Ok(())
    };
    for seed in 0..repetitions(100) {
        let outcome = once(Runtime::builder().seeded(seed).find_call_cycles(false), two());
        assert_eq!(outcome, Ok(()), "under seed {seed}");
    }
}

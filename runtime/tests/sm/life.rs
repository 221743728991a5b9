//! How a machine starts, ends, fails, and is called.

use biotope::prelude::*;
use biotope::{Refused, StartError};

use crate::probe::{Ask, At, Log, Probe, everywhere, go, probe, seeded, tell};

// ---- SM-09

#[derive(State, Clone, Debug, Default, PartialEq)]
enum Shop {
    #[default]
    Open,
    Closed,
}

/// Customers wait until it closes.
#[derive(Actor, Default)]
struct Till {
    log: Log,
    waiting: Vec<ReplyTo<&'static str>>,
}

#[machine(state = Shop, otherwise = crash)]
impl Till {
    fn wait(&mut self, reply: ReplyTo<&'static str>) {
        self.waiting.push(reply);
    }

    #[on(Open => Closed)]
    fn close(&mut self, why: ExitReason, cx: &mut Context<Self>) -> &'static str {
        self.waiting.drain(..).for_each(|reply| reply.send("closed"));
        cx.goto(Shop::Closed);
        cx.stop(why);
        "closed"
    }

    #[on(Open => Closed)]
    fn burn(&mut self) {
        panic!("fire");
    }

    /// Leads somewhere that is not declared.
    fn vanish(&mut self, cx: &mut Context<Self>) {
        cx.goto(Shop::Closed);
    }

    #[on(Closed)]
    fn reopen(&mut self) {}

    #[terminate]
    fn end(&mut self, reason: &ExitReason, cx: &mut Context<Self>) {
        self.log.push(format!("{} {} {:?}", reason_of(reason), self.waiting.len(), cx.state()));
    }
}

/// The text of a reason, without where a panic was.
fn reason_of(reason: &ExitReason) -> String {
    match reason {
        ExitReason::Panic(panic) => panic.message.clone(),
        other => other.to_string(),
    }
}

#[test]
fn sm_09_a_machine_that_stops_has_answered_its_callers() {
    everywhere("sm_09_a_machine_that_stops_has_answered_its_callers", async || {
        let log = Log::default();
        let till = spawn(Till { log: log.clone(), waiting: Vec::new() });
        let ended = node().ended(&till);
        let first = till.wait().send();
        let second = till.close(ExitReason::value("evening")).send();
        assert_eq!((first.await?, second.await?), ("closed", "closed"));
        assert_eq!(ended.await, ExitReason::value("evening"));
        assert_eq!(log.take(), ["\"evening\" 0 Closed"]);
        Ok(())
    });
}

// ---- SM-10

#[test]
fn sm_10_a_call_of_a_machine_has_a_deadline_of_five_seconds() {
    seeded("sm_10_a_call_of_a_machine_has_a_deadline_of_five_seconds", async || {
        let machine = spawn(probe(&Log::default()));
        let slow = || Ask::Slowly(secs(2), Box::new(|_, _| ()));
        machine.cast(slow());
        let (begin, serve) = (time::now(), |reply| Ask::Serve("serve", reply));
        assert_eq!(Call::new(&machine, serve).timeout(millis(100)).await, Err(CallFailed::Timeout));
        assert_eq!(time::now() - begin, millis(100));
        // One that is postponed for ever waits as long as any other.
        let begin = time::now();
        assert_eq!(Call::new(&machine, serve).await, Err(CallFailed::Timeout));
        assert_eq!(time::now() - begin, secs(5));
        // Nothing of them comes later, to the next call or otherwise.
        go(&machine, At::C(3));
        assert_eq!(Call::new(&machine, serve).await?, At::C(3));
        Ok(())
    });
}

// ---- SM-11

/// A specification of a machine that begins like this, and is named `m`.
fn spec(
    log: &Log,
    begin: impl Fn(&mut Context<Probe>) -> Result<(), Refused> + Clone + Send + Sync + 'static,
) -> Spec<Probe> {
    let log = log.clone();
    Spec::new(move || probe(&log).beginning(begin.clone())).named("m")
}

#[test]
fn sm_11_a_start_waits_for_init_and_the_first_entry() {
    everywhere("sm_11_a_start_waits_for_init_and_the_first_entry", async || {
        let log = Log::default();
        let machine = spec(&log, |cx| {
            cx.goto(At::B);
            Ok(())
        })
        .start()
        .await?;
        assert_eq!(log.take(), ["enter(B, B)"]);
        assert_eq!(node().whereis("m"), Some(machine.pid()));
        let taken = spec(&log, |_| Ok(())).start().await;
        assert_eq!(taken, Err(StartError::AlreadyStarted(machine.pid())));
        assert_eq!(log.take(), [""; 0]);
        Ok(())
    });
}

#[test]
fn sm_11_a_start_that_is_refused_enters_nothing_and_leaves_nothing() {
    everywhere("sm_11_a_start_that_is_refused_enters_nothing_and_leaves_nothing", async || {
        let log = Log::default();
        let no = ExitReason::value("no");
        let reason = no.clone();
        let refused = spec(&log, move |_| Err(Refused::Error(reason.clone()))).start().await;
        assert_eq!(refused, Err(StartError::Refused(no)));
        assert_eq!(spec(&log, |_| Err(Refused::Ignore)).start().await, Err(StartError::Ignored));
        let panicked = spec(&log, |_| panic!("not today")).start().await;
        assert!(matches!(&panicked, Err(StartError::Refused(ExitReason::Panic(why))) if why.message == "not today"));
        assert_eq!((node().whereis("m"), log.take()), (None, vec![]));
        Ok(())
    });
}

#[test]
fn sm_11_a_start_that_is_too_slow_is_killed() {
    #[derive(Actor, Default)]
    struct Slow;

    #[machine(state = Shop)]
    impl Slow {
        #[enter(_)]
        async fn dawdle(&mut self) {
            time::sleep(secs(1)).await;
        }
    }

    seeded("sm_11_a_start_that_is_too_slow_is_killed", async || {
        let begin = time::now();
        let late = Slow::spec().named("slow").timeout(millis(100)).start().await;
        assert_eq!((late, time::now() - begin), (Err(StartError::Timeout), millis(100)));
        assert_eq!(node().whereis("slow"), None);
        Slow::spec().named("slow").timeout(secs(2)).start().await?;
        Ok(())
    });
}

#[test]
fn sm_11_a_stop_runs_terminate_with_its_reason() {
    everywhere("sm_11_a_stop_runs_terminate_with_its_reason", async || {
        let log = Log::default();
        let machine = spawn(probe(&log));
        go(&machine, At::B);
        assert_eq!(machine.stop_and_wait(ExitReason::Shutdown).await, ExitReason::Shutdown);
        assert_eq!(log.take(), ["enter(A, A)", "enter(A, B)", "terminate(shutdown, B)"]);
        assert_eq!(machine.stop_and_wait(ExitReason::Shutdown).await, ExitReason::NoProc);
        assert_eq!(Call::new(&machine, |reply| Ask::Serve("late", reply)).await, Err(CallFailed::NoProc));
        Ok(())
    });
}

#[test]
fn sm_11_a_machine_is_supervised_like_any_actor() {
    everywhere("sm_11_a_machine_is_supervised_like_any_actor", async || {
        let supervisor =
            Supervisor::one_for_one().child(Till::spec().named("till").restart(Permanent)).start_link().await?;
        let till = node().named::<Till>("till");
        let first = node().whereis("till");
        let failed = till.call(|till| till.burn()).await;
        assert!(matches!(failed, Err(CallFailed::Died(_))), "{failed:?}");
        // It begins anew, in its first state.
        while node().whereis("till").is_none_or(|pid| Some(pid) == first) {
            time::yield_now().await;
        }
        let again = node().lookup::<Till>("till").expect("it is there again");
        assert_eq!(again.machine_state().await?, Shop::Open);
        drop(supervisor);
        Ok(())
    });
}

// ---- SM-13

#[test]
fn sm_13_a_panic_ends_the_machine_and_changes_no_state() {
    everywhere("sm_13_a_panic_ends_the_machine_and_changes_no_state", async || {
        let log = Log::default();
        let machine = spawn(probe(&log));
        let ended = node().ended(&machine);
        // What is postponed then is lost, and its caller learns why.
        let waiting = Call::new(&machine, |reply| Ask::Serve("never", reply)).send();
        tell(&machine, |_, cx| {
            cx.then(|me| me.cast(Ask::Note("never")));
            cx.goto(At::B);
            panic!("asked to");
        });
        let reason = ended.await;
        assert_eq!(reason_of(&reason), "asked to");
        assert_eq!(waiting.await, Err(CallFailed::Died(reason.clone())));
        assert_eq!(log.take(), ["enter(A, A)".to_owned(), format!("terminate({reason}, A)")]);
        Ok(())
    });
}

/// Goal: the end, the caller and the watcher name actor, event, state and target.
#[test]
fn sm_13_a_transition_that_is_not_declared_is_a_panic_that_names_it() {
    everywhere("sm_13_a_transition_that_is_not_declared_is_a_panic_that_names_it", async || {
        let log = Log::default();
        let till = spawn(Till { log: log.clone(), waiting: Vec::new() });
        let ended = node().ended(&till);
        let Err(CallFailed::Died(reason)) = till.vanish().await else { panic!("it replied") };
        let expected = "Till: `vanish` does not lead from `Open` to `Closed`, as it is declared";
        assert_eq!(reason_of(&reason), expected);
        assert_eq!(ended.await, reason);
        assert_eq!(log.take(), [format!("{expected} 0 Open")]);
        Ok(())
    });
}

#[test]
fn sm_13_an_event_that_is_not_expected_is_a_panic_that_names_it() {
    everywhere("sm_13_an_event_that_is_not_expected_is_a_panic_that_names_it", async || {
        let till = spawn(Till::default());
        let ended = node().ended(&till);
        let Err(CallFailed::Died(reason)) = till.reopen().await else { panic!("it replied") };
        assert_eq!(reason_of(&reason), "Till: `reopen` is not expected in the state `Open`");
        assert_eq!(ended.await, reason);
        Ok(())
    });
}

/// A kill while a handler awaits drops it, and nothing of it takes place.
#[test]
fn sm_13_a_kill_takes_place_while_a_handler_awaits() {
    everywhere("sm_13_a_kill_takes_place_while_a_handler_awaits", async || {
        let log = Log::default();
        let machine = spawn(probe(&log));
        let ended = node().ended(&machine);
        let waiting = Call::new(&machine, |reply| Ask::Serve("never", reply)).send();
        machine.cast(Ask::Slowly(secs(10), Box::new(|_, cx| cx.goto(At::B))));
        node().exit(&machine, ExitReason::Kill);
        assert_eq!(ended.await, ExitReason::Killed);
        assert_eq!(waiting.await, Err(CallFailed::Died(ExitReason::Killed)));
        Ok(())
    });
}

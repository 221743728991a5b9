//! Events: which come first, which are put aside, and which nobody expects.

use biotope::prelude::*;
use biotope::{Down, Event};

use crate::probe::{Ask, At, Log, everywhere, go, probe, settled, tell};

#[test]
fn sm_02_what_is_postponed_is_handled_after_the_change_oldest_first() {
    everywhere("sm_02_what_is_postponed_is_handled_after_the_change_oldest_first", async || {
        let log = Log::default();
        let machine = spawn(probe(&log));
        ["p1", "p2", "p3"].into_iter().for_each(|work| machine.cast(Ask::Work(work)));
        go(&machine, At::B);
        machine.cast(Ask::Work("p4"));
        settled(&machine).await?;
        assert_eq!(log.take(), ["enter(A, A)", "enter(A, B)", "p1", "p2", "p3", "p4"]);
        Ok(())
    });
}

#[test]
fn sm_02_a_call_that_is_postponed_keeps_its_caller_and_its_deadline() {
    everywhere("sm_02_a_call_that_is_postponed_keeps_its_caller_and_its_deadline", async || {
        let log = Log::default();
        let machine = spawn(probe(&log));
        let lost = Call::new(&machine, |reply| Ask::Serve("lost", reply)).timeout(millis(20)).await;
        assert_eq!(lost, Err(CallFailed::Timeout));
        let served = Call::new(&machine, |reply| Ask::Serve("served", reply)).send();
        go(&machine, At::C(1));
        assert_eq!(served.await?, At::C(1));
        // The one whose caller has given up is handled too, and its reply reaches nobody.
        assert_eq!(log.take(), ["enter(A, A)", "enter(A, C(1))", "lost", "served"]);
        Ok(())
    });
}

#[test]
fn sm_02_what_the_runtime_tells_is_postponed_in_its_place() {
    everywhere("sm_02_what_the_runtime_tells_is_postponed_in_its_place", async || {
        let log = Log::default();
        let machine = spawn(probe(&log));
        let watched = spawn_process(async |_me: Process<()>| Ok(()));
        let pid = watched.pid();
        node().ended(pid).await;
        machine.cast(Ask::Work("before"));
        tell(&machine, move |_, cx| {
            cx.monitor(pid);
        });
        settled(&machine).await?;
        // The `Down` has come by now: whoever monitors the dead is told at once, by itself.
        while !node()
            .process_status(&machine)
            .await
            .expect("it lives")
            .state
            .unwrap_or_default()
            .contains("2 postponed")
        {
            time::yield_now().await;
        }
        go(&machine, At::B);
        settled(&machine).await?;
        assert_eq!(log.take(), ["enter(A, A)", "enter(A, B)", "before", "down noproc"]);
        Ok(())
    });
}

#[test]
fn sm_04_inserted_events_come_first_with_their_kinds() {
    everywhere("sm_04_inserted_events_come_first_with_their_kinds", async || {
        let log = Log::default();
        let machine = spawn(probe(&log));
        go(&machine, At::B);
        tell(&machine, |_, cx| {
            // Behind what lies in the mailbox by then, were it not inserted.
            cx.myself().cast(Ask::Note("e1"));
            cx.then(|me| me.cast(Ask::Note("i1")));
            cx.insert(Event::Message(Ask::Note("i2")));
            let (reference, target) = (cx.monitor(cx.pid()), cx.pid().into());
            cx.insert(Event::Info(Info::Down(Down { reference, target, reason: ExitReason::Shutdown })));
            cx.timeout("t", Duration::ZERO, |me| me.cast(Ask::Note("timeout")));
        });
        machine.cast(Ask::Note("e2"));
        settled(&machine).await?;
        let (all, ends) = (log.take(), ["e1", "e2"]);
        assert_eq!(all[..6], ["enter(A, A)", "enter(A, B)", "i1", "i2", "down shutdown", "timeout"]);
        // Which of the two was sent first is not the machine's to say.
        assert!(ends.iter().all(|end| all[6..].contains(&(*end).to_owned())), "{all:?}");
        Ok(())
    });
}

/// A call may be inserted: whoever made it for itself has the reply.
#[test]
fn sm_04_a_call_can_be_inserted() {
    everywhere("sm_04_a_call_can_be_inserted", async || {
        let log = Log::default();
        let machine = spawn(probe(&log));
        let (sender, replied) = tokio::sync::oneshot::channel();
        tell(&machine, |_, cx| {
            cx.goto(At::B);
            cx.then(|me| {
                let request = Call::new(me, |reply| Ask::Serve("call", reply)).send();
                let _ = sender.send(request);
            });
            cx.myself().cast(Ask::Note("e1"));
        });
        let request = replied.await.expect("it was sent");
        assert_eq!(request.await?, At::B);
        settled(&machine).await?;
        assert_eq!(log.take(), ["enter(A, A)", "enter(A, B)", "call", "e1"]);
        Ok(())
    });
}

/// Goal: inserted, postponed, the rest of the queue, timeouts of nothing, new messages: in this order.
/// Method: of two inserted events, the first changes the state, inserts more, and asks for a timeout.
#[test]
fn sm_04_inserted_then_postponed_then_the_rest_then_zero_timeouts_then_new_messages() {
    everywhere("sm_04_inserted_then_postponed_then_the_rest_then_zero_timeouts_then_new_messages", async || {
        let log = Log::default();
        let machine = spawn(probe(&log));
        machine.cast(Ask::Work("postponed 1"));
        machine.cast(Ask::Work("postponed 2"));
        tell(&machine, |_, cx| {
            cx.myself().cast(Ask::Note("new"));
            cx.then(|me| {
                me.cast(Ask::Do(Box::new(|me, cx| {
                    me.log.push("first");
                    cx.goto(At::B);
                    cx.timeout("zero", Duration::ZERO, |me| me.cast(Ask::Note("zero")));
                    cx.state_timeout(Duration::ZERO, |me| me.cast(Ask::Note("state zero")));
                    cx.then(|me| me.cast(Ask::Note("inserted 1")));
                    cx.then(|me| me.cast(Ask::Note("inserted 2")));
                })));
                me.cast(Ask::Note("rest"));
            });
        });
        settled(&machine).await?;
        let all = [
            "enter(A, A)",
            "first",
            "enter(A, B)",
            "inserted 1",
            "inserted 2",
            "postponed 1",
            "postponed 2",
            "rest",
            "zero",
            "state zero",
            "new",
        ];
        assert_eq!(log.take(), all);
        Ok(())
    });
}

#[derive(State, Clone, Debug, PartialEq)]
enum Line {
    Down,
    Connecting { tries: u32 },
    Up,
}

/// A connection that is made when it is needed first.
#[derive(Actor, Default, Debug)]
struct Phone {
    log: Log,
    is_engaged: bool,
}

#[machine(state = Line, initial = Down, otherwise = ignore)]
impl Phone {
    #[postpone(Down => Connecting { tries: 1 })]
    #[postpone(Connecting)]
    #[postpone(Up if self.is_engaged)]
    #[on(Up)]
    fn say(&mut self, words: &str) -> usize {
        self.log.push(words);
        words.len()
    }

    #[cast]
    #[on(Up => Down)]
    fn hang_up(&mut self, cx: &mut Context<Self>) {
        cx.goto(Line::Down);
    }

    fn ask(&mut self) -> bool {
        true
    }

    #[cast]
    #[on(Connecting => Up)]
    fn connected(&mut self, cx: &mut Context<Self>) {
        cx.goto(Line::Up);
    }

    #[info]
    #[on(Up => Down)]
    #[ignore(Down)]
    #[postpone(_)]
    fn on_down(&mut self, _: Down, cx: &mut Context<Self>) {
        self.log.push("lost");
        cx.goto(Line::Down);
    }

    #[cast]
    fn watch(&mut self, pid: Pid, cx: &mut Context<Self>) {
        cx.monitor(pid);
    }

    #[enter(Connecting)]
    fn connect(&mut self, cx: &mut Entering<Self>) {
        cx.pipe(async {}, |me, ()| me.connected());
    }
}

#[test]
fn sm_02_an_event_that_changes_the_state_may_wait_for_the_next() {
    everywhere("sm_02_an_event_that_changes_the_state_may_wait_for_the_next", async || {
        let log = Log::default();
        let phone = spawn(Phone { log: log.clone(), is_engaged: false });
        assert_eq!(phone.say("hello").await?, 5);
        assert_eq!(phone.machine_state().await?, Line::Up);
        assert_eq!(log.take(), ["hello"]);
        // Conditions are of the data, at the time of the event.
        phone.with_state(|phone| phone.is_engaged = true).await?;
        let later = phone.say("later").send();
        assert!(phone.ask().await?);
        phone.with_state(|phone| phone.is_engaged = false).await?;
        phone.say("sooner").await?;
        phone.hang_up();
        assert_eq!(later.await?, 5);
        assert_eq!(log.take(), ["sooner", "later"]);
        Ok(())
    });
}

/// Of two handlers for infos, one has rules.
#[derive(Actor, Default)]
struct Nosy {
    log: Log,
}

#[machine(state = Line, initial = Up, otherwise = ignore)]
impl Nosy {
    #[info]
    #[on(Down)]
    fn on_other(&mut self, info: Info) {
        self.log.push(format!("{info:?}"));
    }

    #[info]
    fn on_down(&mut self, down: Down) {
        self.log.push(down.reason.to_string());
    }

    #[cast]
    fn watch(&mut self, pid: Pid, cx: &mut Context<Self>) {
        cx.trap_exits(true);
        cx.link(pid);
        cx.monitor(pid);
    }
}

#[test]
fn sm_02_the_rules_of_one_info_are_not_those_of_another() {
    everywhere("sm_02_the_rules_of_one_info_are_not_those_of_another", async || {
        let log = Log::default();
        let nosy = spawn(Nosy { log: log.clone() });
        let other = spawn_process(async |_me: Process<()>| Ok(()));
        node().ended(other.pid()).await;
        nosy.watch(other.pid());
        let mut all = Vec::new();
        while all.is_empty() {
            nosy.with_machine(|_, _| ()).await?;
            all = log.take();
        }
        // The exit came before, by the same way.
        assert_eq!(all, ["noproc"]);
        Ok(())
    });
}

#[test]
fn sm_02_infos_have_rules_too() {
    everywhere("sm_02_infos_have_rules_too", async || {
        let log = Log::default();
        let phone = spawn(Phone { log: log.clone(), is_engaged: false });
        let other = spawn_process(async |_me: Process<()>| Ok(()));
        node().ended(other.pid()).await;
        // Ignored where it is down.
        phone.watch(other.pid());
        assert!(phone.ask().await?);
        assert_eq!(phone.say("a").await?, 1);
        assert_eq!(log.take(), ["a"]);
        phone.watch(other.pid());
        while phone.machine_state().await? != Line::Down {
            time::yield_now().await;
        }
        assert_eq!(log.take(), ["lost"]);
        Ok(())
    });
}

//! States: what changes them, and what follows.

use biotope::Event;
use biotope::prelude::*;

use crate::probe::{Ask, At, Log, everywhere, go, probe, settled, tell};

#[derive(State, Clone, Copy, Debug, Default, PartialEq)]
enum Light {
    #[default]
    Off,
    On,
}

#[derive(Actor, Default, Debug)]
struct Switch {
    count: u32,
}

#[machine(state = Light)]
impl Switch {
    #[on(Off => On)]
    #[on(On => Off)]
    fn push(&mut self, cx: &mut Context<Self>) -> Light {
        let next = match cx.state() {
            Light::Off => Light::On,
            Light::On => Light::Off,
        };
        cx.goto(next);
        next
    }

    fn get_count(&self) -> u32 {
        self.count
    }

    #[enter(On)]
    fn lit(&mut self) {
        self.count += 1;
    }
}

#[test]
fn sm_01_transitions_and_replies() {
    everywhere("sm_01_transitions_and_replies", async || {
        let switch = spawn(Switch::default());
        for expected in [Light::On, Light::Off, Light::On] {
            assert_eq!(switch.push().await?, expected);
            assert_eq!(switch.machine_state().await?, expected);
        }
        assert_eq!(switch.get_count().await?, 2);
        let status = node().process_status(&switch).await.expect("it lives");
        assert_eq!(status.state.as_deref(), Some("(On, Switch { count: 2 })"));
        Ok(())
    });
}

#[test]
fn sm_03_the_same_state_is_no_change() {
    everywhere("sm_03_the_same_state_is_no_change", async || {
        let log = Log::default();
        let machine = spawn(probe(&log));
        machine.cast(Ask::Work("p1"));
        go(&machine, At::A);
        settled(&machine).await?;
        assert_eq!(log.take(), ["enter(A, A)"]);
        go(&machine, At::B);
        settled(&machine).await?;
        assert_eq!(log.take(), ["enter(A, B)", "p1"]);
        Ok(())
    });
}

#[test]
fn sm_03_another_payload_is_another_state() {
    everywhere("sm_03_another_payload_is_another_state", async || {
        let log = Log::default();
        let machine = spawn(probe(&log));
        [At::C(1), At::C(1), At::C(2)].into_iter().for_each(|state| go(&machine, state));
        settled(&machine).await?;
        assert_eq!(log.take(), ["enter(A, A)", "enter(A, C(1))", "enter(C(1), C(2))"]);
        Ok(())
    });
}

#[test]
fn sm_08_each_entry_runs_its_action_before_any_event() {
    everywhere("sm_08_each_entry_runs_its_action_before_any_event", async || {
        let log = Log::default();
        let machine = spawn(probe(&log));
        tell(&machine, |me, cx| {
            cx.then(|me| me.cast(Ask::Note("inserted")));
            me.log.push("goes");
            cx.goto(At::B);
        });
        machine.cast(Ask::Note("kept"));
        tell(&machine, |_, cx| cx.repeat());
        go(&machine, At::A);
        settled(&machine).await?;
        let all = ["enter(A, A)", "goes", "enter(A, B)", "inserted", "kept", "enter(B, B)", "enter(B, A)"];
        assert_eq!(log.take(), all);
        Ok(())
    });
}

#[test]
fn sm_08_to_repeat_a_state_gives_nothing_back() {
    everywhere("sm_08_to_repeat_a_state_gives_nothing_back", async || {
        let log = Log::default();
        let machine = spawn(probe(&log));
        tell(&machine, |_, cx| cx.postpone(Event::Message(Ask::Note("postponed"))));
        tell(&machine, |_, cx| cx.repeat());
        settled(&machine).await?;
        assert_eq!(log.take(), ["enter(A, A)", "enter(A, A)"]);
        go(&machine, At::B);
        settled(&machine).await?;
        assert_eq!(log.take(), ["enter(A, B)", "postponed"]);
        Ok(())
    });
}

#[test]
fn sm_08_init_chooses_the_state_that_is_entered_first() {
    everywhere("sm_08_init_chooses_the_state_that_is_entered_first", async || {
        let log = Log::default();
        let machine = spawn(probe(&log).beginning(|cx| {
            cx.goto(At::C(7));
            cx.then(|me| me.cast(Ask::Note("first")));
            Ok(())
        }));
        settled(&machine).await?;
        assert_eq!(log.take(), ["enter(C(7), C(7))", "first"]);
        Ok(())
    });
}

#[test]
fn sm_08_a_machine_that_stops_enters_nothing_and_an_entry_may_stop_it() {
    everywhere("sm_08_a_machine_that_stops_enters_nothing_and_an_entry_may_stop_it", async || {
        let log = Log::default();
        let machine = spawn(probe(&log));
        tell(&machine, |_, cx| {
            cx.goto(At::B);
            cx.stop(ExitReason::Shutdown);
        });
        assert_eq!(node().ended(&machine).await, ExitReason::Shutdown);
        assert_eq!(log.take(), ["enter(A, A)", "terminate(shutdown, B)"]);

        let machine = spawn(probe(&log).entering(|cx| cx.stop(ExitReason::Shutdown)));
        assert_eq!(node().ended(&machine).await, ExitReason::Shutdown);
        assert_eq!(log.take(), ["enter(A, A)", "terminate(shutdown, A)"]);
        Ok(())
    });
}

/// Where handlers are async, and where they are not, all of this is the same.
#[derive(Actor, Default)]
struct Mixed {
    log: Log,
}

#[machine(state = Light, otherwise = postpone)]
impl Mixed {
    #[cast]
    #[on(Off => On)]
    async fn slow(&mut self, cx: &mut Context<Self>) {
        cx.goto(Light::On);
        time::sleep(millis(1)).await;
        self.log.push("slow");
    }

    #[cast]
    #[on(On => Off)]
    fn quick(&mut self, cx: &mut Context<Self>) {
        cx.goto(Light::Off);
        self.log.push("quick");
    }

    #[enter(_)]
    async fn enter(&mut self, old: &Light, cx: &mut Entering<Self>) {
        time::sleep(millis(1)).await;
        self.log.push(format!("{old:?} {:?}", cx.state()));
    }
}

#[test]
fn sm_08_what_awaits_holds_up_all_events() {
    everywhere("sm_08_what_awaits_holds_up_all_events", async || {
        let log = Log::default();
        let machine = spawn(Mixed { log: log.clone() });
        machine.quick();
        machine.slow();
        machine.slow();
        machine.with_machine(|_, _| ()).await?;
        assert_eq!(log.take(), ["Off Off", "slow", "Off On", "quick", "On Off", "slow", "Off On"]);
        Ok(())
    });
}

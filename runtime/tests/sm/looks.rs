//! A machine seen from outside, which area SYS asks for too, and its diagram.

use biotope::prelude::*;
use biotope::{Status, VisitError};

use crate::probe::{Ask, At, Log, everywhere, go, probe, settled, tell};

#[test]
fn sys_01_a_machine_shows_state_and_data_and_both_are_replaced() {
    everywhere("sys_01_a_machine_shows_state_and_data_and_both_are_replaced", async || {
        let log = Log::default();
        let machine = spawn(probe(&log));
        machine.cast(Ask::Work("p"));
        let shown = node().process_status(&machine).await.expect("it lives").state;
        assert_eq!(shown.as_deref(), Some("(A, Probe), 1 postponed"));
        // Suspended, it is looked at and mended; nothing follows a state that was set.
        node().suspend(&machine);
        let before = machine.with_machine(|state, _| std::mem::replace(state, At::C(9))).await?;
        assert_eq!((before, machine.machine_state().await?), (At::A, At::C(9)));
        let status = node().process_status(&machine).await.expect("it lives");
        assert_eq!(
            (status.info.status, status.state.as_deref()),
            (Status::Suspended, Some("(C(9), Probe), 1 postponed"))
        );
        node().resume(&machine);
        settled(&machine).await?;
        assert_eq!(log.take(), ["enter(A, A)"]);
        // A change from there is one like any other.
        go(&machine, At::B);
        settled(&machine).await?;
        assert_eq!(log.take(), ["enter(C(9), B)", "p"]);
        Ok(())
    });
}

#[test]
fn sys_01_a_look_at_a_machine_that_fails_says_why() {
    everywhere("sys_01_a_look_at_a_machine_that_fails_says_why", async || {
        let machine = spawn(probe(&Log::default()));
        let looked = machine.with_machine(|_, _| panic!("too bright")).await;
        assert!(matches!(looked, Err(VisitError::Panicked(_))), "{looked:?}");
        machine.stop_and_wait(ExitReason::Normal).await;
        assert_eq!(machine.machine_state().await, Err(VisitError::Failed(CallFailed::NoProc)));
        Ok(())
    });
}

/// A suspended machine takes its messages in their order when it goes on, those that were inserted or postponed before them.
#[test]
fn sys_02_a_suspended_machine_goes_on_where_it_was() {
    everywhere("sys_02_a_suspended_machine_goes_on_where_it_was", async || {
        let log = Log::default();
        let machine = spawn(probe(&log));
        machine.cast(Ask::Work("p"));
        node().suspend(&machine);
        machine.cast(Ask::Note("n1"));
        go(&machine, At::B);
        machine.cast(Ask::Note("n2"));
        assert_eq!(machine.machine_state().await?, At::A);
        node().resume(&machine);
        settled(&machine).await?;
        assert_eq!(log.take(), ["enter(A, A)", "n1", "enter(A, B)", "p", "n2"]);
        Ok(())
    });
}

/// What a crash leaves behind says what state the machine was in.
#[test]
fn sm_13_the_report_of_a_crash_shows_the_state() {
    everywhere("sm_13_the_report_of_a_crash_shows_the_state", async || {
        let mut reports = node().crash_reports();
        let machine = spawn(probe(&Log::default()));
        go(&machine, At::C(4));
        tell(&machine, |_, _| panic!("asked to"));
        let report = reports.next().await.expect("the node lives");
        assert_eq!(report.pid, machine.pid());
        assert_eq!((report.state.as_deref(), report.handler), (Some("(C(4), Probe)"), Some("do")));
        Ok(())
    });
}

#[derive(State, Clone, Debug, PartialEq)]
enum Phase {
    Idle,
    Moving { to: u8 },
    Open(u8),
    Halted,
}

#[derive(Actor, Default)]
struct Lift;

#[machine(state = Phase, initial = Open(0), otherwise = crash)]
impl Lift {
    #[init]
    #[on(Open => Idle)]
    fn begin(&mut self, cx: &mut Context<Self>) {
        cx.goto(Phase::Idle);
    }

    #[cast]
    #[on(Idle => Moving | Open)]
    #[on(Moving)]
    #[postpone(Open)]
    #[ignore(Halted)]
    fn call(&mut self, to: u8, cx: &mut Context<Self>) {
        if *cx.state() == Phase::Idle {
            cx.goto(Phase::Moving { to });
        }
    }

    #[cast]
    #[on(Moving => Moving | Open)]
    fn arrive(&mut self, cx: &mut Context<Self>) {
        if let Phase::Moving { to } = *cx.state() {
            cx.goto(Phase::Open(to));
        }
    }

    #[cast]
    #[on(Open => Idle)]
    fn close(&mut self, cx: &mut Context<Self>) {
        cx.goto(Phase::Idle);
    }

    #[on(_ => Halted)]
    fn halt(&mut self, cx: &mut Context<Self>) {
        cx.goto(Phase::Halted);
    }
}

#[test]
fn sm_13_the_diagram_is_what_the_rules_say() {
    let expected = "\
stateDiagram-v2
    [*] --> Open
    Idle --> Moving: call
    Idle --> Open: call
    Idle --> Halted: halt
    Moving --> Moving: arrive
    Moving --> Open: arrive
    Moving --> Halted: halt
    Open --> Idle: close, init
    Open --> Halted: halt
    note right of Open: postpones call
    Halted --> Halted: halt
";
    assert_eq!(Lift::diagram(), expected);
}

#[test]
fn sm_13_the_diagram_s_machine_goes_its_ways() {
    everywhere("sm_13_the_diagram_s_machine_goes_its_ways", async || {
        let lift = spawn(Lift);
        assert_eq!(lift.machine_state().await?, Phase::Idle);
        lift.call(3);
        lift.arrive();
        lift.call(2);
        assert_eq!(lift.machine_state().await?, Phase::Open(3));
        lift.close();
        assert_eq!(lift.machine_state().await?, Phase::Moving { to: 2 });
        lift.halt().await?;
        lift.call(1);
        assert_eq!(lift.machine_state().await?, Phase::Halted);
        Ok(())
    });
}

//! Area REG: local names.

use std::time::Duration;

use biotope_runtime::{
    Call, CallFailed, ExitReason, LookupError, Process, RegisterError, Spec, StartError, node, spawn, spawn_process,
    time,
};
use tokio::sync::mpsc;

use crate::everywhere;
use crate::probe::{Msg, Probe, end_of, observe};

impl biotope_runtime::Start for Probe {
    type Args = ();
    async fn start((): (), _cx: &mut biotope_runtime::Context<Self>) -> Result<Self, biotope_runtime::Refused> {
        Ok(Self::new())
    }
}

#[test]
fn a_name_is_one_process_and_is_free_when_its_end_is_known() {
    everywhere("names", || {
        observe(async move |mut me| {
            let (a, b) = (spawn(Probe::new()), spawn(Probe::new()));
            node().register("n", &a)?;
            assert_eq!(node().register("n", &b), Err(RegisterError::Taken(a.pid())));
            assert_eq!(node().register("m", &a), Err(RegisterError::HasName("n".into())));
            assert_eq!(node().lookup::<Probe>("n"), Some(a.clone()));
            a.cast(Msg::Stop(ExitReason::Normal));
            end_of(&mut me, a.pid()).await?;
            node().register("n", &b)?;
            assert_eq!(node().unregister("n"), Ok(()));
            assert_eq!(node().whereis("n"), None);
            assert_eq!(node().register("n", &a), Err(RegisterError::NoProc));
            Ok(())
        })
    });
}

/// A call that waits in the state of its callee hears of the end without a monitor.
#[test]
fn a_caller_that_learns_that_its_callee_died_finds_the_name_free() {
    everywhere("name_died", || {
        observe(async move |me| {
            for _ in 0..20 {
                let callee = spawn(Probe::new());
                node().register("n", &callee)?;
                let call = Call::new(callee.address(), Msg::Hold).send();
                me.exit(&callee, ExitReason::Kill);
                assert_eq!(call.await, Err(CallFailed::Died(ExitReason::Killed)));
                assert_eq!(node().register("n", me.pid()), Ok(()));
                node().unregister("n")?;
            }
            Ok(())
        })
    });
}

#[test]
fn a_start_under_a_taken_name_fails_and_leaves_no_process() {
    everywhere("taken", || {
        observe(async move |_| {
            let spec = Spec::<Probe>::new(|| ()).named("n");
            let first = spec.start().await?;
            assert_eq!(spec.start_link().await, Err(StartError::AlreadyStarted(first.pid())));
            Ok(())
        })
    });
}

/// Before anybody has the name, while one has it, and when it is free again.
#[test]
fn a_named_handle_follows_the_name() {
    everywhere("named", || {
        observe(async move |mut me| {
            let named = node().named::<Probe>("n");
            let nobody = LookupError::NotRegistered("n".into());
            assert_eq!(named.now(), Err(nobody.clone()));
            for _ in 0..3 {
                let probe = spawn(Probe::new());
                node().register("n", &probe)?;
                assert_eq!(named.now(), Ok(probe.clone()));
                assert_eq!(named.within(Duration::ZERO).await, Ok(probe.clone()));
                probe.cast(Msg::Stop(ExitReason::Normal));
                end_of(&mut me, probe.pid()).await?;
                assert_eq!(named.now(), Err(nobody.clone()));
            }
            Ok(())
        })
    });
}

#[test]
fn who_waits_for_a_name_gets_whoever_has_it_next() {
    everywhere("named_waits", || {
        observe(async move |_| {
            const WAITING: usize = 5;
            let ((sender, mut found), (begun, mut begins)) = (mpsc::unbounded_channel(), mpsc::unbounded_channel());
            for _ in 0..WAITING {
                let (sender, begun) = (sender.clone(), begun.clone());
                spawn_process(async move |_: Process<()>| {
                    let named = node().named::<Probe>("n");
                    let _ = begun.send(());
                    let _ = sender.send(named.within(Duration::from_secs(300)).await);
                    Ok(())
                });
            }
            // Under a seed, they wait when they have said so.
            for _ in 0..WAITING {
                begins.recv().await;
            }
            // That is another name.
            node().register("m", spawn(Probe::new()))?;
            let probe = spawn(Probe::new());
            node().register("n", &probe)?;
            let then = time::now();
            for _ in 0..WAITING {
                assert_eq!(found.recv().await, Some(Ok(probe.clone())));
            }
            assert!(!node().runtime().is_seeded() || time::now() - then < Duration::from_secs(1), "they are woken");
            Ok(())
        })
    });
}

#[test]
fn who_waits_for_a_name_in_vain_learns_it_when_the_time_is_up() {
    biotope_testkit::under_seeds("named_in_vain", 200, || async {
        let (named, start) = (node().named::<Probe>("n"), time::now());
        let outcome = named.within(Duration::from_secs(2)).await;
        assert_eq!(outcome, Err(LookupError::NotRegistered("n".into())));
        assert_eq!(time::now() - start, Duration::from_secs(2));
        biotope_runtime::Result::<()>::Ok(())
    });
}

/// At once: that one will not take what is meant for another.
#[test]
fn a_name_of_a_process_that_takes_other_messages_is_an_error() {
    everywhere("named_other", || {
        observe(async move |me| {
            node().register("n", me.pid())?;
            let named = node().named::<Probe>("n");
            let other = LookupError::OtherMessages { name: "n".into(), holder: me.pid() };
            assert_eq!(named.now(), Err(other.clone()));
            assert_eq!(named.within(Duration::from_secs(300)).await, Err(other));
            Ok(())
        })
    });
}

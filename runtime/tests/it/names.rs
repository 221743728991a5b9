//! Area REG: local names.

use biotope_runtime::{Call, CallFailed, ExitReason, RegisterError, Spec, StartError, node, spawn};

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

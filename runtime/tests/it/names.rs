//! Area REG: local names.

use biotope_runtime::{ExitReason, RegisterError, Spec, StartError, node, spawn};

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

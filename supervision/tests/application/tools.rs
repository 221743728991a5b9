//! Applications that tell what they do, and a look at what a test leaves.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use biotope_runtime::{Pid, Process, Result, node, time};
use biotope_supervision::{App, Supervisor};

use crate::support::*;

/// An application with one worker of its name, which tells what its callbacks do.
pub(crate) fn telling(stage: &Stage, name: &'static str) -> App {
    let [before, after] = [stage.clone(), stage.clone()];
    App::new(name)
        .supervisor(Supervisor::one_for_one().child(worker(stage, name)))
        .before_stop(move |_| {
            let stage = before.clone();
            async move {
                stage.tell(format!("before {name}"));
                Ok(())
            }
        })
        .after_stop(move |_| {
            let stage = after.clone();
            async move {
                stage.tell(format!("after {name}"));
                Ok(())
            }
        })
}

/// What a callback does that takes `time`.
pub(crate) async fn pause(time: Duration) -> Result<()> {
    time::sleep(time).await;
    Ok(())
}

/// It panics when it is dropped, unless there is a panic already.
pub(crate) struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "dropped");
    }
}

/// What an application of [`telling`] tells while it stops.
pub(crate) fn stop_of(name: &str) -> [String; 3] {
    [format!("before {name}"), format!("stop {name}: shutdown"), format!("after {name}")]
}

pub(crate) fn names(names: &[Arc<str>]) -> Vec<&str> {
    names.iter().map(|name| &**name).collect()
}

/// The names of the applications that run, in the order in which they were started.
pub(crate) async fn running() -> Vec<String> {
    let running = node().applications().which_applications().await;
    running.into_iter().map(|app| app.name.to_string()).collect()
}

pub(crate) use biotope_supervision::HostApplications;

/// What there is before something is done that is to leave nothing.
pub(crate) struct Before {
    processes: BTreeSet<Pid>,
    names: Vec<Arc<str>>,
}

impl Before {
    pub(crate) fn now() -> Self {
        let processes = node().processes().into_iter().map(|process| process.pid).collect();
        Self { processes, names: node().registered() }
    }

    /// Waits until no process is left that was not there; then there is no name either, and nobody monitors whoever asks.
    pub(crate) async fn is_restored(&self, me: &mut Process<()>) -> Result<()> {
        loop {
            let others = node().processes().into_iter().filter(|process| !self.processes.contains(&process.pid));
            let Some(other) = others.map(|process| process.pid).next() else { break };
            let monitor = me.monitor(other);
            down(me, monitor).await?;
        }
        assert_eq!(node().registered(), self.names);
        let info = node().peek(me.pid()).expect("it runs");
        assert_eq!((info.monitors, info.links), (vec![], vec![]));
        Ok(())
    }
}

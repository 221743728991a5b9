//! One actor that many monitor ends; until the last of them has been told.
//!
//! Whoever has been told lives on, so that only the telling is measured.

use std::time::Instant;

use peer::countdown::{Batch, Countdown};
use peer::measure::nanos_each;
use ractor::{Actor, ActorRef, RpcReplyPort, SupervisionEvent, call};

use crate::host::{Handled, spawn};

struct IsThere(RpcReplyPort<()>);

struct Target;

impl Actor for Target {
    type Msg = IsThere;
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<IsThere>, (): ()) -> Handled {
        Ok(())
    }

    async fn handle(&self, _: ActorRef<IsThere>, IsThere(reply): IsThere, (): &mut ()) -> Handled {
        Ok(reply.send(())?)
    }
}

struct Monitoring {
    target: ActorRef<IsThere>,
    ready: &'static Batch,
    told: &'static Batch,
}

impl Actor for Monitoring {
    type Msg = ();
    type State = ();
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<()>, (): ()) -> Handled {
        Ok(())
    }

    async fn post_start(&self, myself: ActorRef<()>, (): &mut ()) -> Handled {
        myself.monitor(self.target.get_cell());
        self.ready.count();
        Ok(())
    }

    async fn handle_supervisor_evt(&self, _: ActorRef<()>, event: SupervisionEvent, (): &mut ()) -> Handled {
        if let SupervisionEvent::ActorTerminated(..) = event {
            self.told.count();
        }
        Ok(())
    }
}

pub(crate) async fn monitors(count: u64) -> f64 {
    let target = spawn(Target, ()).await;
    let (ready, all_ready) = Countdown::from(count);
    let (told, all_told) = Countdown::from(count);
    for n in 0..count {
        spawn(Monitoring { target: target.clone(), ready: ready.batch(n), told: told.batch(n) }, ()).await;
    }
    all_ready.await.expect("all monitor it");
    call!(target, IsThere).expect("the target lives");
    let start = Instant::now();
    target.stop(None);
    all_told.await.expect("all are told");
    nanos_each(start, count)
}

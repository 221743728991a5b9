//! A tree of actors: work is split on the way down, and the sums are added on the way up.

use std::pin::Pin;
use std::time::Instant;

use peer::measure::nanos_each;
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, call};

use crate::host::{Handled, spawn};

const FAN_OUT: u64 = 10;
const LEVELS: u32 = 3;

/// As much as gives each leaf one piece.
const WORK: u64 = FAN_OUT.pow(LEVELS);

/// Two for each actor but the root.
const MESSAGES: u64 = 2 * (FAN_OUT + FAN_OUT.pow(2) + FAN_OUT.pow(3));

enum ToBranch {
    /// To the root: the reply comes when all leaves have done their part.
    WorkOn(u64, RpcReplyPort<u64>),
    Fork(u64),
    Join(u64),
}

struct Branch {
    parent: Option<ActorRef<ToBranch>>,
    levels_below: u32,
}

#[derive(Default)]
struct Twigs {
    children: Vec<ActorRef<ToBranch>>,
    sums_awaited: u64,
    sum: u64,
    total: Option<RpcReplyPort<u64>>,
}

impl Actor for Branch {
    type Msg = ToBranch;
    type State = Twigs;
    type Arguments = ();

    async fn pre_start(&self, myself: ActorRef<ToBranch>, (): ()) -> Result<Twigs, ActorProcessingErr> {
        let mut twigs = Twigs::default();
        if self.levels_below > 0 {
            for _ in 0..FAN_OUT {
                twigs.children.push(grow(Some(myself.clone()), self.levels_below - 1).await);
            }
        }
        Ok(twigs)
    }

    async fn handle(&self, _: ActorRef<ToBranch>, message: ToBranch, twigs: &mut Twigs) -> Handled {
        match message {
            ToBranch::WorkOn(work, total) => {
                twigs.total = Some(total);
                self.fork(work, twigs)
            }
            ToBranch::Fork(work) => self.fork(work, twigs),
            ToBranch::Join(sum) => {
                twigs.sum += sum;
                twigs.sums_awaited -= 1;
                if twigs.sums_awaited == 0 { self.finish(twigs.sum, twigs) } else { Ok(()) }
            }
        }
    }
}

impl Branch {
    fn fork(&self, work: u64, twigs: &mut Twigs) -> Handled {
        if twigs.children.is_empty() {
            return self.finish(work, twigs);
        }
        twigs.sums_awaited = FAN_OUT;
        twigs.sum = 0;
        for child in &twigs.children {
            child.cast(ToBranch::Fork(work / FAN_OUT))?;
        }
        Ok(())
    }

    fn finish(&self, sum: u64, twigs: &mut Twigs) -> Handled {
        match (&self.parent, twigs.total.take()) {
            (Some(parent), _) => parent.cast(ToBranch::Join(sum))?,
            (None, Some(total)) => total.send(sum)?,
            (None, None) => {}
        }
        Ok(())
    }
}

/// Spawns a branch, which grows those below it. Boxed, as it is within itself.
fn grow(
    parent: Option<ActorRef<ToBranch>>,
    levels_below: u32,
) -> Pin<Box<dyn Future<Output = ActorRef<ToBranch>> + Send>> {
    Box::pin(spawn(Branch { parent, levels_below }, ()))
}

pub(crate) async fn run(messages: u64) -> f64 {
    let rounds = messages / MESSAGES;
    let root = grow(None, LEVELS).await;
    let start = Instant::now();
    for _ in 0..rounds {
        assert_eq!(call!(root, ToBranch::WorkOn, WORK).expect("the root lives"), WORK);
    }
    nanos_each(start, rounds * MESSAGES)
}

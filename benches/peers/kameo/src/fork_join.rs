//! A tree of actors: work is split on the way down, and the sums are added on the way up.

use std::time::Instant;

use kameo::error::Infallible;
use kameo::prelude::{Actor, ActorRef, Context, DelegatedReply, Message, ReplySender};
use peer::measure::nanos_each;

use crate::host::{spawn_with, tell};

const FAN_OUT: u64 = 10;
const LEVELS: u32 = 3;

/// As much as gives each leaf one piece.
const WORK: u64 = FAN_OUT.pow(LEVELS);

/// Two for each actor but the root.
const MESSAGES: u64 = 2 * (FAN_OUT + FAN_OUT.pow(2) + FAN_OUT.pow(3));

struct Branch {
    parent: Option<ActorRef<Branch>>,
    children: Vec<ActorRef<Branch>>,
    sums_awaited: u64,
    sum: u64,
    total: Option<ReplySender<u64>>,
}

impl Actor for Branch {
    /// The parent, and how many levels are below it.
    type Args = (Option<ActorRef<Branch>>, u32);
    type Error = Infallible;

    async fn on_start((parent, levels_below): Self::Args, myself: ActorRef<Self>) -> Result<Self, Infallible> {
        let below = if levels_below > 0 { FAN_OUT } else { 0 };
        let children = (0..below).map(|_| spawn_with((Some(myself.clone()), levels_below - 1))).collect();
        Ok(Self { parent, children, sums_awaited: 0, sum: 0, total: None })
    }
}

/// To the root: the reply comes when all leaves have done their part.
struct WorkOn(u64);

impl Message<WorkOn> for Branch {
    type Reply = DelegatedReply<u64>;

    async fn handle(&mut self, WorkOn(work): WorkOn, cx: &mut Context<Self, Self::Reply>) -> Self::Reply {
        let (reply, total) = cx.reply_sender();
        self.total = total;
        self.fork(work);
        reply
    }
}

struct Fork(u64);

impl Message<Fork> for Branch {
    type Reply = ();

    async fn handle(&mut self, Fork(work): Fork, _: &mut Context<Self, ()>) {
        self.fork(work);
    }
}

struct Join(u64);

impl Message<Join> for Branch {
    type Reply = ();

    async fn handle(&mut self, Join(sum): Join, _: &mut Context<Self, ()>) {
        self.sum += sum;
        self.sums_awaited -= 1;
        if self.sums_awaited == 0 {
            self.finish(self.sum);
        }
    }
}

impl Branch {
    fn fork(&mut self, work: u64) {
        if self.children.is_empty() {
            return self.finish(work);
        }
        self.sums_awaited = FAN_OUT;
        self.sum = 0;
        for child in &self.children {
            tell(child, Fork(work / FAN_OUT));
        }
    }

    fn finish(&mut self, sum: u64) {
        match (&self.parent, self.total.take()) {
            (Some(parent), _) => tell(parent, Join(sum)),
            (None, Some(total)) => total.send(sum),
            (None, None) => {}
        }
    }
}

pub(crate) async fn run(messages: u64) -> f64 {
    let rounds = messages / MESSAGES;
    let root = spawn_with::<Branch>((None, LEVELS));
    // The first reply comes when the tree has grown.
    root.ask(WorkOn(WORK)).send().await.expect("the root lives");
    let start = Instant::now();
    for _ in 0..rounds {
        assert_eq!(root.ask(WorkOn(WORK)).send().await.expect("the root lives"), WORK);
    }
    nanos_each(start, rounds * MESSAGES)
}

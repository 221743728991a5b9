//! A tree of actors: work is split on the way down, and the sums are added on the way up.

use std::time::Instant;

use actix::prelude::*;
use peer::measure::nanos_each;
use tokio::sync::oneshot;

use crate::arbiters::Arbiters;

const FAN_OUT: u64 = 10;
const LEVELS: u32 = 3;

/// As much as gives each leaf one piece.
const WORK: u64 = FAN_OUT.pow(LEVELS);

/// Two for each actor but the root.
const MESSAGES: u64 = 2 * (FAN_OUT + FAN_OUT.pow(2) + FAN_OUT.pow(3));

struct Branch {
    parent: Option<Addr<Branch>>,
    levels_below: u32,
    children: Vec<Addr<Branch>>,
    sums_awaited: u64,
    sum: u64,
    total: Option<oneshot::Sender<u64>>,
}

impl Branch {
    fn new(parent: Option<Addr<Branch>>, levels_below: u32) -> Self {
        Self { parent, levels_below, children: Vec::new(), sums_awaited: 0, sum: 0, total: None }
    }

    fn fork(&mut self, work: u64) {
        if self.children.is_empty() {
            return self.finish(work);
        }
        self.sums_awaited = FAN_OUT;
        self.sum = 0;
        for child in &self.children {
            child.do_send(Fork(work / FAN_OUT));
        }
    }

    fn finish(&mut self, sum: u64) {
        match (&self.parent, self.total.take()) {
            (Some(parent), _) => parent.do_send(Join(sum)),
            (None, Some(total)) => drop(total.send(sum)),
            (None, None) => {}
        }
    }
}

impl Actor for Branch {
    type Context = Context<Self>;

    /// All but the root have their children beside them, on the same arbiter.
    fn started(&mut self, cx: &mut Context<Self>) {
        if self.levels_below > 0 && self.parent.is_some() {
            let child = |_| Branch::new(Some(cx.address()), self.levels_below - 1).start();
            self.children = (0..FAN_OUT).map(child).collect();
        }
    }
}

/// To the root: these are its children.
#[derive(Message)]
#[rtype(result = "()")]
struct Adopt(Vec<Addr<Branch>>);

impl Handler<Adopt> for Branch {
    type Result = ();

    fn handle(&mut self, Adopt(children): Adopt, _: &mut Context<Self>) {
        self.children = children;
    }
}

/// To the root: tell the total when all leaves have done their part.
#[derive(Message)]
#[rtype(result = "()")]
struct WorkOn(u64, oneshot::Sender<u64>);

impl Handler<WorkOn> for Branch {
    type Result = ();

    fn handle(&mut self, WorkOn(work, total): WorkOn, _: &mut Context<Self>) {
        self.total = Some(total);
        self.fork(work);
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Fork(u64);

impl Handler<Fork> for Branch {
    type Result = ();

    fn handle(&mut self, Fork(work): Fork, _: &mut Context<Self>) {
        self.fork(work);
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Join(u64);

impl Handler<Join> for Branch {
    type Result = ();

    fn handle(&mut self, Join(sum): Join, _: &mut Context<Self>) {
        self.sum += sum;
        self.sums_awaited -= 1;
        if self.sums_awaited == 0 {
            self.finish(self.sum);
        }
    }
}

/// The root is on the first arbiter. Of its children each arbiter has one half, with all that is below them.
pub async fn work(arbiters: &Arbiters, messages: u64) -> f64 {
    let rounds = messages / MESSAGES;
    let root = Branch::new(None, LEVELS).start();
    let child = |number| arbiters.start(number, Branch::new(Some(root.clone()), LEVELS - 1));
    root.do_send(Adopt((0..FAN_OUT as usize).map(child).collect()));
    // The first total comes when the tree has grown.
    total(&root).await;
    let start = Instant::now();
    for _ in 0..rounds {
        assert_eq!(total(&root).await, WORK);
    }
    nanos_each(start, rounds * MESSAGES)
}

async fn total(root: &Addr<Branch>) -> u64 {
    let (sender, total) = oneshot::channel();
    root.do_send(WorkOn(WORK, sender));
    total.await.expect("no sum is lost")
}

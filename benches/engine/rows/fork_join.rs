//! A tree of processes: work is split on the way down, and the sums are added on the way up.

use std::time::Instant;

use biotope::prelude::*;
use tokio::sync::mpsc;

use crate::host::{LONG, nanos_each};

const FAN_OUT: u64 = 10;
const LEVELS: u32 = 3;

/// As much as gives each leaf one piece.
const WORK: u64 = FAN_OUT.pow(LEVELS);

/// Two for each process but the root.
const MESSAGES: u64 = 2 * (FAN_OUT + FAN_OUT.pow(2) + FAN_OUT.pow(3));

#[derive(Actor)]
struct Branch {
    parent: Option<ActorRef<Branch>>,
    levels_below: u32,
    children: Vec<ActorRef<Branch>>,
    sums_awaited: u64,
    sum: u64,
    total: Option<ReplyTo<u64>>,
}

impl Branch {
    fn new(parent: Option<ActorRef<Branch>>, levels_below: u32) -> Self {
        Self { parent, levels_below, children: Vec::new(), sums_awaited: 0, sum: 0, total: None }
    }

    fn finish(&mut self, sum: u64) {
        match (&self.parent, self.total.take()) {
            (Some(parent), _) => parent.join(sum),
            (None, Some(total)) => total.send(sum),
            (None, None) => {}
        }
    }
}

#[handlers]
impl Branch {
    #[init]
    fn grow(&mut self, cx: &mut Context<Self>) {
        if self.levels_below > 0 {
            let child = |_| cx.spawn(Branch::new(Some(cx.myself()), self.levels_below - 1));
            self.children = (0..FAN_OUT).map(child).collect();
        }
    }

    /// To the root: the reply comes when all leaves have done their part.
    fn work_on(&mut self, work: u64, total: ReplyTo<u64>) {
        self.total = Some(total);
        self.fork(work);
    }

    #[cast]
    fn fork(&mut self, work: u64) {
        if self.children.is_empty() {
            return self.finish(work);
        }
        self.sums_awaited = FAN_OUT;
        self.sum = 0;
        for child in &self.children {
            child.fork(work / FAN_OUT);
        }
    }

    #[cast]
    fn join(&mut self, sum: u64) {
        self.sum += sum;
        self.sums_awaited -= 1;
        if self.sums_awaited == 0 {
            self.finish(self.sum);
        }
    }
}

pub(crate) async fn on_biotope(messages: u64) -> biotope::Result<f64> {
    let rounds = messages / MESSAGES;
    let root = spawn(Branch::new(None, LEVELS));
    // The first reply comes when the tree has grown.
    root.work_on(WORK).timeout(LONG).await?;
    let start = Instant::now();
    for _ in 0..rounds {
        assert_eq!(root.work_on(WORK).timeout(LONG).await?, WORK);
    }
    Ok(nanos_each(start, rounds * MESSAGES))
}

enum ToBranch {
    Fork(u64),
    Join(u64),
}

/// Where a sum goes: to the parent, or out of the tree.
enum Up {
    Parent(mpsc::UnboundedSender<ToBranch>),
    Out(mpsc::UnboundedSender<u64>),
}

impl Up {
    fn send(&self, sum: u64) {
        match self {
            Self::Parent(parent) => drop(parent.send(ToBranch::Join(sum))),
            Self::Out(total) => drop(total.send(sum)),
        }
    }
}

pub(crate) async fn on_tokio(messages: u64) -> f64 {
    let rounds = messages / MESSAGES;
    let (total, mut totals) = mpsc::unbounded_channel();
    let root = grow(Up::Out(total), LEVELS);
    let _ = root.send(ToBranch::Fork(WORK));
    totals.recv().await;
    let start = Instant::now();
    for _ in 0..rounds {
        let _ = root.send(ToBranch::Fork(WORK));
        assert_eq!(totals.recv().await, Some(WORK));
    }
    nanos_each(start, rounds * MESSAGES)
}

fn grow(up: Up, levels_below: u32) -> mpsc::UnboundedSender<ToBranch> {
    let (myself, mut inbox) = mpsc::unbounded_channel();
    let below = if levels_below > 0 { FAN_OUT } else { 0 };
    let children: Vec<_> = (0..below).map(|_| grow(Up::Parent(myself.clone()), levels_below - 1)).collect();
    tokio::spawn(async move {
        let (mut sums_awaited, mut sum) = (0, 0);
        while let Some(message) = inbox.recv().await {
            match message {
                ToBranch::Fork(work) if children.is_empty() => up.send(work),
                ToBranch::Fork(work) => {
                    (sums_awaited, sum) = (FAN_OUT, 0);
                    for child in &children {
                        let _ = child.send(ToBranch::Fork(work / FAN_OUT));
                    }
                }
                ToBranch::Join(part) => {
                    sum += part;
                    sums_awaited -= 1;
                    if sums_awaited == 0 {
                        up.send(sum);
                    }
                }
            }
        }
    });
    myself
}

//! A member: gives jobs to the workers beside it, and passes results on along the wiring.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use biotope_runtime::{
    Actor, ActorRef, Address, Call, CallFailed, Context, DecodeError, Handle, Incoming, MethodId, Outgoing, Pid,
    Refused, Remote, ReplyTo, Start,
};
use serde::{Deserialize, Serialize};

use super::coordinator::{Coordinator, FromMember, Message as ToCoordinator};
use super::dispatch::JobId;
use super::job::{Deliver, Order, perform};
use super::relay::{Answer, Batch, Edge, Relay};

/// How long a result waits at most for others to be merged with.
const MERGE: Duration = Duration::from_millis(5);

/// The process that stands for one place of an ecosystem.
pub struct Member {
    number: u64,
    coordinator: ActorRef<Coordinator>,
    next: Option<ActorRef<Member>>,
    relay: Relay,
    workers: BTreeMap<usize, Worker>,
    jobs: VecDeque<(JobId, Order)>,
    done: u64,
    restarts: u64,
    is_flush_due: bool,
}

struct Worker {
    pid: Pid,
    deliver: Deliver,
    doing: Option<(JobId, Order)>,
    /// It has ended; whoever supervises it will present its successor.
    is_gone: bool,
}

/// What a member starts from.
#[derive(Clone, Debug)]
#[doc(hidden)]
pub struct MemberArgs {
    pub(crate) number: u64,
    pub(crate) coordinator: ActorRef<Coordinator>,
    pub(crate) workers: usize,
}

/// What a member tells of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct MemberReport {
    /// Jobs that its workers have done, successfully or not.
    pub done: u64,
    /// How often a worker of it was started again.
    pub restarts: u64,
    /// The pids of its workers.
    pub workers: Vec<Pid>,
    /// Bytes of results by wiring version, sender and receiver, as this member saw them.
    pub traffic: Vec<(Edge, u64)>,
}

/// The messages of a [`Member`].
#[doc(hidden)]
pub enum Message {
    #[doc(hidden)]
    Wire(ToMember),
    #[doc(hidden)]
    Here(Here),
    #[doc(hidden)]
    Report(ReplyTo<MemberReport>),
}

/// What reaches a member from its coordinator or neighbours.
#[derive(Serialize, Deserialize)]
#[doc(hidden)]
pub struct ToMember(pub(crate) Told);

#[derive(Serialize, Deserialize)]
pub(crate) enum Told {
    /// The wiring is computed anew; the next member on the way to the coordinator, if there is one.
    Wired {
        version: u64,
        next: Option<(u64, ActorRef<Member>)>,
    },
    Assigned(Vec<(JobId, Order)>),
    Acknowledged(Vec<JobId>),
    Results(Batch),
}

/// What reaches a member from its own node.
#[doc(hidden)]
pub struct Here(pub(crate) Local);

pub(crate) enum Local {
    WorkerUp { index: usize, pid: Pid, deliver: Deliver },
    Done { worker: Pid, job: JobId, answer: Answer },
    Flush,
}

impl Actor for Member {
    type Msg = Message;
    type Client = Address<Message>;
    const NAME: &'static str = "Member";
}

impl Start for Member {
    type Args = MemberArgs;

    async fn start(args: MemberArgs, cx: &mut Context<Self>) -> Result<Self, Refused> {
        let joined = FromMember::Joined { number: args.number, member: cx.myself(), wants: args.workers * 2 };
        args.coordinator.cast(ToCoordinator::from(joined));
        Ok(Self {
            number: args.number,
            coordinator: args.coordinator,
            next: None,
            relay: Relay::new(args.number),
            workers: BTreeMap::new(),
            jobs: VecDeque::new(),
            done: 0,
            restarts: 0,
            is_flush_due: false,
        })
    }
}

impl Handle for Member {
    async fn handle(&mut self, message: Message, cx: &mut Context<Self>) {
        match message {
            Message::Wire(ToMember(told)) => self.on_told(told, cx),
            Message::Here(Here(local)) => self.on_local(local, cx),
            Message::Report(reply) => reply.send(MemberReport {
                done: self.done,
                restarts: self.restarts,
                workers: self.workers.values().map(|worker| worker.pid).collect(),
                traffic: self.relay.traffic().iter().map(|(edge, bytes)| (*edge, *bytes)).collect(),
            }),
        }
    }
}

impl Member {
    fn on_told(&mut self, told: Told, cx: &mut Context<Self>) {
        match told {
            Told::Wired { version, next } => {
                let (number, next) = next.unzip();
                self.relay.on_wired(version, number);
                self.next = next;
                self.flush();
            }
            Told::Assigned(jobs) => {
                self.jobs.extend(jobs);
                self.occupy(cx);
            }
            Told::Acknowledged(jobs) => self.relay.on_acknowledged(&jobs),
            Told::Results(batch) => {
                self.relay.on_batch(batch);
                self.flush_soon(cx);
            }
        }
    }

    fn on_local(&mut self, local: Local, cx: &mut Context<Self>) {
        match local {
            Local::WorkerUp { index, pid, deliver } => {
                if self.workers.insert(index, Worker { pid, deliver, doing: None, is_gone: false }).is_some() {
                    self.restarts += 1;
                }
                self.occupy(cx);
            }
            Local::Done { worker, job, answer } => {
                self.on_done(worker, job, answer);
                self.occupy(cx);
                self.flush_soon(cx);
            }
            Local::Flush => {
                self.is_flush_due = false;
                self.flush();
            }
        }
    }

    fn on_done(&mut self, worker: Pid, job: JobId, answer: Answer) {
        let mut doing = None;
        if let Some(worker) = self.workers.values_mut().find(|known| known.pid == worker) {
            doing = worker.doing.take();
            worker.is_gone = matches!(answer, Answer::Failed(CallFailed::Died(_) | CallFailed::NoProc));
        }
        match (answer, doing) {
            // It never reached the worker, which had ended before: no attempt is spent.
            (Answer::Failed(CallFailed::NoProc), Some(doing)) => self.jobs.push_front(doing),
            (answer, _) => {
                self.done += 1;
                self.relay.on_done(job, answer);
                self.coordinator.cast(ToCoordinator::from(FromMember::Asks { number: self.number, count: 1 }));
            }
        }
    }

    /// Gives waiting jobs to idle workers.
    fn occupy(&mut self, cx: &Context<Self>) {
        let idle = |worker: &&mut Worker| worker.doing.is_none() && !worker.is_gone;
        for worker in self.workers.values_mut().filter(idle) {
            let Some(next) = self.jobs.pop_front() else { return };
            let (job, order) = worker.doing.insert(next);
            let (myself, pid) = (cx.myself(), worker.pid);
            perform(&worker.deliver, *job, order, move |job, answer| {
                myself.cast(Message::Here(Here(Local::Done { worker: pid, job, answer })));
            });
        }
    }

    /// Sends results on at once if there is a full batch, else a moment later, merged with what comes
    /// until then.
    fn flush_soon(&mut self, cx: &Context<Self>) {
        if self.relay.has_full_batch() {
            self.flush();
        } else if !self.is_flush_due {
            self.is_flush_due = true;
            cx.send_after(MERGE, cx.myself().address(), Message::Here(Here(Local::Flush)));
        }
    }

    fn flush(&mut self) {
        while let Some((next, batch)) = self.relay.next_batch() {
            match (next, &self.next) {
                (Some(_), Some(next)) => next.cast(Message::Wire(ToMember(Told::Results(batch)))),
                _ => self.coordinator.cast(ToCoordinator::from(FromMember::Results(batch))),
            }
        }
    }
}

impl Member {
    /// Asks the member at `member` for its report.
    pub(crate) fn report(member: &ActorRef<Self>) -> Call<'_, Message, MemberReport> {
        Call::new(member.address(), Message::Report)
    }
}

const TELL: MethodId = MethodId::of("member.tell", 1);
const REPORT: MethodId = MethodId::of("member.report", 1);

impl Remote for Member {
    fn encode(message: Message, out: Outgoing<'_>) {
        match message {
            Message::Wire(told) => out.cast(TELL, &told),
            Message::Report(reply) => out.call(REPORT, &(), reply),
            Message::Here(_) => tracing::error!("a message for a member's own node was sent to another"),
        }
    }

    fn decode(incoming: Incoming<'_, '_>) -> Result<Message, DecodeError> {
        match incoming.method() {
            TELL => incoming.cast().map(Message::Wire),
            REPORT => incoming.call::<(), _>().map(|((), reply)| Message::Report(reply)),
            _ => Err(incoming.unknown()),
        }
    }
}

//! The coordinator: hands jobs out as members ask for them, and takes what comes home.

use std::collections::BTreeMap;

use biotope_runtime::{
    Actor, ActorRef, Address, CallFailed, Context, DecodeError, Handle, Incoming, Info, MethodId, Options, Outgoing,
    PendingReply, Pid, Refused, Remote, ReplyTo, Start,
};
use serde::{Deserialize, Serialize};

use super::dispatch::{ATTEMPTS, Dispatch, Failed, JobId};
use super::job::{Job, Order, complete};
use super::member::{Member, Message as ToMemberMessage, ToMember, Told};
use super::relay::{Answer, Batch};
use super::topology::{Topology, Wiring};

/// The process that hands out an ecosystem's work.
pub struct Coordinator {
    topology: Topology,
    dispatch: Dispatch<u64>,
    jobs: BTreeMap<JobId, Job>,
    numbers: JobId,
    members: BTreeMap<u64, ActorRef<Member>>,
    /// Jobs that the members at each place have answered, those that are lost too.
    answered: BTreeMap<u64, u64>,
    /// The live members of each version of the wiring, in order.
    wirings: Vec<Vec<u64>>,
    waiting_for_members: Vec<(usize, ReplyTo<()>)>,
    given_up: u64,
}

/// What the coordinator knows of its ecosystem.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    /// The members that are up, each with the jobs that it holds.
    pub(crate) members: Vec<(u64, ActorRef<Member>, usize)>,
    pub(crate) answered: BTreeMap<u64, u64>,
    pub(crate) wirings: Vec<Vec<u64>>,
    pub(crate) reassigned: u64,
    pub(crate) given_up: u64,
    pub(crate) open: usize,
}

/// The messages of a [`Coordinator`].
#[doc(hidden)]
pub enum Message {
    #[doc(hidden)]
    Wire(Box<FromMemberWire>),
    #[doc(hidden)]
    Here(Here),
}

/// What reaches the coordinator from its members.
#[derive(Serialize, Deserialize)]
#[doc(hidden)]
pub struct FromMemberWire(FromMember);

#[derive(Serialize, Deserialize)]
pub(crate) enum FromMember {
    Joined { number: u64, member: ActorRef<Member>, wants: usize },
    Asks { number: u64, count: usize },
    Results(Batch),
}

impl From<FromMember> for Message {
    fn from(told: FromMember) -> Self {
        Self::Wire(Box::new(FromMemberWire(told)))
    }
}

/// What reaches the coordinator from its own node.
#[doc(hidden)]
pub struct Here(pub(crate) Local);

pub(crate) enum Local {
    Submit(Vec<Job>),
    /// Answered when so many members are up.
    AwaitMembers(usize, ReplyTo<()>),
    Look(ReplyTo<Snapshot>),
}

impl From<Local> for Message {
    fn from(local: Local) -> Self {
        Self::Here(Here(local))
    }
}

impl Actor for Coordinator {
    type Msg = Message;
    type Client = Address<Message>;
    const NAME: &'static str = "Coordinator";
    // The end of a site must not end the coordinator: its members' monitors say what to do.
    const OPTIONS: Options = Options { trap_exit: true, ..Options::DEFAULT };
}

impl Start for Coordinator {
    type Args = Topology;

    async fn start(topology: Topology, _cx: &mut Context<Self>) -> Result<Self, Refused> {
        Ok(Self {
            topology,
            dispatch: Dispatch::new(ATTEMPTS),
            jobs: BTreeMap::new(),
            numbers: 0,
            members: BTreeMap::new(),
            answered: BTreeMap::new(),
            wirings: Vec::new(),
            waiting_for_members: Vec::new(),
            given_up: 0,
        })
    }
}

impl Handle for Coordinator {
    async fn handle(&mut self, message: Message, cx: &mut Context<Self>) {
        match message {
            Message::Wire(told) => match told.0 {
                FromMember::Joined { number, member, wants } => self.on_joined(number, member, wants, cx),
                FromMember::Asks { number, count } => self.dispatch.on_asked(number, count),
                FromMember::Results(batch) => self.on_results(batch, cx),
            },
            Message::Here(Here(Local::Submit(jobs))) => self.on_submitted(jobs),
            Message::Here(Here(Local::AwaitMembers(count, reply))) => {
                self.waiting_for_members.push((count, reply));
                self.answer_waiting();
            }
            Message::Here(Here(Local::Look(reply))) => reply.send(self.snapshot()),
        }
        self.hand_out();
    }

    async fn info(&mut self, info: Info, _cx: &mut Context<Self>) {
        if let Info::Down(down) = info
            && let Some(number) = down.pid().and_then(|pid| self.number_of(pid))
        {
            tracing::warn!(member = number, reason = %down.reason, "a member of the ecosystem is lost");
            self.lose(number);
            self.rewire();
            self.hand_out();
        }
    }
}

impl Coordinator {
    fn on_joined(&mut self, number: u64, member: ActorRef<Member>, wants: usize, cx: &Context<Self>) {
        // A member that was started again may be heard of before the end of the former one.
        if self.members.contains_key(&number) {
            self.lose(number);
        }
        cx.monitor(&member);
        self.members.insert(number, member);
        self.dispatch.on_member_up(number);
        self.dispatch.on_asked(number, wants);
        self.rewire();
        self.answer_waiting();
    }

    fn on_submitted(&mut self, jobs: Vec<Job>) {
        for job in jobs {
            self.numbers += 1;
            self.jobs.insert(self.numbers, job);
            self.dispatch.on_submitted(self.numbers);
        }
    }

    fn on_results(&mut self, batch: Batch, cx: &Context<Self>) {
        let mut acknowledged: BTreeMap<u64, Vec<JobId>> = BTreeMap::new();
        for parcel in batch.parcels {
            acknowledged.entry(parcel.origin).or_default().push(parcel.job);
            match parcel.result {
                Answer::Failed(failed) => self.on_failed(parcel.origin, parcel.job, failed),
                done @ Answer::Done(_) => {
                    if self.dispatch.on_answered(parcel.job)
                        && let Some(job) = self.jobs.remove(&parcel.job)
                    {
                        *self.answered.entry(parcel.origin).or_default() += 1;
                        complete(cx.node(), job.reply, done);
                    }
                }
            }
        }
        for (number, jobs) in acknowledged {
            self.tell(number, Told::Acknowledged(jobs));
        }
    }

    fn on_failed(&mut self, member: u64, job: JobId, failed: CallFailed) {
        match self.dispatch.on_failed(&member, job) {
            Failed::Again | Failed::Stale => {}
            Failed::GiveUp => self.give_up(job, failed),
        }
    }

    fn lose(&mut self, number: u64) {
        self.members.remove(&number);
        for job in self.dispatch.on_member_down(&number) {
            self.give_up(job, CallFailed::NoConnection);
        }
    }

    fn give_up(&mut self, job: JobId, failed: CallFailed) {
        self.given_up += 1;
        tracing::error!(job, %failed, attempts = ATTEMPTS, "a job is given up");
        if let Some(Job { reply, .. }) = self.jobs.remove(&job) {
            PendingReply::complete(reply, Err(failed));
        }
    }

    /// Hands out what is asked for, one message for each member.
    fn hand_out(&mut self) {
        let mut assigned: BTreeMap<u64, Vec<(JobId, Order)>> = BTreeMap::new();
        while let Some((number, id)) = self.dispatch.next_assignment() {
            if let Some(job) = self.jobs.get(&id) {
                assigned.entry(number).or_default().push((id, job.order.clone()));
            }
        }
        for (number, jobs) in assigned {
            self.tell(number, Told::Assigned(jobs));
        }
    }

    /// Computes the wiring of the members that are up, and tells each of them its part.
    fn rewire(&mut self) {
        let live: Vec<u64> = self.members.keys().copied().collect();
        let wiring = Wiring::new(self.topology, live.len());
        self.wirings.push(live.clone());
        let version = self.wirings.len() as u64;
        for (position, number) in live.iter().enumerate() {
            let next = wiring.next_hop(position).map(|next| live[next]);
            let next = next.and_then(|next| Some((next, self.members.get(&next)?.clone())));
            self.tell(*number, Told::Wired { version, next });
        }
    }

    fn tell(&self, number: u64, told: Told) {
        if let Some(member) = self.members.get(&number) {
            member.cast(ToMemberMessage::Wire(ToMember(told)));
        }
    }

    fn answer_waiting(&mut self) {
        let up = self.members.len();
        for (count, reply) in std::mem::take(&mut self.waiting_for_members) {
            if up >= count {
                reply.send(());
            } else {
                self.waiting_for_members.push((count, reply));
            }
        }
    }

    fn number_of(&self, pid: Pid) -> Option<u64> {
        self.members.iter().find(|(_, member)| member.pid() == pid).map(|(number, _)| *number)
    }

    fn snapshot(&self) -> Snapshot {
        let member =
            |(number, member): (&u64, &ActorRef<Member>)| (*number, member.clone(), self.dispatch.held_by(number));
        Snapshot {
            members: self.members.iter().map(member).collect(),
            answered: self.answered.clone(),
            wirings: self.wirings.clone(),
            reassigned: self.dispatch.reassigned(),
            given_up: self.given_up,
            open: self.jobs.len(),
        }
    }
}

const TELL: MethodId = MethodId::of("coordinator.tell", 1);

impl Remote for Coordinator {
    fn encode(message: Message, out: Outgoing<'_>) {
        match message {
            Message::Wire(told) => out.cast(TELL, &told),
            Message::Here(_) => tracing::error!("a message for a coordinator's own node was sent to another"),
        }
    }

    fn decode(incoming: Incoming<'_, '_>) -> Result<Message, DecodeError> {
        match incoming.method() {
            TELL => incoming.cast().map(Message::Wire),
            _ => Err(incoming.unknown()),
        }
    }
}

//! All to all: every actor asks every other and answers.

use std::sync::Arc;
use std::time::Instant;

use kameo::prelude::{Actor, ActorRef, Context, DelegatedReply, Message, ReplySender};
use peer::measure::nanos_each;

use crate::host::{spawn, tell};

#[derive(Actor)]
struct Guest {
    number: usize,
    all: Arc<[ActorRef<Guest>]>,
    answers_awaited: usize,
    over: Option<ReplySender<()>>,
}

struct Meet(Arc<[ActorRef<Guest>]>);

impl Message<Meet> for Guest {
    type Reply = ();

    async fn handle(&mut self, Meet(all): Meet, _: &mut Context<Self, ()>) {
        self.all = all;
    }
}

/// Tells one to ask everybody. The reply comes when all have answered.
struct AskAround;

impl Message<AskAround> for Guest {
    type Reply = DelegatedReply<()>;

    async fn handle(&mut self, _: AskAround, cx: &mut Context<Self, Self::Reply>) -> Self::Reply {
        let (reply, over) = cx.reply_sender();
        self.answers_awaited = self.all.len() - 1;
        self.over = over;
        for (_, other) in self.all.iter().enumerate().filter(|(other, _)| *other != self.number) {
            tell(other, Question { from: self.number });
        }
        reply
    }
}

struct Question {
    from: usize,
}

impl Message<Question> for Guest {
    type Reply = ();

    async fn handle(&mut self, Question { from }: Question, _: &mut Context<Self, ()>) {
        tell(&self.all[from], Answer);
    }
}

struct Answer;

impl Message<Answer> for Guest {
    type Reply = ();

    async fn handle(&mut self, _: Answer, _: &mut Context<Self, ()>) {
        self.answers_awaited -= 1;
        if self.answers_awaited == 0
            && let Some(over) = self.over.take()
        {
            over.send(());
        }
    }
}

pub(crate) async fn run(messages: u64) -> f64 {
    let count = guests_for(messages);
    let guest = |number| Guest { number, all: Arc::new([]), answers_awaited: 0, over: None };
    let all: Arc<[ActorRef<Guest>]> = (0..count).map(|number| spawn(guest(number))).collect();
    for guest in &*all {
        guest.ask(Meet(all.clone())).send().await.expect("the guest lives");
    }

    let start = Instant::now();
    let mut all_over = Vec::with_capacity(count);
    for guest in &*all {
        all_over.push(guest.ask(AskAround).enqueue().await.expect("the guest lives"));
    }
    for over in all_over {
        over.await.expect("everybody is answered");
    }
    nanos_each(start, messages_among(count))
}

/// So many that about `messages` go between them.
fn guests_for(messages: u64) -> usize {
    (messages as f64 / 2.0).sqrt() as usize + 1
}

fn messages_among(guests: usize) -> u64 {
    (guests * (guests - 1) * 2) as u64
}

//! All to all: every actor asks every other and answers.

use std::sync::Arc;
use std::time::Instant;

use actix::prelude::*;
use peer::measure::nanos_each;
use tokio::sync::oneshot;

use crate::arbiters::Arbiters;

struct Guest {
    number: usize,
    all: Arc<[Addr<Guest>]>,
    answers_awaited: usize,
    over: Option<oneshot::Sender<()>>,
}

impl Actor for Guest {
    type Context = Context<Self>;
}

#[derive(Message)]
#[rtype(result = "()")]
struct Meet(Arc<[Addr<Guest>]>);

impl Handler<Meet> for Guest {
    type Result = ();

    fn handle(&mut self, Meet(all): Meet, _: &mut Context<Self>) {
        self.all = all;
    }
}

/// Ask everybody, and tell when all have answered.
#[derive(Message)]
#[rtype(result = "()")]
struct AskAround(oneshot::Sender<()>);

impl Handler<AskAround> for Guest {
    type Result = ();

    fn handle(&mut self, AskAround(over): AskAround, _: &mut Context<Self>) {
        self.answers_awaited = self.all.len() - 1;
        self.over = Some(over);
        for (number, other) in self.all.iter().enumerate() {
            if number != self.number {
                other.do_send(Question { from: self.number });
            }
        }
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Question {
    from: usize,
}

impl Handler<Question> for Guest {
    type Result = ();

    fn handle(&mut self, Question { from }: Question, _: &mut Context<Self>) {
        self.all[from].do_send(Answer);
    }
}

#[derive(Message)]
#[rtype(result = "()")]
struct Answer;

impl Handler<Answer> for Guest {
    type Result = ();

    fn handle(&mut self, _: Answer, _: &mut Context<Self>) {
        self.answers_awaited -= 1;
        if self.answers_awaited == 0
            && let Some(over) = self.over.take()
        {
            let _ = over.send(());
        }
    }
}

pub async fn work(arbiters: &Arbiters, messages: u64) -> f64 {
    let count = guests_for(messages);
    let guest = |number| Guest { number, all: Arc::new([]), answers_awaited: 0, over: None };
    let all: Arc<[Addr<Guest>]> = (0..count).map(|number| arbiters.start(number, guest(number))).collect();
    for guest in &*all {
        guest.send(Meet(all.clone())).await.expect("it lives");
    }

    let start = Instant::now();
    let all_over: Vec<_> = all
        .iter()
        .map(|guest| {
            let (sender, over) = oneshot::channel();
            guest.do_send(AskAround(sender));
            over
        })
        .collect();
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

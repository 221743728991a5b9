//! All to all: every process asks every other and answers.

use std::sync::Arc;
use std::time::Instant;

use biotope::prelude::*;
use tokio::sync::{mpsc, oneshot};

use crate::host::{LONG, nanos_each};

#[derive(Actor)]
struct Guest {
    number: usize,
    all: Arc<[ActorRef<Guest>]>,
    answers_awaited: usize,
    over: Option<ReplyTo<()>>,
}

#[handlers]
impl Guest {
    fn meet(&mut self, all: Arc<[ActorRef<Guest>]>) {
        self.all = all;
    }

    /// Asks everybody. The reply comes when all have answered.
    fn ask_around(&mut self, over: ReplyTo<()>) {
        self.answers_awaited = self.all.len() - 1;
        self.over = Some(over);
        for (number, other) in self.all.iter().enumerate() {
            if number != self.number {
                other.question(self.number);
            }
        }
    }

    #[cast]
    fn question(&mut self, from: usize) {
        self.all[from].answer();
    }

    #[cast]
    fn answer(&mut self) {
        self.answers_awaited -= 1;
        if self.answers_awaited == 0
            && let Some(over) = self.over.take()
        {
            over.send(());
        }
    }
}

pub(crate) async fn on_biotope(messages: u64) -> biotope::Result<f64> {
    let count = guests_for(messages);
    let guest = |number| Guest { number, all: Arc::new([]), answers_awaited: 0, over: None };
    let all: Arc<[ActorRef<Guest>]> = (0..count).map(|number| spawn(guest(number))).collect();
    for guest in &*all {
        guest.meet(all.clone()).await?;
    }

    let start = Instant::now();
    let all_over: Vec<_> = all.iter().map(|guest| guest.ask_around().timeout(LONG).send()).collect();
    for over in all_over {
        over.await?;
    }
    Ok(nanos_each(start, messages_among(count)))
}

enum Said {
    AskAround(oneshot::Sender<()>),
    Question { from: usize },
    Answer,
}

pub(crate) async fn on_tokio(messages: u64) -> f64 {
    let count = guests_for(messages);
    let (all, inboxes): (Vec<_>, Vec<_>) = (0..count).map(|_| mpsc::unbounded_channel::<Said>()).unzip();
    let all: Arc<[mpsc::UnboundedSender<Said>]> = all.into();
    for (number, inbox) in inboxes.into_iter().enumerate() {
        tokio::spawn(be_guest(number, all.clone(), inbox));
    }

    let start = Instant::now();
    let all_over: Vec<_> = all
        .iter()
        .map(|guest| {
            let (sender, over) = oneshot::channel();
            let _ = guest.send(Said::AskAround(sender));
            over
        })
        .collect();
    for over in all_over {
        over.await.expect("everybody is answered");
    }
    nanos_each(start, messages_among(count))
}

async fn be_guest(number: usize, all: Arc<[mpsc::UnboundedSender<Said>]>, mut inbox: mpsc::UnboundedReceiver<Said>) {
    let mut answers_awaited = 0;
    let mut over = None;
    while let Some(said) = inbox.recv().await {
        match said {
            Said::AskAround(sender) => {
                answers_awaited = all.len() - 1;
                over = Some(sender);
                for (_, other) in all.iter().enumerate().filter(|(other, _)| *other != number) {
                    let _ = other.send(Said::Question { from: number });
                }
            }
            Said::Question { from } => {
                let _ = all[from].send(Said::Answer);
            }
            Said::Answer => {
                answers_awaited -= 1;
                if answers_awaited == 0
                    && let Some(over) = over.take()
                {
                    let _ = over.send(());
                }
            }
        }
    }
}

/// So many that about `messages` go between them.
fn guests_for(messages: u64) -> usize {
    (messages as f64 / 2.0).sqrt() as usize + 1
}

fn messages_among(guests: usize) -> u64 {
    (guests * (guests - 1) * 2) as u64
}

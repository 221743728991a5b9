//! All to all: every actor asks every other and answers.

use std::sync::Arc;
use std::time::Instant;

use peer::measure::nanos_each;
use ractor::rpc::{CallResult, multi_call};
use ractor::{Actor, ActorProcessingErr, ActorRef, RpcReplyPort, call};

use crate::host::{Handled, spawn};

enum Said {
    Meet(Arc<[ActorRef<Said>]>, RpcReplyPort<()>),
    /// The reply comes when all have answered.
    AskAround(RpcReplyPort<()>),
    Question {
        from: usize,
    },
    Answer,
}

struct Guest {
    number: usize,
}

struct Party {
    all: Arc<[ActorRef<Said>]>,
    answers_awaited: usize,
    over: Option<RpcReplyPort<()>>,
}

impl Actor for Guest {
    type Msg = Said;
    type State = Party;
    type Arguments = ();

    async fn pre_start(&self, _: ActorRef<Said>, (): ()) -> Result<Party, ActorProcessingErr> {
        Ok(Party { all: Arc::new([]), answers_awaited: 0, over: None })
    }

    async fn handle(&self, _: ActorRef<Said>, said: Said, party: &mut Party) -> Handled {
        match said {
            Said::Meet(all, done) => {
                party.all = all;
                done.send(())?;
            }
            Said::AskAround(over) => {
                party.answers_awaited = party.all.len() - 1;
                party.over = Some(over);
                for (_, other) in party.all.iter().enumerate().filter(|(other, _)| *other != self.number) {
                    other.cast(Said::Question { from: self.number })?;
                }
            }
            Said::Question { from } => party.all[from].cast(Said::Answer)?,
            Said::Answer => {
                party.answers_awaited -= 1;
                if party.answers_awaited == 0
                    && let Some(over) = party.over.take()
                {
                    over.send(())?;
                }
            }
        }
        Ok(())
    }
}

pub(crate) async fn run(messages: u64) -> f64 {
    let count = guests_for(messages);
    let mut all = Vec::new();
    for number in 0..count {
        all.push(spawn(Guest { number }, ()).await);
    }
    let all: Arc<[ActorRef<Said>]> = all.into();
    for guest in &*all {
        call!(guest, Said::Meet, all.clone()).expect("the guest lives");
    }

    let start = Instant::now();
    let all_over = multi_call(&all, Said::AskAround, None).await.expect("all guests live");
    assert!(all_over.iter().all(CallResult::is_success), "everybody is answered");
    nanos_each(start, messages_among(count))
}

/// So many that about `messages` go between them.
fn guests_for(messages: u64) -> usize {
    (messages as f64 / 2.0).sqrt() as usize + 1
}

fn messages_among(guests: usize) -> u64 {
    (guests * (guests - 1) * 2) as u64
}

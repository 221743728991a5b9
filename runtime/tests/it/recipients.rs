//! References to whatever takes a message: they call and cast as references to an actor do.

use std::time::Duration;

use biotope_runtime::{
    Accepts, Actor, ActorRef, Address, Bounded, Call, CallFailed, Context, DeadLetter, Envelope, ExitReason, Handle,
    Message, Options, Overflow, Recipient, ReplyTo, node, options, spawn, time,
};
use biotope_testkit::under_seeds;
use tokio::sync::oneshot;

use crate::everywhere;
use crate::probe::{end_of, observe};

/// To be answered with the sum of all numbers that were told.
struct Add(u64);

impl Message for Add {
    type Reply = u64;
}

/// Adds, and waits on request.
struct Adder(u64);

enum Told {
    Add(Envelope<Add>),
    Wait(oneshot::Receiver<()>),
    Sum(ReplyTo<u64>),
}

impl Actor for Adder {
    type Msg = Told;
    type Client = Address<Told>;
    const NAME: &'static str = "Adder";
}

impl Handle for Adder {
    async fn handle(&mut self, told: Told, _cx: &mut Context<Self>) {
        match told {
            Told::Add(Envelope { message: Add(n), reply }) => {
                self.0 += n;
                if let Some(reply) = reply {
                    reply.send(self.0);
                }
            }
            Told::Wait(gate) => drop(gate.await),
            Told::Sum(reply) => reply.send(self.0),
        }
    }
}

impl Accepts<Add> for Adder {
    fn accept(envelope: Envelope<Add>) -> Told {
        Told::Add(envelope)
    }
}

/// Takes the same message and nothing else.
struct Forgetful;

impl Actor for Forgetful {
    type Msg = Envelope<Add>;
    type Client = Address<Envelope<Add>>;
    const NAME: &'static str = "Forgetful";
    const OPTIONS: Options = Options::DEFAULT;
}

impl Handle for Forgetful {
    async fn handle(&mut self, envelope: Envelope<Add>, cx: &mut Context<Self>) {
        match envelope.message {
            Add(0) => drop(envelope.reply),
            Add(1) => cx.exit_now(ExitReason::value("one")),
            // It calls itself, by way of a recipient.
            Add(n) => {
                let myself: Recipient<Add> = cx.myself().into();
                assert_eq!(myself.call(Add(n)).await, Err(CallFailed::SelfCall));
                if let Some(reply) = envelope.reply {
                    reply.send(n);
                }
            }
        }
    }
}

impl Accepts<Add> for Forgetful {
    fn accept(envelope: Envelope<Add>) -> Envelope<Add> {
        envelope
    }
}

fn adder(mailbox: Option<Bounded>) -> (ActorRef<Adder>, Recipient<Add>) {
    let adder = match mailbox {
        Some(mailbox) => spawn(options(Adder(0)).mailbox(mailbox)),
        None => spawn(Adder(0)),
    };
    (adder.clone(), adder.into())
}

/// It is in its handler when this returns, until the gate is opened.
async fn busy(adder: &ActorRef<Adder>) -> oneshot::Sender<()> {
    let (open, gate) = oneshot::channel();
    adder.cast(Told::Wait(gate));
    while node().process_info(adder).await.expect("it lives").activity.is_none() {
        time::yield_now().await;
    }
    open
}

#[test]
fn whoever_takes_a_message_is_called_and_cast_to() {
    everywhere("recipients", || {
        observe(async move |_| {
            let (adder, anybody) = adder(None);
            assert_eq!(anybody.pid(), adder.pid());
            anybody.cast(Add(1));
            assert_eq!(anybody.call(Add(2)).await?, 3);
            let unsent = anybody.call(Add(100));
            drop(unsent);
            let (first, second) = (anybody.call(Add(3)).send(), anybody.clone().call(Add(4)).send());
            assert_eq!((first.await?, second.await?), (6, 10), "in the order sent, and what was not sent is not there");
            let recipients: [Recipient<Add>; 2] = [anybody, spawn(Forgetful).into()];
            for anybody in &recipients {
                assert!(anybody.call(Add(7)).await? >= 7);
            }
            Ok(())
        })
    });
}

#[test]
fn a_call_of_a_recipient_fails_as_any_call() {
    everywhere("recipients fail", || {
        observe(async move |mut me| {
            let server = spawn(Forgetful);
            let anybody: Recipient<Add> = server.clone().into();
            assert_eq!(anybody.call(Add(0)).await, Err(CallFailed::NoReply));
            assert_eq!(anybody.call(Add(1)).await, Err(CallFailed::Died(ExitReason::value("one"))));
            end_of(&mut me, server.pid()).await?;
            assert_eq!(anybody.call(Add(2)).await, Err(CallFailed::NoProc));
            assert_eq!(anybody.call(Add(2)).send().await, Err(CallFailed::NoProc));
            let lost = node().dead_letters_of(DeadLetter::NoProc);
            anybody.cast(Add(2));
            assert_eq!(node().dead_letters_of(DeadLetter::NoProc), lost + 1);

            let (server, anybody) = adder(Some(Bounded::to(1).or(Overflow::Reject)));
            let open = busy(&server).await;
            anybody.cast(Add(1));
            assert_eq!(anybody.call(Add(2)).await, Err(CallFailed::Full));
            anybody.cast(Add(2));
            assert_eq!(node().dead_letters_of(DeadLetter::Full), 2);
            let _ = open.send(());
            // The mailbox has room when the one that waits in it was taken.
            while anybody.call(Add(0)).await == Err(CallFailed::Full) {
                time::yield_now().await;
            }
            assert_eq!(Call::new(&server, Told::Sum).await?, 1);
            Ok(())
        })
    });
}

/// It waits for room while its deadline runs, as a call of an `ActorRef` does; and for its reply.
#[test]
fn a_call_of_a_recipient_has_a_deadline_and_waits_for_room() {
    under_seeds("recipients wait", 200, || async {
        let (server, anybody) = adder(Some(Bounded::to(1)));
        let (open, start) = (busy(&server).await, time::now());
        assert_eq!(anybody.call(Add(1)).timeout(Duration::from_secs(1)).await, Err(CallFailed::Timeout));
        assert_eq!(time::now() - start, Duration::from_secs(1));
        // The one that was given up is in the mailbox.
        let until = start + Duration::from_secs(3);
        assert_eq!(anybody.call(Add(2)).deadline(until).await, Err(CallFailed::Full));
        assert_eq!(time::now(), until);
        let waits = anybody.call(Add(3));
        let opens = async {
            time::sleep(Duration::from_secs(4)).await;
            let _ = open.send(());
        };
        let (sum, ()) = tokio::join!(waits, opens);
        assert_eq!((sum?, time::now() - until), (4, Duration::from_secs(4)));
        let (server, anybody) = adder(None);
        let _open = busy(&server).await;
        let start = time::now();
        assert_eq!(anybody.call(Add(1)).await, Err(CallFailed::Timeout));
        assert_eq!(time::now() - start, Duration::from_secs(5), "if it does not say otherwise");
        biotope_runtime::Result::<()>::Ok(())
    });
}

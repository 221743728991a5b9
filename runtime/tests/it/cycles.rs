//! Cycles of calls: found while they happen, each member told of the whole; and found on demand.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use biotope_runtime::{
    Actor, Address, Call, CallCycle, CallFailed, Context, Handle, Lint, Node, Process, ReplyTo, Requests, Runtime,
    node, spawn, spawn_process, time,
};
use biotope_testkit::{once, repetitions};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::everywhere;

/// What a call comes to.
type Outcome = Result<(), CallFailed>;

/// What a friend does before it answers.
type Job = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = Outcome> + Send>> + Send>;

/// Does what it is asked, and answers with what came of it.
struct Friend {
    kept: Vec<ReplyTo<Outcome>>,
}

enum Ask {
    Do(Job, ReplyTo<Outcome>),
    /// The first is told that another process has this now, which answers after the second.
    Delegate(oneshot::Sender<()>, oneshot::Receiver<()>, ReplyTo<Outcome>),
    /// A request is sent to this friend, looked at once, and forgotten until the end.
    Forget(Friends, ReplyTo<Outcome>),
    Keep(ReplyTo<Outcome>),
}

type Friends = Address<Ask>;

impl Actor for Friend {
    type Msg = Ask;
    type Client = Friends;
    const NAME: &'static str = "Friend";
    const HANDLERS: &'static [&'static str] = &["keep", "delegate", "forget", "visit"];

    fn handler_of(ask: &Ask) -> u32 {
        match ask {
            Ask::Keep(..) => 0,
            Ask::Delegate(..) => 1,
            Ask::Forget(..) => 2,
            Ask::Do(..) => 3,
        }
    }
}

impl Handle for Friend {
    async fn handle(&mut self, ask: Ask, _cx: &mut Context<Self>) {
        match ask {
            Ask::Do(job, reply) => reply.send(job().await),
            Ask::Delegate(taken, when, reply) => {
                reply.postpone();
                let _ = taken.send(());
                spawn_process(async move |_: Process<()>| {
                    when.await?;
                    reply.send(Ok(()));
                    Ok(())
                });
            }
            Ask::Forget(to, reply) => {
                let mut request = Box::pin(Call::new(&to, Ask::Keep).send());
                let looked = poll_fn(|cx| Poll::Ready(request.as_mut().poll(cx).is_pending())).await;
                assert!(looked, "it is never answered");
                spawn_process(async move |_: Process<()>| {
                    let _ = request.await;
                    Ok(())
                });
                reply.send(Ok(()));
            }
            Ask::Keep(reply) => self.kept.push(reply),
        }
    }
}

fn friend() -> Friends {
    spawn(Friend { kept: Vec::new() }).address().clone()
}

/// What came of the calls, by whom they were made.
type Log = Arc<Mutex<BTreeMap<usize, Outcome>>>;

/// The job to call `to` with `job`, and to log what comes of it.
fn call(log: &Log, number: usize, to: &Friends, job: Job) -> Job {
    let (log, to) = (log.clone(), to.clone());
    Box::new(move || {
        Box::pin(async move {
            let outcome = ask(&to, job).await.and_then(|outcome| outcome);
            log.lock().insert(number, outcome.clone());
            outcome
        })
    })
}

fn nothing() -> Job {
    Box::new(|| Box::pin(async { Ok(()) }))
}

fn ask(to: &Friends, job: Job) -> Call<'_, Ask, Outcome> {
    Call::new(to, |reply| Ask::Do(job, reply))
}

/// The job of the first of `friends`: it calls the second, and so on, and the last the first.
fn round(log: &Log, friends: &[Friends]) -> Job {
    (0..friends.len()).rev().fold(nothing(), |job, at| call(log, at, &friends[(at + 1) % friends.len()], job))
}

/// The cycle that a call failed with.
fn cycle_of(outcome: &Outcome) -> CallCycle {
    match outcome {
        Err(CallFailed::Cycle(cycle)) => cycle.clone(),
        other => panic!("no cycle: {other:?}"),
    }
}

#[test]
fn each_member_of_a_cycle_is_told_the_whole() {
    everywhere("each_member_of_a_cycle_is_told_the_whole", || async {
        for length in [2, 3, 10] {
            let mut lints = node().lints();
            let (log, friends) = (Log::default(), (0..length).map(|_| friend()).collect::<Vec<_>>());
            let outcome = ask(&friends[0], round(&log, &friends)).await?;
            // Who is called answers after its own call has failed; so by now some have.
            let cycle = cycle_of(&outcome);
            let members: Vec<_> = cycle.members().iter().map(|member| member.pid).collect();
            assert_eq!(members, friends.iter().map(Address::pid).collect::<Vec<_>>());
            for member in cycle.members() {
                assert_eq!(member.handler.as_deref(), Some("visit"));
                assert!(member.process.contains("Friend"), "{cycle}");
            }
            // All others too, and they go on.
            for friend in &friends {
                ask(friend, nothing()).await??;
            }
            let told = log.lock().clone();
            assert_eq!(told.len(), length);
            assert!(told.values().all(|outcome| cycle_of(outcome) == cycle), "{told:?}");
            let lint = lints.next().await.expect("the node is there");
            // Told of whoever was last to note that it waits: as a rule the last to call.
            assert!(members.contains(&lint.pid), "{lint:?}");
            assert_eq!(lint.lint, Lint::CallCycle(cycle));
        }
        Ok(())
    });
}

/// All call the next at the same time: one of them, or two, close the cycle.
#[test]
fn a_cycle_that_is_closed_from_all_sides_is_found() {
    everywhere("a_cycle_that_is_closed_from_all_sides_is_found", || async {
        const LENGTH: usize = 4;
        let (log, friends) = (Log::default(), [(); LENGTH].map(|()| friend()));
        let mut requests = Requests::new();
        for at in 0..LENGTH {
            let job = call(&log, at, &friends[(at + 1) % LENGTH], nothing());
            requests.add(at, ask(&friends[at], job).send());
        }
        let mut told = 0;
        while let Some((_, outcome)) = requests.next().await {
            // If some were done before others began there was none.
            match outcome? {
                Ok(()) => {}
                outcome => {
                    assert_eq!(cycle_of(&outcome).members().len(), LENGTH);
                    told += 1;
                }
            }
        }
        assert!(told == 0 || told == LENGTH, "all of a cycle are told: {told}");
        Ok(())
    });
}

/// The second of two calls that a handler awaits at once closes the cycle. The first is no part of it.
#[test]
fn of_calls_that_are_awaited_at_once_each_counts() {
    everywhere("of_calls_that_are_awaited_at_once_each_counts", || async {
        let (log, [a, b, c]) = (Log::default(), [(); 3].map(|()| friend()));
        let (open, gate) = oneshot::channel::<()>();
        let job: Job = {
            let (log, a, b, c) = (log.clone(), a.clone(), b.clone(), c.clone());
            Box::new(move || {
                Box::pin(async move {
                    let waits: Job = Box::new(|| {
                        Box::pin(async {
                            let _ = gate.await;
                            Ok(())
                        })
                    });
                    let to_c = ask(&c, waits);
                    let to_b = ask(&b, call(&log, 1, &a, nothing()));
                    let (of_c, of_b) = tokio::join!(to_c, async {
                        let outcome = to_b.await.and_then(|outcome| outcome);
                        let _ = open.send(());
                        outcome
                    });
                    log.lock().insert(2, of_c.and_then(|outcome| outcome));
                    of_b
                })
            })
        };
        let outcome = ask(&a, job).await?;
        let members: Vec<_> = cycle_of(&outcome).members().iter().map(|member| member.pid).collect();
        assert_eq!(members, [a.pid(), b.pid()]);
        ask(&b, nothing()).await??;
        let told = log.lock().clone();
        assert_eq!(cycle_of(&told[&1]), cycle_of(&outcome));
        assert_eq!(told[&2], Ok(()));
        Ok(())
    });
}

/// Straight-line code is a member like any other.
#[test]
fn a_process_without_handlers_is_named_too() {
    everywhere("a_process_without_handlers_is_named_too", || async {
        let (log, friend) = (Log::default(), friend());
        let (sender, outcome) = oneshot::channel();
        let straight = {
            let (log, friend) = (log.clone(), friend.clone());
            spawn_process(async move |me: Process<ReplyTo<()>>| {
                let myself = me.address();
                let job: Job = Box::new(move || {
                    Box::pin(async move {
                        let outcome = Call::new(&myself, |reply| reply).await;
                        log.lock().insert(0, outcome.clone());
                        outcome
                    })
                });
                let _ = sender.send(ask(&friend, job).await.and_then(|outcome| outcome));
                Ok(())
            })
        };
        let cycle = cycle_of(&outcome.await?);
        let members: Vec<_> = cycle.members().iter().map(|member| (member.pid, member.handler.clone())).collect();
        assert_eq!(members.len(), 2);
        assert!(members.contains(&(friend.pid(), Some("visit".to_owned()))), "{cycle}");
        assert!(members.iter().any(|(pid, handler)| *pid == straight.pid() && handler.is_none()), "{cycle}");
        Ok(())
    });
}

/// However many they are, none goes on before all have their answer: the last one's call would be handled otherwise.
#[test]
fn all_of_a_long_cycle_are_told_before_one_goes_on() {
    for length in [50, 300] {
        for _ in 0..repetitions(10) {
            let outcome = once(Runtime::builder().workers(2), async move {
                let (log, friends) = (Log::default(), (0..length).map(|_| friend()).collect::<Vec<_>>());
                let cycle = cycle_of(&ask(&friends[0], round(&log, &friends)).await?);
                for friend in &friends {
                    ask(friend, nothing()).await??;
                }
                let told = log.lock().clone();
                assert_eq!(told.len(), length);
                let others = told.iter().filter(|(_, outcome)| **outcome != Err(CallFailed::Cycle(cycle.clone())));
                assert_eq!(others.collect::<Vec<_>>(), []);
                Ok::<_, biotope_runtime::Error>(())
            });
            assert_eq!(outcome, Ok(()));
        }
    }
}

// ---- what is none

/// P has called X, and been answered; its next call is on its way to Y, and not awaited yet, when X calls P.
#[test]
fn whom_a_process_called_before_is_no_part_of_a_cycle() {
    everywhere("whom_a_process_called_before_is_no_part_of_a_cycle", || async {
        let (log, [p, x, y]) = (Log::default(), [(); 3].map(|()| friend()));
        let (begin, begun) = oneshot::channel();
        let job: Job = {
            let (log, p, x) = (log.clone(), p.clone(), x.clone());
            Box::new(move || {
                Box::pin(async move {
                    assert_eq!(ask(&x, nothing()).await, Ok(Ok(())));
                    let request = ask(&y, nothing()).send();
                    let back = ask(&x, call(&log, 1, &p, nothing())).send();
                    let _ = begin.send(back);
                    for _ in 0..20 {
                        time::yield_now().await;
                    }
                    request.await.and_then(|outcome| outcome)
                })
            })
        };
        let asked = ask(&p, job).send();
        let back = begun.await?;
        assert_eq!(asked.await?, Ok(()));
        assert_eq!(back.await?, Ok(()));
        Ok(())
    });
}

/// A process of another node may have the number that one of this node has.
#[test]
fn a_callee_of_another_node_is_no_part_of_a_cycle() {
    let runtime = Runtime::builder().seeded(0).build().expect("no threads");
    runtime.block_on(async {
        let node = |name| Node::builder(name).runtime(runtime.clone()).start();
        let (here, there) = (node("here").await.expect("a node"), node("there").await.expect("a node"));
        let friends = |node: &Node, count| {
            let friend = |_| node.spawn(Friend { kept: Vec::new() }).address().clone();
            (0..count).map(friend).collect::<Vec<_>>()
        };
        let (far, near) = (friends(&there, 20).pop().expect("twenty"), friends(&here, 40));
        let (log, q, leaf) = (Log::default(), near[38].clone(), near[39].clone());
        let job: Job = {
            let (log, near, q) = (log.clone(), near.clone(), q.clone());
            Box::new(move || {
                Box::pin(async move {
                    // All others call this process, while it waits for both.
                    for (number, other) in near[..38].iter().enumerate() {
                        drop(ask(other, call(&log, number, &q, nothing())).send());
                    }
                    let waits = || -> Job {
                        Box::new(|| {
                            Box::pin(async {
                                time::sleep(Duration::from_secs(1)).await;
                                Ok(())
                            })
                        })
                    };
                    let (near, far) = tokio::join!(ask(&leaf, waits()), ask(&far, waits()));
                    assert_eq!(near, Ok(Ok(())));
                    far.and_then(|outcome| outcome)
                })
            })
        };
        assert_eq!(ask(&q, job).await, Ok(Ok(())));
        assert_eq!(ask(&q, nothing()).await, Ok(Ok(())));
        runtime.sleep(Duration::from_secs(1)).await;
        let failed = log.lock().values().filter(|outcome| outcome.is_err()).count();
        assert_eq!((log.lock().len(), failed), (38, 0));
    });
}

/// A waits for B, whose worker answers; B asks A meanwhile. Nobody waits for ever.
#[test]
fn a_reply_that_comes_from_elsewhere_is_no_part_of_a_cycle() {
    everywhere("a_reply_that_comes_from_elsewhere_is_no_part_of_a_cycle", || async {
        let (log, [a, b]) = (Log::default(), [(); 2].map(|()| friend()));
        let ((open, gate), (take, taken)) = (oneshot::channel(), oneshot::channel());
        let job: Job = {
            let b = b.clone();
            Box::new(move || {
                Box::pin(
                    async move { Call::new(&b, |reply| Ask::Delegate(take, gate, reply)).await.and_then(|done| done) },
                )
            })
        };
        let asked = ask(&a, job).send();
        taken.await?;
        let back = ask(&b, call(&log, 1, &a, nothing())).send();
        if node().runtime().is_seeded() {
            time::sleep(Duration::from_nanos(1)).await;
        }
        let _ = open.send(());
        assert_eq!(asked.await?, Ok(()));
        assert_eq!(back.await?, Ok(()));
        Ok(())
    });
}

#[test]
fn a_request_that_no_handler_awaits_is_no_part_of_a_cycle() {
    everywhere("a_request_that_no_handler_awaits_is_no_part_of_a_cycle", || async {
        let (log, [a, b]) = (Log::default(), [(); 2].map(|()| friend()));
        let to = b.clone();
        Call::new(&a, move |reply| Ask::Forget(to, reply)).await??;
        // B calls A, which waits for B no more, although it has not answered.
        ask(&b, call(&log, 0, &a, nothing())).await??;
        assert_eq!(log.lock()[&0], Ok(()));
        Ok(())
    });
}

/// A call that is given up ends the wait: whoever calls back then is answered.
#[test]
fn a_call_that_was_given_up_is_no_part_of_a_cycle() {
    everywhere("a_call_that_was_given_up_is_no_part_of_a_cycle", || async {
        let (log, [a, b]) = (Log::default(), [(); 2].map(|()| friend()));
        let gives_up: Job = {
            let b = b.clone();
            Box::new(move || {
                Box::pin(async move {
                    let mut call = pin!(Call::new(&b, Ask::Keep));
                    poll_fn(|cx| Poll::Ready(call.as_mut().poll(cx).is_ready())).await;
                    Ok(())
                })
            })
        };
        ask(&a, gives_up).await??;
        ask(&b, call(&log, 0, &a, nothing())).await??;
        Ok(())
    });
}

// ---- on demand

/// Where they are not looked for while they happen, they are found when somebody asks.
#[test]
fn on_demand_the_cycles_of_a_node_are_listed() {
    for seed in 0..repetitions(50) {
        let runtime = Runtime::builder().seeded(seed).find_call_cycles(false);
        once(runtime, async {
            assert_eq!(node().call_cycles(), []);
            let (log, [a, b, c, d, e]) = (Log::default(), [(); 5].map(|()| friend()));
            let first = ask(&a, round(&log, &[a.clone(), b.clone()])).send();
            let second = ask(&c, round(&log, &[c.clone(), d.clone(), e.clone()])).send();
            // Somebody waits for a member, and is none.
            let outside = ask(&a, nothing()).timeout(Duration::from_secs(60)).send();
            time::sleep(Duration::from_secs(1)).await;
            let members = |cycle: &CallCycle| cycle.members().iter().map(|member| member.pid).collect::<Vec<_>>();
            let found: Vec<_> = node().call_cycles().iter().map(members).collect();
            let expected = [vec![a.pid(), b.pid()], vec![c.pid(), d.pid(), e.pid()]];
            assert_eq!(found, expected);
            // Nobody was told: they time out, and then there are none.
            assert_eq!(first.await.and_then(|outcome| outcome), Err(CallFailed::Timeout));
            assert_eq!(second.await.and_then(|outcome| outcome), Err(CallFailed::Timeout));
            assert_eq!(outside.await, Ok(Ok(())));
            time::sleep(Duration::from_secs(60)).await;
            assert_eq!(node().call_cycles(), []);
            Ok::<_, biotope_runtime::Error>(())
        })
        .unwrap_or_else(|reason| panic!("under seed {seed}: {reason}"));
    }
}

//! Topics: who hears what, in which order, and what happens when somebody lags.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use biotope::prelude::*;
use biotope::{PublishError, Source, Subscription};
use tokio::sync::mpsc;

use crate::{end, everywhere, idle};

/// An event, which cannot be cloned.
#[derive(Debug, PartialEq)]
struct Event {
    from: usize,
    number: u64,
}

/// Hears a topic, and answers when it is told to, or at once.
#[derive(Actor)]
struct Hearer {
    topic: Topic<Event>,
    lag: Lag,
    tells: mpsc::UnboundedSender<Heard<Event>>,
    /// How many events it answers to before it keeps them waiting.
    patience: usize,
    waiting: Vec<ReplyTo<()>>,
    source: Option<Source>,
}

#[handlers]
impl Hearer {
    #[init]
    fn begin(&mut self, cx: &mut Context<Self>) {
        self.source = Some(cx.subscribe(&self.topic, self.lag, |me, heard| me.on_heard(heard)));
    }

    fn on_heard(&mut self, heard: Heard<Event>, reply: ReplyTo<()>) {
        let _ = self.tells.send(heard);
        match self.patience.checked_sub(1) {
            Some(left) => {
                self.patience = left;
                reply.send(());
            }
            None => self.waiting.push(reply),
        }
    }

    /// Answers to what waits, and to so many more.
    fn go_on(&mut self, patience: usize) {
        self.patience = patience;
        self.waiting.drain(..).for_each(|reply| reply.send(()));
    }

    fn cancel(&mut self) {
        if let Some(source) = self.source.take() {
            source.cancel();
        }
    }

    /// Publishes in a handler.
    async fn publish(&mut self, number: u64) -> Result<usize, u64> {
        let published = self.topic.publish(Event { from: 9, number }).await;
        published.map_err(|error| match error {
            PublishError::SelfWait(event) => event.number,
            other => panic!("{other}"),
        })
    }

    fn is_ready(&self) {}

    #[cast]
    fn fall(&mut self) {
        panic!("it falls");
    }
}

/// What a hearer tells.
type Told = mpsc::UnboundedReceiver<Heard<Event>>;

/// A hearer that is subscribed.
async fn hearer(topic: &Topic<Event>, lag: Lag, patience: usize) -> biotope::Result<(ActorRef<Hearer>, Told)> {
    let (tells, told) = mpsc::unbounded_channel();
    let hearer = spawn(Hearer { topic: topic.clone(), lag, tells, patience, waiting: Vec::new(), source: None });
    hearer.is_ready().await?;
    Ok((hearer, told))
}

/// A process that publishes so many events, one after the other.
fn publisher(topic: &Topic<Event>, from: usize, events: u64) -> Address<()> {
    let topic = topic.clone();
    spawn_process(async move |_: Process<()>| {
        for number in 0..events {
            topic.publish(Event { from, number }).await?;
        }
        Ok(())
    })
}

/// Lets others run until `condition` holds. In virtual time it must hold within a second.
async fn until(condition: impl Fn() -> bool) {
    let begin = time::now();
    while !condition() {
        if node().runtime().is_seeded() {
            assert!(time::now() - begin < secs(1), "what was promised has not happened");
            time::sleep(millis(1)).await;
        } else {
            time::yield_now().await;
        }
    }
}

/// The number of the event that is heard next.
async fn number(told: &mut Told) -> u64 {
    match told.recv().await {
        Some(Heard::Event(event)) => event.number,
        other => panic!("{other:?}"),
    }
}

async fn next(subscription: &mut Subscription<Event>) -> u64 {
    match subscription.next().await {
        Some(Heard::Event(event)) => event.number,
        other => panic!("{other:?}"),
    }
}

/// Goal: one that it handles, and as many as may wait, were published; each that it handles lets one more be.
#[test]
fn publishers_wait_for_what_is_handled_and_not_for_what_was_sent() {
    everywhere("handled", |_| async {
        let topic = Topic::new();
        let (hearer, mut told) = hearer(&topic, Lag::Suspend(2), 0).await?;
        publisher(&topic, 0, 10);
        until(|| topic.stats().suspended == 1).await;
        // Its source may not have run yet.
        assert_eq!(number(&mut told).await, 0);
        for published in 3..10 {
            until(|| topic.stats().suspended == 1 && topic.stats().published == published).await;
            assert!(told.try_recv().is_err(), "nothing is sent before it has answered");
            hearer.go_on(0).await?;
            assert_eq!(number(&mut told).await, published - 2);
        }
        Ok(())
    });
}

/// Goal: all hear one order, in which the events of each publisher are in theirs, whoever lags how.
#[test]
fn the_events_of_each_publisher_come_in_order_whatever_the_lag() {
    everywhere("order", |_| async {
        let topic = Topic::new();
        let lags = [Lag::Suspend(1), Lag::Suspend(3), Lag::DropOldest(1), Lag::DropOldest(4), Lag::CutOff(6)];
        let mut hearers = Vec::new();
        for (at, lag) in lags.into_iter().enumerate() {
            hearers.push(hearer(&topic, lag, if at == 0 { 1_000 } else { at }).await?);
        }
        let here = node();
        let publishers: Vec<_> = (0..3).map(|from| here.ended(publisher(&topic, from, 20).pid())).collect();
        let helped: Vec<_> = hearers.iter().map(|(hearer, _)| hearer.clone()).collect();
        let helper = spawn_process(async move |_: Process<()>| {
            loop {
                for hearer in &helped {
                    hearer.go_on(1).await?;
                }
            }
        });
        for publisher in publishers {
            assert_eq!(publisher.await, ExitReason::Normal);
        }
        let stats = topic.stats();
        assert_eq!((stats.published, stats.suspended), (60, 0));
        drop(topic);
        let mut all = Vec::new();
        for (at, (hearer, told)) in hearers.iter_mut().enumerate() {
            let (mut heard, mut missed) = (Vec::new(), 0);
            while heard.len() as u64 + missed < 60 {
                match told.recv().await {
                    Some(Heard::Event(event)) => heard.push(event),
                    Some(Heard::Missed(events)) => missed += events,
                    Some(Heard::CutOff) => break,
                    None => panic!("it is told of all"),
                }
            }
            hearer.cancel().await?;
            for from in 0..3 {
                let numbers: Vec<_> =
                    heard.iter().filter(|event| event.from == from).map(|event| event.number).collect();
                assert!(numbers.is_sorted_by(|one, other| one < other), "{numbers:?}");
            }
            if at < 2 {
                assert_eq!((heard.len(), missed), (60, 0), "{lags:?}");
            }
            all.push(heard);
        }
        assert!(all[0].iter().zip(&all[1]).all(|(one, other)| Arc::ptr_eq(one, other)), "one order, and one event");
        for heard in &all[2..] {
            let mut rest = all[0].iter();
            assert!(heard.iter().all(|event| rest.any(|other| Arc::ptr_eq(event, other))), "with gaps");
        }
        node().exit(&helper, ExitReason::Kill);
        Ok(())
    });
}

#[test]
fn who_lags_and_drops_is_told_how_many_it_has_missed_where_they_were() {
    everywhere("missed", |_| async {
        let topic = Topic::new();
        let mut subscription = topic.subscribe(Lag::DropOldest(2));
        for number in 0..5 {
            assert_eq!(topic.publish(Event { from: 0, number }).await?, 1);
        }
        assert_eq!(subscription.waiting(), 2);
        assert_eq!(subscription.next().await, Some(Heard::Missed(3)));
        assert_eq!((next(&mut subscription).await, next(&mut subscription).await), (3, 4));
        topic.publish(Event { from: 0, number: 5 }).await?;
        assert_eq!(next(&mut subscription).await, 5);
        assert_eq!(topic.stats().dropped, 3);
        Ok(())
    });
}

#[test]
fn who_is_cut_off_is_told_after_what_waited_and_hears_nothing_more() {
    everywhere("cut off", |_| async {
        let topic = Topic::new();
        let (slow, mut told) = hearer(&topic, Lag::CutOff(2), 0).await?;
        topic.publish(Event { from: 0, number: 0 }).await?;
        assert_eq!(number(&mut told).await, 0);
        let reached =
            [topic.publish(Event { from: 0, number: 1 }).await?, topic.publish(Event { from: 0, number: 2 }).await?];
        assert_eq!(reached, [1, 1]);
        assert_eq!(topic.publish(Event { from: 0, number: 3 }).await?, 0);
        slow.go_on(9).await?;
        assert_eq!((number(&mut told).await, number(&mut told).await), (1, 2));
        assert_eq!(told.recv().await, Some(Heard::CutOff));
        let stats = topic.stats();
        assert_eq!((stats.subscribers, stats.cut_off, stats.dropped), (0, 1, 0));
        assert_eq!(topic.publish(Event { from: 0, number: 4 }).await?, 0);
        slow.is_ready().await?;
        assert!(told.try_recv().is_err());
        Ok(())
    });
}

/// Goal: a publisher that waits for somebody goes on when that one is gone, whichever way it goes, and nobody is subscribed
/// any more when the end is announced.
#[test]
fn a_publisher_goes_on_when_the_subscriber_that_it_waits_for_is_gone() {
    everywhere("gone", |_| async {
        for way in 0..4 {
            let topic = Topic::new();
            let (slow, told) = hearer(&topic, Lag::Suspend(1), 0).await?;
            let publisher = node().ended(publisher(&topic, 0, 20).pid());
            if way % 2 == 0 {
                until(|| topic.stats().suspended == 1).await;
            }
            let ended = node().ended(&slow);
            match way {
                0 => slow.stop(),
                1 => node().exit(&slow, ExitReason::Kill),
                2 => slow.fall(),
                _ => {
                    slow.cancel().await?;
                    slow.stop();
                }
            }
            ended.await;
            if way < 3 {
                assert_eq!(topic.stats().subscribers, 0, "it is gone before its end is announced");
            }
            assert_eq!(publisher.await, ExitReason::Normal);
            assert_eq!((topic.stats().published, topic.stats().suspended), (20, 0));
            drop(told);
        }
        Ok(())
    });
}

/// Goal: also the one that is cut off lets publishers go on, who wait for another.
#[test]
fn a_publisher_that_ends_while_it_waits_leaves_nothing_behind() {
    everywhere("publisher ends", |_| async {
        let topic = Topic::new();
        let mut subscription = topic.subscribe(Lag::Suspend(1));
        topic.publish(Event { from: 0, number: 0 }).await?;
        let dying = publisher(&topic, 1, 1);
        until(|| topic.stats().suspended == 1).await;
        let patient = publisher(&topic, 2, 1);
        until(|| topic.stats().suspended == 2).await;
        let ended = node().ended(&dying);
        node().exit(&dying, ExitReason::Kill);
        // It may have its turn before it receives the signal, or not.
        assert_eq!(next(&mut subscription).await, 0);
        ended.await;
        let done = node().ended(&patient);
        let mut from = Vec::new();
        while from.last() != Some(&2) {
            let Some(Heard::Event(event)) = subscription.next().await else { panic!("it misses nothing") };
            from.push(event.from);
        }
        assert!(from == [2] || from == [1, 2], "{from:?}");
        done.await;
        let stats = topic.stats();
        assert_eq!((stats.suspended, stats.published), (0, 1 + from.len() as u64));
        Ok(())
    });
}

/// Goal: a future that is dropped has published nothing, and lets the next one go first.
#[test]
fn who_gives_up_waiting_has_published_nothing() {
    everywhere("gives up", |_| async {
        let topic = Topic::new();
        let mut subscription = topic.subscribe(Lag::Suspend(1));
        topic.publish(Event { from: 0, number: 0 }).await?;
        let waits = time::timeout(millis(1), topic.publish(Event { from: 0, number: 1 })).await;
        assert!(waits.is_err());
        assert_eq!(topic.stats().suspended, 0);
        assert!(matches!(
            topic.try_publish(Event { from: 0, number: 2 }),
            Err(PublishError::Full(Event { number: 2, .. }))
        ));
        assert_eq!(next(&mut subscription).await, 0);
        assert_eq!(topic.try_publish(Event { from: 0, number: 3 }).map_err(PublishError::into_event), Ok(1));
        assert_eq!(next(&mut subscription).await, 3);
        Ok(())
    });
}

/// Goal: nobody goes before those who have waited.
#[test]
fn publishers_that_wait_have_their_turns_in_the_order_in_which_they_asked() {
    everywhere("turns", |_| async {
        let topic = Topic::new();
        let mut subscription = topic.subscribe(Lag::Suspend(1));
        topic.publish(Event { from: 0, number: 0 }).await?;
        for from in 1..=5 {
            publisher(&topic, from, 2);
            until(|| topic.stats().suspended == from).await;
        }
        assert_eq!(next(&mut subscription).await, 0);
        // There is room, or somebody who waited has taken it: in either case it is not for whoever comes now.
        assert!(matches!(topic.try_publish(Event { from: 0, number: 0 }), Err(PublishError::Full(_))));
        let mut order = Vec::new();
        for _ in 0..10 {
            let Some(Heard::Event(event)) = subscription.next().await else { panic!("it misses nothing") };
            order.push((event.number, event.from));
        }
        assert_eq!(order[..5], [1, 2, 3, 4, 5].map(|from| (0, from)));
        order.sort_unstable();
        assert!(order.iter().copied().eq((0..2).flat_map(|number| (1..=5).map(move |from| (number, from)))));
        Ok(())
    });
}

#[test]
fn an_actor_that_would_wait_for_itself_is_told() {
    everywhere("self", |_| async {
        let topic = Topic::new();
        let (both, mut told) = hearer(&topic, Lag::Suspend(1), 0).await?;
        assert_eq!(both.publish(0).await.ok(), Some(1));
        assert_eq!(number(&mut told).await, 0);
        assert_eq!(both.publish(1).await.ok(), Some(1));
        assert_eq!(both.publish(2).await, Err(CallError::Reply(2)));
        both.go_on(5).await?;
        assert_eq!(number(&mut told).await, 1);
        assert_eq!(both.publish(3).await.ok(), Some(1));
        assert_eq!(number(&mut told).await, 3);
        Ok(())
    });
}

/// Goal: a crash of one is no business of the others, nor of the publisher.
#[test]
fn a_subscriber_crashes_alone() {
    everywhere("alone", |_| async {
        let topic = Topic::new();
        let (falls, _) = hearer(&topic, Lag::DropOldest(1), 9).await?;
        let (stays, mut told) = hearer(&topic, Lag::Suspend(1), 9).await?;
        let ended = node().ended(&falls);
        falls.fall();
        for number in 0..5 {
            topic.publish(Event { from: 0, number }).await?;
        }
        assert!(matches!(ended.await, ExitReason::Panic(_)));
        for expected in 0..5 {
            assert_eq!(number(&mut told).await, expected);
        }
        stays.is_ready().await?;
        assert_eq!(topic.stats().subscribers, 1);
        Ok(())
    });
}

/// Goal: subscriptions end with the topic, after what waits; and what nobody hears any more is dropped.
#[test]
fn with_the_last_handle_subscriptions_end_after_what_waits() {
    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    everywhere("ends", |_| async {
        let dropped = Arc::new(AtomicUsize::new(0));
        let topic = Topic::new();
        let (mut takes, leaves) = (topic.subscribe(Lag::Suspend(9)), topic.subscribe(Lag::Suspend(9)));
        for _ in 0..3 {
            let published = topic.publish(Counted(dropped.clone())).await;
            assert_eq!(published.map_err(|error| error.to_string()), Ok(2));
        }
        drop(topic.clone());
        drop(topic);
        assert!(matches!(takes.next().await, Some(Heard::Event(_))));
        assert_eq!(dropped.load(SeqCst), 0, "the other holds it still");
        drop(leaves);
        assert_eq!(dropped.load(SeqCst), 1);
        assert!(takes.next().await.is_some() && takes.next().await.is_some());
        assert_eq!(dropped.load(SeqCst), 3);
        assert!(takes.next().await.is_none());
        Ok(())
    });
}

/// Goal: a subscription of a process that has moved elsewhere is over with the process.
#[test]
fn what_was_subscribed_for_a_process_is_over_with_it() {
    everywhere("owner", |mut me| async move {
        let topic = Topic::<Event>::new();
        let (sender, given) = tokio::sync::oneshot::channel();
        let subscribes = topic.clone();
        let owner = spawn_process(async move |mut me: Process<()>| {
            let _ = sender.send(subscribes.subscribe_as(&me, Lag::Suspend(1)));
            Ok(me.receive().await?)
        });
        let mut subscription = given.await?;
        topic.publish(Event { from: 0, number: 0 }).await?;
        assert!(topic.try_publish(Event { from: 0, number: 1 }).is_err());
        let watch = me.monitor(&owner);
        owner.cast(());
        let down = me.receive_info(move |info| match info {
            Info::Down(down) if down.reference == watch => Ok(down),
            other => Err(other),
        });
        down.await?;
        assert_eq!(topic.stats().subscribers, 0);
        assert!(subscription.next().await.is_none());
        assert_eq!(topic.try_publish(Event { from: 0, number: 1 }).map_err(PublishError::into_event), Ok(0));
        Ok(())
    });
}

/// Goal: many subscribers, many events, and subscribers that come and go meanwhile.
#[test]
fn subscribers_come_and_go_while_much_is_published() {
    everywhere("come and go", |_| async {
        let topic = Topic::new();
        let keeper = idle();
        let mut steady = topic.subscribe(Lag::Suspend(4));
        let publisher = node().ended(publisher(&topic, 0, 50).pid());
        let here = node();
        let comers: Vec<_> = (0..4)
            .map(|at| {
                let topic = topic.clone();
                let comer = spawn_process(async move |_: Process<()>| {
                    for _ in 0..8 {
                        let mut subscription =
                            topic.subscribe([Lag::Suspend(1), Lag::CutOff(1), Lag::DropOldest(1)][at % 3]);
                        if let Some(Heard::Event(first)) = time::timeout(millis(1), subscription.next()).await?
                            && let Some(Heard::Event(second)) = time::timeout(millis(1), subscription.next()).await?
                        {
                            assert_eq!(second.number, first.number + 1);
                        }
                    }
                    Ok(())
                });
                here.ended(comer.pid())
            })
            .collect();
        for expected in 0..50 {
            assert_eq!(next(&mut steady).await, expected);
        }
        assert_eq!(publisher.await, ExitReason::Normal);
        for comer in comers {
            // In time or not: nobody stays behind.
            let reason = comer.await;
            assert!(!matches!(reason, ExitReason::Panic(_)), "{reason}");
        }
        assert_eq!(topic.stats().subscribers, 1);
        end(&keeper).await;
        Ok(())
    });
}

/// Goal: to publish, and to hear, is work: whoever does it all the time lets others run.
#[test]
fn who_publishes_and_hears_all_the_time_lets_others_run() {
    everywhere("fair", |_| async {
        let topic = Topic::new();
        let (begun, ran) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (busy, counts) = (topic.clone(), begun.clone());
        let busy = spawn_process(async move |_: Process<()>| {
            let mut subscription = busy.subscribe(Lag::Suspend(4));
            for number in 0..20_000 {
                counts.fetch_add(1, SeqCst);
                busy.publish(Event { from: 0, number }).await?;
                assert_eq!(next(&mut subscription).await, number);
            }
            Ok(())
        });
        let ended = node().ended(&busy);
        let (sees, runs) = (begun.clone(), ran.clone());
        let other = spawn_process(async move |_: Process<()>| {
            runs.store(1 + sees.load(SeqCst), SeqCst);
            Ok(())
        });
        let other = node().ended(&other);
        other.await;
        ended.await;
        assert!((1..20_000).contains(&ran.load(SeqCst)), "it ran before the other had done all");
        Ok(())
    });
}

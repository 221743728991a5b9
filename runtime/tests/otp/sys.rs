//! Area SYS: a server is looked at, held and ended from outside, whatever its own messages are.

use std::collections::BTreeMap;
use std::fmt;

use biotope_runtime::{
    Actor, ActorRef, Address, Call, CallFailed, Context, ExitReason, Handle, Pid, Process, ReplyTo, Status, Traced,
    TracesLost, node, process, spawn, spawn_process, time,
};

use crate::acts::{Log, down, nothing_more};
use crate::runs::{SEEDS, everywhere, millis, secs, under_seeds};

/// Keeps values under names, and logs its end.
struct Store {
    values: BTreeMap<&'static str, u64>,
    log: Log<String>,
}

enum Told {
    Put(&'static str, u64),
    /// To be answered with the sum of all values.
    Sum(ReplyTo<u64>),
    /// Sends this process something.
    Tell(Address<()>),
    /// Waits until this is open.
    Wait(tokio::sync::oneshot::Receiver<()>),
}

impl Actor for Store {
    type Msg = Told;
    type Client = Address<Told>;
    const NAME: &'static str = "Store";
    const HANDLERS: &'static [&'static str] = &["put", "sum", "tell", "wait"];

    fn handler_of(message: &Told) -> u32 {
        match message {
            Told::Put(..) => 0,
            Told::Sum(_) => 1,
            Told::Tell(_) => 2,
            Told::Wait(_) => 3,
        }
    }
}

impl Handle for Store {
    async fn handle(&mut self, told: Told, _cx: &mut Context<Self>) {
        match told {
            Told::Put(name, value) => {
                self.values.insert(name, value);
            }
            Told::Sum(reply) => reply.send(self.values.values().sum()),
            Told::Tell(other) => other.cast(()),
            Told::Wait(gate) => drop(gate.await),
        }
    }

    fn show_state(&self) -> Option<String> {
        Some(format!("{self:?}"))
    }

    async fn terminate(&mut self, reason: &ExitReason, _cx: &mut Context<Self>) {
        self.log.push(reason.to_string());
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Store").field(&self.values).finish()
    }
}

/// A store in which `a` is 1.
fn store() -> ActorRef<Store> {
    logging(Log::new())
}

fn logging(log: Log<String>) -> ActorRef<Store> {
    spawn(Store { values: BTreeMap::from([("a", 1)]), log })
}

fn sum(store: &ActorRef<Store>) -> Call<'_, Told, u64> {
    Call::new(store.address(), Told::Sum)
}

fn waiting() -> Address<()> {
    spawn_process(async |mut me: Process<()>| Ok(me.receive().await?))
}

// ---- SYS-01

/// It takes its turn among the messages, and later handlers see what was replaced.
#[test]
fn sys_01_a_state_is_shown_and_replaced_between_two_handlers() {
    everywhere(async |_: Process<()>| {
        let store = store();
        assert_eq!(store.show_state().await?, r#"Store({"a": 1})"#);
        store.cast(Told::Put("c", 3));
        let with_b = store.with_state(|store| {
            store.values.insert("b", 2);
            store.values.clone()
        });
        assert_eq!(with_b.await?, BTreeMap::from([("a", 1), ("b", 2), ("c", 3)]));
        assert_eq!(sum(&store).await?, 6);
        let other = Store { values: BTreeMap::from([("z", 9)]), log: Log::new() };
        assert_eq!(store.replace_state(other).await?.values.len(), 3, "it gives back the one before");
        assert_eq!(sum(&store).await?, 9);
        Ok(())
    });
}

// ---- SYS-02

/// Messages wait, also one whose caller has given up; a look at the state does not.
#[test]
fn sys_02_who_is_suspended_handles_nothing_until_it_is_resumed() {
    under_seeds(SEEDS, async |mut me: Process<()>| {
        let store = store();
        // Twice in a row is once.
        node().suspend(&store);
        node().suspend(&store);
        let start = time::now();
        assert_eq!(sum(&store).timeout(millis(50)).await, Err(CallFailed::Timeout));
        assert_eq!(time::now() - start, millis(50));
        store.cast(Told::Put("a", 2));
        store.cast(Told::Put("a", 3));
        assert_eq!(store.show_state().await?, r#"Store({"a": 1})"#);
        let info = node().process_info(&store).await.expect("it lives");
        assert_eq!(
            (info.status, &info.messages[..]),
            (Status::Suspended, &["sum", "put", "put"].map(String::from)[..])
        );
        node().resume(&store);
        node().resume(&store);
        assert_eq!(sum(&store).await?, 3, "in order");
        nothing_more(&mut me).await;
        Ok(())
    });
}

#[test]
fn sys_02_code_that_receives_can_be_suspended_too() {
    under_seeds(SEEDS, async |_: Process<()>| {
        let adds = spawn_process(async |mut me: Process<(u64, ReplyTo<u64>)>| {
            loop {
                let (n, reply) = me.receive().await?;
                reply.send(n + 1);
            }
        });
        let add = |n| Call::new(&adds, move |reply| (n, reply)).timeout(millis(50));
        node().suspend(&adds);
        assert_eq!(add(1).await, Err(CallFailed::Timeout));
        let status = node().process_status(&adds).await.expect("it lives");
        assert_eq!((status.info.status, status.state), (Status::Suspended, None));
        node().resume(&adds);
        assert_eq!(add(2).await?, 3);
        Ok(())
    });
}

// ---- SYS-03

#[test]
fn sys_03_messages_and_replies_are_counted_while_that_is_on() {
    everywhere(async |_: Process<()>| {
        let counts = |store: &ActorRef<Store>| node().peek(store).expect("it lives").counts;
        let store = store();
        assert_eq!(counts(&store), None);
        let before = time::now();
        node().statistics_of(&store, true);
        let begun = node().process_info(&store).await.expect("it lives");
        assert_eq!(sum(&store).await?, 1);
        store.with_state(|_| ()).await?;
        let after = node().process_info(&store).await.expect("it lives");
        let counted = after.counts.expect("they are counted");
        assert_eq!((counted.received, counted.sent), (1, 1), "a look at the state is no message");
        assert!(before - millis(100) < counted.since && counted.since <= time::now());
        assert!(after.reductions > begun.reductions);
        node().statistics_of(&store, false);
        assert_eq!(counts(&store), None);
        Ok(())
    });
}

/// Of those who are there, and of those who come; also what comes another way than most.
#[test]
fn sys_03_all_processes_of_a_node_can_be_counted() {
    everywhere(async |mut me: Process<()>| {
        let (before, other) = (store(), waiting());
        node().statistics(true);
        let after = store();
        for store in [&before, &after] {
            store.cast(Told::Put("b", 1));
            store.cast(Told::Tell(other.clone()));
            store.with_state(|_| ()).await?;
            let counts = node().peek(store).expect("it lives").counts.expect("they are counted");
            assert_eq!((counts.received, counts.sent), (2, 1));
        }
        let (_, straight) = me.spawn_monitor(process(async |mut me: Process<()>| {
            let (alias, urgent) = (me.alias(), me.priority_alias());
            alias.cast(());
            urgent.cast_urgent(());
            me.address().cast(());
            for _ in 0..3 {
                me.receive().await?;
            }
            let counts = node().peek(me.pid()).expect("it lives").counts.expect("they are counted");
            assert_eq!(counts.received, 3);
            Ok(())
        }));
        assert_eq!(down(&mut me, straight).await?.reason, ExitReason::Normal);
        node().statistics(false);
        after.cast(Told::Put("b", 1));
        after.with_state(|_| ()).await?;
        assert_eq!(node().peek(&after).expect("it lives").counts, None);
        node().statistics_of(&after, true);
        let counts = node().peek(&after).expect("it lives").counts.expect("they are counted");
        assert_eq!(counts.received, 2, "what was not counted is not there");
        Ok(())
    });
}

// ---- SYS-04

/// The last ten of all that it did in fifteen calls: each has three events.
#[test]
fn sys_04_the_last_events_of_a_process_are_kept() {
    everywhere(async |me: Process<()>| {
        let (store, other) = (store(), store());
        assert_eq!(node().events(&store), None);
        assert!(node().keep_events(&store, 10));
        for _ in 0..15 {
            sum(&store).await?;
            sum(&other).await?;
        }
        store.with_state(|_| ()).await?;
        let events = node().events(&store).expect("they are kept");
        assert!(events.iter().all(|event| event.pid == store.pid()) && events.is_sorted_by_key(|event| event.at));
        let call = [Traced::Received("sum"), Traced::Replied(Some(me.pid())), Traced::Handled("sum")];
        let expected = call.iter().cycle().skip(2).take(10);
        assert!(events.iter().map(|event| &event.what).eq(expected), "{events:?}");
        assert_eq!(node().process_info(&store).await.expect("it lives").events_kept, Some(10));
        // Nobody keeps more than there is room for; and none, if none are asked for.
        node().keep_events(&store, usize::MAX);
        assert_eq!(node().peek(&store).expect("it lives").events_kept, Some(1_024));
        assert_eq!(node().events(&store), Some(Vec::new()), "it begins anew");
        node().keep_events(&store, 0);
        sum(&store).await?;
        assert_eq!((node().events(&store), node().events(&other)), (None, None));
        Ok(())
    });
}

#[test]
fn sys_04_a_traced_process_tells_what_it_does_in_order_and_others_nothing() {
    everywhere(async |mut me: Process<()>| {
        let mut traces = node().traces();
        let (seen, unseen, other) = (store(), store(), waiting());
        assert!(node().trace(&seen, true) && node().peek(&seen).expect("it lives").traced);
        for store in [&seen, &unseen] {
            store.cast(Told::Put("b", 2));
            store.cast(Told::Tell(other.clone()));
            sum(store).await?;
            // Its reply comes by another way: the first call of a process is awaited where that lends the place.
            let (first, second) = (sum(store).send(), sum(store).send());
            assert_eq!((first.await?, second.await?), (3, 3));
        }
        let (open, gate) = tokio::sync::oneshot::channel();
        seen.cast(Told::Wait(gate));
        let _ = open.send(());
        let monitor = me.monitor(&seen);
        seen.stop();
        down(&mut me, monitor).await?;
        let mut told = Vec::new();
        while let Some(event) = traces.try_next()? {
            assert_eq!(event.pid, seen.pid());
            told.push(event.what);
        }
        let call = [Traced::Received("sum"), Traced::Replied(Some(me.pid())), Traced::Handled("sum")];
        let mut expected = vec![
            Traced::Received("put"),
            Traced::Handled("put"),
            Traced::Received("tell"),
            Traced::Sent(other.pid()),
            Traced::Handled("tell"),
        ];
        expected.extend(call.iter().cycle().take(9).cloned());
        expected.extend([Traced::Received("wait"), Traced::Handled("wait"), Traced::Exited(ExitReason::Normal)]);
        assert_eq!(told, expected);
        assert!(!node().trace(&seen, true), "nobody is there");
        Ok(())
    });
}

#[test]
fn sys_04_a_traced_process_tells_whom_it_spawns_and_links_until_it_is_told_not_to() {
    everywhere(async |me: Process<()>| {
        let mut traces = node().traces();
        let friend = waiting().pid();
        let parent = spawn_process(async move |mut me: Process<ReplyTo<Pid>>| {
            for _ in 0..2 {
                let reply = me.receive().await?;
                me.link(friend);
                me.unlink(friend);
                let child = me.spawn_link(process(async |mut me: Process<()>| Ok(me.receive().await?)));
                reply.send(child.pid());
            }
            Ok(())
        });
        node().trace(&parent, true);
        let child = Call::new(&parent, |reply| reply).await?;
        node().trace(&parent, false);
        Call::new(&parent, |reply| reply).await?;
        let mut told = Vec::new();
        while let Some(event) = traces.try_next()? {
            told.push(event.what);
        }
        assert!(matches!(told.first(), Some(Traced::Received(_))), "{told:?}");
        let expected = [
            Traced::Linked(friend),
            Traced::Unlinked(friend),
            Traced::Spawned(child),
            Traced::Linked(child),
            Traced::Replied(Some(me.pid())),
        ];
        assert_eq!(told[1..], expected);
        Ok(())
    });
}

#[test]
fn sys_04_a_slow_reader_of_traces_is_told_how_many_it_lost() {
    everywhere(async |_: Process<()>| {
        let mut traces = node().traces();
        let seen = store();
        node().trace(&seen, true);
        for n in 0..1_000 {
            seen.cast(Told::Put("n", n));
        }
        seen.with_state(|_| ()).await?;
        // Two for each: received, handled. As many as fit are there.
        assert_eq!(traces.next().await, Err(TracesLost::TooSlow(2_000 - 1_024)));
        let mut left = 0;
        while traces.try_next()?.is_some() {
            left += 1;
        }
        assert_eq!(left, 1_024);
        Ok(())
    });
}

// ---- SYS-05

/// By its pid alone, and also if it is suspended, with messages before it: those are not handled.
#[test]
fn sys_05_whatever_a_server_takes_it_can_be_stopped_by_its_pid() {
    everywhere(async |mut me: Process<()>| {
        let (log, reason) = (Log::new(), ExitReason::value("closing"));
        for is_suspended in [false, true] {
            let store = logging(log.clone());
            let monitor = me.monitor(&store);
            if is_suspended {
                node().suspend(&store);
                store.cast(Told::Put("b", 2));
            }
            node().stop(&store, reason.clone());
            assert_eq!(down(&mut me, monitor).await?.reason, reason);
        }
        assert_eq!(log.all(), ["\"closing\"", "\"closing\""]);
        let straight = waiting();
        let monitor = me.monitor(&straight);
        node().stop(&straight, reason.clone());
        assert_eq!(down(&mut me, monitor).await?.reason, reason);
        Ok(())
    });
}

// ---- SYS-06

#[test]
fn sys_06_a_status_says_what_it_is_what_is_switched_on_and_its_state() {
    everywhere(async |me: Process<()>| {
        let store = store();
        node().register("store", &store)?;
        store.cast(Told::Put("b", 2));
        let status = node().process_status(&store).await.expect("it lives");
        let info = status.info;
        assert_eq!((info.pid, info.actor, info.parent), (store.pid(), "Store", Some(me.pid())));
        assert_eq!((info.name.as_deref(), info.status), (Some("store"), Status::Waiting));
        assert_eq!((info.traced, info.counts, info.events_kept), (false, None, None));
        assert_eq!(status.state.as_deref(), Some(r#"Store({"a": 1, "b": 2})"#), "it took its turn");

        node().suspend(&store);
        node().trace(&store, true);
        node().statistics_of(&store, true);
        node().keep_events(&store, 1);
        store.cast(Told::Put("c", 3));
        let status = node().process_status(&store).await.expect("it lives");
        assert_eq!((status.info.status, status.info.messages), (Status::Suspended, vec!["put".to_owned()]));
        assert!(status.info.traced && status.info.counts.is_some() && status.info.events_kept == Some(1));
        assert_eq!(status.state.as_deref(), Some(r#"Store({"a": 1, "b": 2})"#));
        assert_eq!(status.events, []);
        node().resume(&store);
        let status = node().process_status(&store).await.expect("it lives");
        assert_eq!(status.events.len(), 1);
        // Of oneself, and of nobody.
        let status = node().process_status(me.pid()).await.expect("it lives");
        assert_eq!((status.info.pid, status.state), (me.pid(), None));
        node().exit(&store, ExitReason::Kill);
        assert_eq!(node().process_status(&store).await, None);
        Ok(())
    });
}

/// It is the user's code that shows a state: it may panic, and say more than anybody reads.
#[test]
fn sys_06_a_state_that_cannot_be_shown_ends_nobody() {
    struct Odd(Option<usize>);

    impl Actor for Odd {
        type Msg = ();
        type Client = Address<()>;
        const NAME: &'static str = "Odd";
    }

    impl Handle for Odd {
        async fn handle(&mut self, (): (), _cx: &mut Context<Self>) {}

        fn show_state(&self) -> Option<String> {
            Some("ä".repeat(self.0.expect("not to be shown")))
        }
    }

    everywhere(async |_: Process<()>| {
        let odd = spawn(Odd(None));
        let shown = async || node().process_status(&odd).await.expect("it lives").state.expect("it shows one");
        assert_eq!(shown().await, "a state that panics when it is shown");
        odd.replace_state(Odd(Some(3))).await.map_err(|_| ExitReason::NoProc)?;
        assert_eq!(shown().await, "äää");
        odd.replace_state(Odd(Some(1_000_000))).await.map_err(|_| ExitReason::NoProc)?;
        let long = shown().await;
        assert!(long.len() <= 4_096 + '…'.len_utf8() && long.ends_with("ä…"), "{}", long.len());
        Ok(())
    });
}

/// What nobody asked for costs nobody anything: a status is no message and no handler.
#[test]
fn sys_06_a_status_comes_when_the_handler_that_awaits_is_done() {
    under_seeds(SEEDS, async |_: Process<()>| {
        let (open, gate) = tokio::sync::oneshot::channel();
        let store = store();
        store.cast(Told::Wait(gate));
        let asked = time::timeout(secs(1), node().process_status(&store)).await;
        assert_eq!(asked, Err(time::Elapsed));
        assert_eq!(node().process_info(&store).await.expect("it lives").status, Status::Awaiting);
        let _ = open.send(());
        assert!(node().process_status(&store).await.expect("it lives").state.is_some());
        Ok(())
    });
}

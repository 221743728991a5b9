//! Area ALIAS: revocable addresses, and messages that are read before all others.

use std::sync::Arc;
use std::time::Duration;

use biotope_runtime::{
    Actor, Address, Alias, AliasEnd, Call, Context, Exit, ExitReason, Handle, Info, PriorityAlias, Process, Received,
    ReplyTo, node, spawn, spawn_process,
};
use tokio::sync::oneshot;

use crate::acts::{Puppet, act, acted, all_there, down, end_of, messages_there, nothing_more, puppet, sent_by_another};
use crate::runs::{everywhere, until};

/// Has `sender` send `messages` by `alias`, and waits until it has.
async fn sent_by<M: Send + 'static>(
    sender: &Puppet,
    alias: &Alias<M>,
    messages: Vec<M>,
) -> biotope_runtime::Result<()> {
    let alias = alias.clone();
    acted(sender, move |_| messages.into_iter().for_each(|message| alias.cast(message))).await
}

// ---- ALIAS-01

#[test]
fn alias_01_an_active_alias_delivers() {
    everywhere(async |mut me: Process<&'static str>| {
        let alias = me.alias();
        assert_eq!(alias.pid(), me.pid());
        let to = me.address();
        act(&puppet(), move |_| {
            alias.cast("x");
            to.cast("y");
            alias.cast("z");
        });
        assert_eq!([me.receive().await?, me.receive().await?, me.receive().await?], ["x", "y", "z"]);
        nothing_more(&mut me).await;
        Ok(())
    });
}

/// What comes by an alias is a message like others: received selectively, in its place, waking whoever
/// waits.
#[test]
fn alias_01_what_comes_by_an_alias_is_a_message_like_others() {
    everywhere(async |mut me: Process<u32>| {
        let (alias, to, other) = (me.alias(), me.address(), puppet());
        act(&other, move |_| {
            for n in 0..100 {
                if n % 3 == 0 {
                    alias.cast(n);
                } else {
                    to.cast(n);
                }
            }
        });
        assert_eq!(me.receive_match(|n| *n == 99).await?, 99);
        assert_eq!(me.receive_match(|n| *n == 50).await?, 50);
        let rest: Vec<u32> = (0..99).filter(|n| *n != 50).collect();
        assert_eq!(messages_there(&mut me).await?, rest);
        Ok(())
    });
}

/// What an actor is told to do with its aliases.
enum Told {
    Issue(ReplyTo<Alias<Told>>),
    Revoke(Alias<Told>, ReplyTo<bool>),
    Note(&'static str),
    Notes(ReplyTo<Vec<&'static str>>),
    IssuePriority(ReplyTo<PriorityAlias<Told>>),
    /// Handles nothing else until this opens.
    Wait(oneshot::Receiver<()>),
}

#[derive(Default)]
struct Noting(Vec<&'static str>);

impl Actor for Noting {
    type Msg = Told;
    type Client = Address<Told>;
    const NAME: &'static str = "Noting";
}

impl Handle for Noting {
    async fn handle(&mut self, message: Told, cx: &mut Context<Self>) {
        match message {
            Told::Issue(reply) => reply.send(cx.alias()),
            Told::Revoke(alias, reply) => reply.send(cx.unalias(&alias)),
            Told::Note(note) => self.0.push(note),
            Told::Notes(reply) => reply.send(self.0.clone()),
            Told::IssuePriority(reply) => reply.send(cx.priority_alias()),
            Told::Wait(gate) => drop(gate.await),
        }
    }
}

#[test]
fn alias_01_and_02_of_an_actor() {
    everywhere(async |_: Process<()>| {
        let noting = spawn(Noting::default());
        let alias = Call::new(&noting, Told::Issue).await?;
        alias.cast(Told::Note("x"));
        noting.cast(Told::Note("y"));
        assert_eq!(Call::new(&noting, Told::Notes).await?, ["x", "y"]);
        assert!(Call::new(&noting, |reply| Told::Revoke(alias.clone(), reply)).await?);
        assert!(!Call::new(&noting, |reply| Told::Revoke(alias.clone(), reply)).await?);
        alias.cast(Told::Note("z"));
        assert_eq!(Call::new(&noting, Told::Notes).await?, ["x", "y"]);
        Ok(())
    });
}

// ---- ALIAS-02

#[test]
fn alias_02_a_revoked_alias_drops_silently() {
    everywhere(async |mut me: Process<&'static str>| {
        let alias = me.alias();
        assert!(me.unalias(&alias));
        assert!(!me.unalias(&alias), "it stood no more");
        let to = me.address();
        act(&puppet(), move |_| {
            alias.cast("z");
            to.cast("sentinel");
        });
        assert_eq!(me.receive_any().await?, Received::Message("sentinel"));
        nothing_more(&mut me).await;
        Ok(())
    });
}

/// Also what was sent before it was revoked, if it comes after; what is in the mailbox stays.
#[test]
fn alias_02_what_is_in_the_mailbox_when_it_is_revoked_stays() {
    everywhere(async |mut me: Process<&'static str>| {
        let (alias, other, to) = (me.alias(), puppet(), me.address());
        sent_by(&other, &alias, vec!["before", "before"]).await?;
        act(&other, move |_| to.cast("received"));
        assert_eq!(me.receive_match(|message| *message == "received").await?, "received");
        me.unalias(&alias);
        sent_by(&other, &alias, vec!["after"]).await?;
        sent_by_another(&me, vec!["sentinel"]).await?;
        assert_eq!(messages_there(&mut me).await?, ["before", "before", "sentinel"]);
        nothing_more(&mut me).await;
        Ok(())
    });
}

/// Aliases of one process are independent of each other and of its address.
#[test]
fn alias_02_only_the_revoked_one_is_closed() {
    everywhere(async |mut me: Process<u32>| {
        let aliases: Vec<Alias<u32>> = (0..20).map(|_| me.alias()).collect();
        let clone = aliases[7].clone();
        for alias in aliases.iter().step_by(2) {
            assert!(me.unalias(alias));
        }
        // A clone is the same alias.
        assert!(me.unalias(&clone));
        let to = me.address();
        act(&puppet(), move |_| {
            for (n, alias) in (0..).zip(&aliases) {
                alias.cast(n);
            }
            clone.cast(7);
            to.cast(99);
        });
        assert_eq!(me.receive_match(|n| *n == 99).await?, 99);
        let open: Vec<u32> = (0..20).filter(|n| n % 2 == 1 && *n != 7).collect();
        assert_eq!(messages_there(&mut me).await?, open);
        Ok(())
    });
}

/// Whoever else tries to revoke it cannot.
#[test]
fn alias_02_nobody_but_its_creator_revokes_it() {
    everywhere(async |mut me: Process<&'static str>| {
        let alias = me.alias();
        let (tell, told) = oneshot::channel();
        let theirs = alias.clone();
        spawn_process(async move |other: Process<&'static str>| {
            // Aliases of its own, of the same numbers.
            let own = [other.alias(), other.alias()];
            let _ = tell.send((other.unalias(&theirs), other.unalias(&own[0])));
            Ok(())
        });
        assert_eq!(told.await?, (false, true));
        sent_by(&puppet(), &alias, vec!["x"]).await?;
        assert_eq!(messages_there(&mut me).await?, ["x"]);
        Ok(())
    });
}

#[test]
fn alias_02_after_the_end_of_its_process_the_same() {
    everywhere(async |mut me: Process<()>| {
        let (tell, told) = oneshot::channel();
        let process = spawn_process(async move |mut process: Process<Arc<()>>| {
            let _ = tell.send((process.alias(), process.priority_alias(), process.reply_alias()));
            process.receive().await?;
            Ok(())
        });
        let (alias, priority, reply) = told.await?;
        process.cast(Arc::new(()));
        end_of(&mut me, &process).await?;
        let message = Arc::new(());
        let sent = message.clone();
        acted(&puppet(), move |_| {
            alias.cast(sent.clone());
            reply.cast(sent.clone());
            priority.cast(sent.clone());
            priority.cast_urgent(sent);
        })
        .await?;
        assert!(!node().is_alive(&process));
        until(move || Arc::strong_count(&message) == 1).await;
        Ok(())
    });
}

/// A message that vanishes is dropped when it would have been received, and not kept.
#[test]
fn alias_02_what_vanishes_is_dropped() {
    everywhere(async |mut me: Process<Option<Arc<()>>>| {
        let alias = me.alias();
        me.unalias(&alias);
        let message = Arc::new(());
        let (sent, to) = (message.clone(), me.address());
        act(&puppet(), move |_| {
            for _ in 0..50 {
                alias.cast(Some(sent.clone()));
            }
            drop(sent);
            to.cast(None);
        });
        assert_eq!(me.receive().await?, None);
        until(move || Arc::strong_count(&message) == 1).await;
        Ok(())
    });
}

// ---- ALIAS-03

#[test]
fn alias_03_an_alias_of_a_monitor_ends_when_that_is_taken_back() {
    everywhere(async |mut me: Process<&'static str>| {
        for flush in [false, true] {
            let other = puppet();
            let (monitor, alias) = me.monitor_alias(&other, AliasEnd::WithMonitor);
            sent_by(&other, &alias, vec!["before"]).await?;
            assert_eq!(me.receive().await?, "before");
            if flush {
                me.demonitor_flush(monitor);
            } else {
                me.demonitor(monitor);
            }
            sent_by(&other, &alias, vec!["after"]).await?;
            let to = me.address();
            act(&other, move |other| {
                to.cast("sentinel");
                other.exit_now(ExitReason::Normal);
            });
            assert_eq!(me.receive_any().await?, Received::Message("sentinel"));
            assert!(!me.unalias(&alias), "it ended with its monitor");
        }
        nothing_more(&mut me).await;
        Ok(())
    });
}

#[test]
fn alias_03_an_alias_of_a_monitor_ends_with_the_down() {
    everywhere(async |mut me: Process<&'static str>| {
        let (q, r) = (puppet(), puppet());
        let (monitor, alias) = me.monitor_alias(&q, AliasEnd::WithMonitor);
        let by_q = alias.clone();
        act(&q, move |q| {
            by_q.cast("one");
            by_q.cast("two");
            q.exit_now(ExitReason::value("gone"));
        });
        assert_eq!(me.receive_any().await?, Received::Message("one"));
        assert_eq!(me.receive_any().await?, Received::Message("two"));
        let Received::Info(Info::Down(told)) = me.receive_any().await? else { panic!("no `Down` came") };
        assert_eq!((told.reference, told.reason), (monitor, ExitReason::value("gone")));
        sent_by(&r, &alias, vec!["from r"]).await?;
        sent_by_another(&me, vec!["sentinel"]).await?;
        assert_eq!(me.receive_any().await?, Received::Message("sentinel"));
        assert!(!me.unalias(&alias), "it ended with its monitor");
        nothing_more(&mut me).await;
        Ok(())
    });
}

/// The alias is dead when the `Down` is received, also while that is unread; and alive however many of its
/// messages are.
#[test]
fn alias_03_it_ends_when_the_down_arrives_not_when_it_is_read() {
    everywhere(async |mut me: Process<u32>| {
        let (q, r) = (puppet(), puppet());
        let (monitor, alias) = me.monitor_alias(&q, AliasEnd::WithMonitor);
        let by_q = alias.clone();
        act(&q, move |q| {
            (0..100).for_each(|n| by_q.cast(n));
            q.exit_now(ExitReason::Normal);
        });
        // Read from behind: the messages lie unread before the `Down`.
        assert_eq!(down(&mut me, monitor).await?.reason, ExitReason::Normal);
        sent_by(&r, &alias, vec![1_000]).await?;
        sent_by_another(&me, vec![2_000]).await?;
        let mut expected: Vec<u32> = (0..100).collect();
        expected.push(2_000);
        assert_eq!(messages_there(&mut me).await?, expected);
        Ok(())
    });
}

/// If there is no such process, the `Down` with `NoProc` ends the alias at once.
#[test]
fn alias_03_an_alias_of_a_monitor_of_the_dead_ends_at_once() {
    everywhere(async |mut me: Process<&'static str>| {
        let dead = puppet();
        dead.stop(ExitReason::Normal);
        end_of(&mut me, &dead).await?;
        let (monitor, alias) = me.monitor_alias(&dead, AliasEnd::WithMonitor);
        assert_eq!(down(&mut me, monitor).await?.reason, ExitReason::NoProc);
        sent_by(&puppet(), &alias, vec!["x"]).await?;
        sent_by_another(&me, vec!["sentinel"]).await?;
        assert_eq!(messages_there(&mut me).await?, ["sentinel"]);
        Ok(())
    });
}

/// Other monitors of the same process are no concern of the alias.
#[test]
fn alias_03_only_its_own_monitor_ends_it() {
    everywhere(async |mut me: Process<&'static str>| {
        let q = puppet();
        let before = me.monitor(&q);
        let (_, alias) = me.monitor_alias(&q, AliasEnd::WithMonitor);
        let after = me.monitor(&q);
        me.demonitor(before);
        me.demonitor(after);
        sent_by(&q, &alias, vec!["x"]).await?;
        assert_eq!(me.receive().await?, "x");
        assert!(me.unalias(&alias), "it stands");
        Ok(())
    });
}

// ---- ALIAS-04

#[test]
fn alias_04_a_reply_alias_takes_one_message() {
    everywhere(async |mut me: Process<&'static str>| {
        let (alias, to) = (me.reply_alias(), me.address());
        let by_q = alias.clone();
        act(&puppet(), move |_| {
            ["first", "second", "third", "fourth"].into_iter().for_each(|message| by_q.cast(message));
            to.cast("sentinel");
        });
        assert_eq!(me.receive_match(|message| *message == "sentinel").await?, "sentinel");
        assert_eq!(messages_there(&mut me).await?, ["first"]);
        assert!(!me.unalias(&alias), "the first message ended it");
        nothing_more(&mut me).await;
        Ok(())
    });
}

/// It is one message whoever sends it: of many that race, exactly one comes.
#[test]
fn alias_04_of_many_that_race_one_comes() {
    everywhere(async |mut me: Process<(u32, u32)>| {
        const SENDERS: u32 = 8;
        for round in 0..10 {
            let alias = me.reply_alias();
            for sender in 0..SENDERS {
                let (alias, to) = (alias.clone(), me.address());
                spawn_process(async move |_: Process<()>| {
                    alias.cast((round, sender));
                    to.cast((round, 1_000 + sender));
                    Ok(())
                });
            }
            for sender in 0..SENDERS {
                me.receive_match(move |message| *message == (round, 1_000 + sender)).await?;
            }
            let came = messages_there(&mut me).await?;
            assert!(matches!(&*came, [(of, sender)] if *of == round && *sender < SENDERS), "{came:?}");
        }
        Ok(())
    });
}

// ---- ALIAS-05

#[test]
fn alias_05_the_first_reply_ends_the_monitor_too() {
    everywhere(async |mut me: Process<&'static str>| {
        let q = puppet();
        // Monitors before and after it, so that its `Down` would lie between theirs, or before one of them.
        let before = me.monitor(&q);
        let (monitor, alias) = me.monitor_alias(&q, AliasEnd::FirstReply);
        let after = me.monitor(&q);
        let by_q = alias.clone();
        act(&q, move |q| {
            by_q.cast("first");
            by_q.cast("second");
            q.exit_now(ExitReason::Normal);
        });
        assert_eq!(me.receive_any().await?, Received::Message("first"));
        down(&mut me, before).await?;
        down(&mut me, after).await?;
        assert_eq!(all_there(&mut me).await?, []);
        assert!(!me.unalias(&alias), "the first message ended it");
        me.demonitor(monitor);
        nothing_more(&mut me).await;
        Ok(())
    });
}

/// Without a reply the monitor tells as always, and the alias ends with the process's own word.
#[test]
fn alias_05_without_a_reply_the_down_comes() {
    everywhere(async |mut me: Process<&'static str>| {
        let q = puppet();
        let (monitor, alias) = me.monitor_alias(&q, AliasEnd::FirstReply);
        act(&q, |q| q.exit_now(ExitReason::value("silent")));
        assert_eq!(down(&mut me, monitor).await?.reason, ExitReason::value("silent"));
        sent_by(&puppet(), &alias, vec!["late"]).await?;
        sent_by_another(&me, vec!["sentinel"]).await?;
        assert_eq!(messages_there(&mut me).await?, ["sentinel"], "a late reply vanishes");
        Ok(())
    });
}

/// A request that was given up leaves nothing behind: no late reply, no `Down`.
#[test]
fn alias_05_a_monitor_that_is_taken_back_ends_the_reply_alias() {
    everywhere(async |mut me: Process<&'static str>| {
        let q = puppet();
        let (monitor, alias) = me.monitor_alias(&q, AliasEnd::FirstReply);
        me.demonitor(monitor);
        let to = me.address();
        act(&q, move |q| {
            alias.cast("late");
            to.cast("sentinel");
            q.exit_now(ExitReason::Normal);
        });
        assert_eq!(me.receive_any().await?, Received::Message("sentinel"));
        nothing_more(&mut me).await;
        Ok(())
    });
}

// ---- ALIAS-06

#[test]
fn alias_06_an_alias_to_be_revoked_outlives_the_down() {
    everywhere(async |mut me: Process<&'static str>| {
        let (q, r) = (puppet(), puppet());
        let (monitor, alias) = me.monitor_alias(&q, AliasEnd::Explicit);
        act(&q, |q| q.exit_now(ExitReason::value("gone")));
        let Received::Info(Info::Down(told)) = me.receive_any().await? else { panic!("no `Down` came") };
        assert_eq!((told.reference, told.reason), (monitor, ExitReason::value("gone")));
        sent_by(&r, &alias, vec!["x"]).await?;
        assert_eq!(me.receive_any().await?, Received::Message("x"));
        assert!(me.unalias(&alias));
        let to = me.address();
        act(&r, move |_| {
            alias.cast("y");
            to.cast("sentinel");
        });
        assert_eq!(me.receive_any().await?, Received::Message("sentinel"));
        nothing_more(&mut me).await;
        Ok(())
    });
}

/// It outlives also a monitor that is taken back, and revoking it leaves the monitor.
#[test]
fn alias_06_alias_and_monitor_end_apart() {
    everywhere(async |mut me: Process<&'static str>| {
        let q = puppet();
        let (monitor, alias) = me.monitor_alias(&q, AliasEnd::Explicit);
        me.demonitor(monitor);
        sent_by(&q, &alias, vec!["x"]).await?;
        assert_eq!(me.receive().await?, "x");
        let (monitor, alias) = me.monitor_alias(&q, AliasEnd::Explicit);
        assert!(me.unalias(&alias));
        act(&q, |q| q.exit_now(ExitReason::Normal));
        assert_eq!(down(&mut me, monitor).await?.reason, ExitReason::Normal);
        Ok(())
    });
}

// ---- ALIAS-07

/// The process grants priority by a priority alias; by its address nobody can ask for it (`u`), and who
/// has the alias need not (`v`).
#[test]
fn alias_07_priority_needs_consent_and_a_request() {
    everywhere(async |mut me: Process<(&'static str, u32)>| {
        sent_by_another(&me, (0..1_000).map(|n| ("ordinary", n)).collect()).await?;
        let (priority, to) = (me.priority_alias(), me.address());
        acted(&puppet(), move |_| {
            to.cast(("u", 0));
            priority.cast(("v", 0));
            priority.cast_urgent(("w", 0));
        })
        .await?;
        let mut expected = vec![("w", 0)];
        expected.extend((0..1_000).map(|n| ("ordinary", n)));
        expected.extend([("u", 0), ("v", 0)]);
        assert_eq!(messages_there(&mut me).await?, expected);
        nothing_more(&mut me).await;
        Ok(())
    });
}

/// Among each other they keep their order, and a selective receive looks at them first.
#[test]
fn alias_07_urgent_messages_keep_their_order_and_are_looked_at_first() {
    everywhere(async |mut me: Process<(char, u32)>| {
        me.trap_exits(true);
        let other = puppet();
        let (priority, to) = (me.priority_alias(), me.address());
        acted(&other, move |other| {
            other.exit(to.pid(), ExitReason::Shutdown);
            to.cast(('a', 1));
            to.cast(('b', 1));
            for n in 2..5 {
                priority.cast_urgent(('a', n));
                priority.cast_urgent(('b', n));
            }
        })
        .await?;
        assert_eq!(me.receive_match(|(letter, _)| *letter == 'b').await?, ('b', 2));
        let mut rest = Vec::new();
        for _ in 0..5 {
            rest.push(me.receive_any().await?);
        }
        let urgent = [('a', 2), ('a', 3), ('b', 3), ('a', 4), ('b', 4)];
        assert_eq!(rest, urgent.map(Received::Message), "what the runtime tells is ordinary");
        let exit = Received::Info(Info::Exit(Exit { from: other.pid(), reason: ExitReason::Shutdown }));
        assert_eq!(all_there(&mut me).await?, [exit, Received::Message(('a', 1)), Received::Message(('b', 1))]);
        Ok(())
    });
}

/// An urgent message wakes a process that waits, and by a revoked alias it vanishes like any other.
#[test]
fn alias_07_a_revoked_priority_alias_drops_silently() {
    everywhere(async |mut me: Process<&'static str>| {
        let (priority, other, to) = (me.priority_alias(), puppet(), me.address());
        let granted = priority.clone();
        act(&other, move |_| granted.cast_urgent("urgent"));
        assert_eq!(me.receive().await?, "urgent");
        assert!(me.unalias_priority(&priority));
        act(&other, move |_| {
            priority.cast_urgent("urgent");
            priority.cast("ordinary");
            to.cast("sentinel");
        });
        assert_eq!(me.receive_any().await?, Received::Message("sentinel"));
        nothing_more(&mut me).await;
        Ok(())
    });
}

#[test]
fn alias_07_an_actor_handles_urgent_messages_first() {
    everywhere(async |_: Process<()>| {
        let noting = spawn(Noting::default());
        let priority = Call::new(&noting, Told::IssuePriority).await?;
        let (open, gate) = oneshot::channel();
        noting.cast(Told::Wait(gate));
        let to = noting.clone();
        acted(&puppet(), move |_| {
            to.cast(Told::Note("first"));
            to.cast(Told::Note("u"));
            priority.cast(Told::Note("v"));
            priority.cast_urgent(Told::Note("w1"));
            priority.cast_urgent(Told::Note("w2"));
        })
        .await?;
        let _ = open.send(());
        assert_eq!(Call::new(&noting, Told::Notes).await?, ["w1", "w2", "first", "u", "v"]);
        Ok(())
    });
}

/// Urgent or not, a flood does not keep a process from what else it has to do for ever: each is read once.
#[test]
fn alias_07_nothing_is_read_twice_or_lost() {
    everywhere(async |mut me: Process<u32>| {
        let (priority, to) = (me.priority_alias(), me.address());
        act(&puppet(), move |_| {
            for n in 0..500 {
                if n % 2 == 0 {
                    priority.cast_urgent(n);
                } else {
                    to.cast(n);
                }
            }
        });
        let mut came = Vec::new();
        for _ in 0..500 {
            came.push(me.receive().await?);
        }
        // Both kinds in order, and an urgent one never after an ordinary one that was sent later.
        let (urgent, ordinary): (Vec<u32>, Vec<u32>) = came.iter().partition(|n| **n % 2 == 0);
        assert!(urgent.is_sorted() && ordinary.is_sorted(), "{came:?}");
        for (at, n) in came.iter().enumerate().filter(|(_, n)| **n % 2 == 0) {
            assert!(came[..at].iter().all(|before| before % 2 == 0 || before < n), "{n} came late: {came:?}");
        }
        came.sort_unstable();
        assert_eq!(came, (0..500).collect::<Vec<_>>());
        assert_eq!(me.receive().timeout(Duration::ZERO).await.ok(), None);
        Ok(())
    });
}

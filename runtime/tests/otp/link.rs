//! Area LINK: links.
//!
//! A link is a two-way relation; between two processes there is at most one. Removing it guarantees silence
//! from then on, not erasure of what is already queued.

use std::time::Duration;

use biotope_runtime::{
    Exit, ExitReason, Info, Node, NodeId, Pid, Process, Received, Result, node, process, spawn_monitor, spawn_process,
    yield_now,
};

use crate::puppets::{Got, KINDS, Kind, Load, Puppet, drain, end_of, exit, info, next_exit, reason};
use crate::runs::{Patience, everywhere, on, real, seeded, settle};
use crate::two_nodes::{Pair, WIRES};

async fn links(of: &Puppet) -> Result<Vec<Pid>> {
    Ok(info(of).await?.links)
}

/// A process that has ended.
async fn dead<M: Send + 'static>(me: &mut Process<M>, kind: Kind) -> Result<Puppet> {
    let puppet = kind.spawn();
    let watch = me.monitor(&puppet);
    puppet.end(reason(99));
    assert_eq!(end_of(me, watch).await?, reason(99));
    Ok(puppet)
}

/// LINK-01: whichever of the two made the link, and whichever ends.
#[test]
fn link_01_a_link_has_no_direction() {
    everywhere(async |mut me: Process<()>| {
        for of_a in KINDS {
            for of_b in KINDS {
                for ends_is_a in [true, false] {
                    let (a, b) = (of_a.spawn(), of_b.spawn());
                    a.link(&b).await?;
                    assert_eq!((links(&a).await?, links(&b).await?), (vec![b.pid()], vec![a.pid()]));
                    let (ends, other) = if ends_is_a { (a, b) } else { (b, a) };
                    let watch = me.monitor(&other);
                    ends.end(reason(1));
                    assert_eq!(end_of(&mut me, watch).await?, reason(1), "{of_a:?}, {of_b:?}, A ends: {ends_is_a}");
                }
            }
        }
        Ok(())
    });
}

/// A links to B three times, B to A twice; then they know of it.
async fn linked_many_times(kind: Kind) -> Result<(Puppet, Puppet)> {
    let (a, b) = (kind.spawn_trapping().await?, kind.spawn());
    for (from, to, times) in [(&a, &b, 3), (&b, &a, 2)] {
        for _ in 0..times {
            from.link(to).await?;
        }
    }
    assert_eq!((links(&a).await?, links(&b).await?), (vec![b.pid()], vec![a.pid()]));
    Ok((a, b))
}

/// LINK-02, the first run.
#[test]
fn link_02_many_links_are_one() {
    everywhere(async |_: Process<()>| {
        for kind in KINDS {
            let (a, b) = linked_many_times(kind).await?;
            b.end(reason(1));
            assert_eq!(a.log_of(1).await?, [exit(&b, reason(1))], "{kind:?}");
            settle().await;
            assert_eq!(a.log().await?, [exit(&b, reason(1))], "{kind:?}: told more than once");
            assert_eq!(links(&a).await?, []);
        }
        Ok(())
    });
}

/// LINK-02, the second run: by either side.
#[test]
fn link_02_one_unlink_removes_many_links() {
    everywhere(async |mut me: Process<()>| {
        for kind in KINDS {
            for a_unlinks in [true, false] {
                let (a, b) = linked_many_times(kind).await?;
                let (unlinks, other) = if a_unlinks { (&a, &b) } else { (&b, &a) };
                let to = other.pid();
                unlinks.act(move |me| me.unlink(to)).await?;
                unlinks.reach(other).await?;
                assert_eq!((links(&a).await?, links(&b).await?), (vec![], vec![]), "{kind:?}");
                let watch = me.monitor(&b);
                b.end(reason(1));
                end_of(&mut me, watch).await?;
                settle().await;
                a.note(1);
                assert_eq!(a.log().await?, [Got::Note(1)], "{kind:?}, A unlinks: {a_unlinks}");
            }
        }
        Ok(())
    });
}

/// LINK-03.
#[test]
fn link_03_either_side_may_unlink() {
    everywhere(async |mut me: Process<()>| {
        for traps in [false, true] {
            for kind in KINDS {
                let (a, b) = (kind.spawn(), kind.spawn());
                a.trap(traps).await?;
                a.link(&b).await?;
                let to = a.pid();
                b.act(move |me| me.unlink(to)).await?;
                b.reach(&a).await?;
                assert_eq!((links(&a).await?, links(&b).await?), (vec![], vec![]), "{kind:?}");
                let watch = me.monitor(&b);
                b.end(reason(1));
                assert_eq!(end_of(&mut me, watch).await?, reason(1));
                settle().await;
                a.note(1);
                assert_eq!(a.log().await, Ok(vec![Got::Note(1)]), "{kind:?}: A is affected; it traps: {traps}");
            }
        }
        Ok(())
    });
}

/// LINK-03, without a pause: the unlink and the end are one step of B.
#[test]
fn link_03_an_unlink_right_before_the_end_is_in_time() {
    everywhere(async |mut me: Process<()>| {
        for kind in KINDS {
            for _ in 0..10 {
                let (a, b) = (kind.spawn_trapping().await?, kind.spawn());
                a.link(&b).await?;
                let (watch, to) = (me.monitor(&b), a.clone());
                b.tell(move |me| {
                    to.note(1);
                    me.unlink(&to);
                    to.note(2);
                    me.exit_now(reason(1));
                });
                end_of(&mut me, watch).await?;
                settle().await;
                a.note(3);
                assert_eq!(a.log().await?, [Got::Note(1), Got::Note(2), Got::Note(3)], "{kind:?}");
                assert_eq!(links(&a).await?, []);
            }
        }
        Ok(())
    });
}

/// LINK-04.
#[test]
fn link_04_who_traps_is_told_that_the_other_end_is_dead() {
    everywhere(async |mut me: Process<()>| {
        for kind in KINDS {
            let (t, d) = (kind.spawn_trapping().await?, dead(&mut me, kind).await?);
            let to = d.pid();
            // Twice: each of them is answered.
            for told in 1..=2 {
                t.act(move |me| me.link(to)).await?;
                let expected = vec![exit(&d, ExitReason::NoProc); told];
                assert_eq!(t.log_of(told).await?, expected, "{kind:?}");
                settle().await;
                assert_eq!(t.log().await?, expected, "{kind:?}: told more than once");
                assert_eq!(links(&t).await?, [], "{kind:?}");
            }
        }
        Ok(())
    });
}

async fn a_link_that_races_with_the_end_tells_once(mut me: Process<()>, repetitions: u32) -> Result<()> {
    for n in 0..repetitions {
        let kind = KINDS[n as usize % KINDS.len()];
        let (t, d) = (kind.spawn_trapping().await?, kind.spawn());
        let (watch, to) = (me.monitor(&d), d.pid());
        if n % 2 == 0 {
            d.end(reason(n));
            t.tell(move |me| me.link(to));
        } else {
            t.tell(move |me| me.link(to));
            d.end(reason(n));
        }
        assert_eq!(end_of(&mut me, watch).await?, reason(n));
        let log = t.log_of(1).await?;
        assert!(log == [exit(&d, ExitReason::NoProc)] || log == [exit(&d, reason(n))], "{log:?}");
        settle().await;
        assert_eq!(t.log().await?.len(), 1, "told more than once");
        assert_eq!(links(&t).await?, []);
    }
    Ok(())
}

/// LINK-04, for an end at any moment: the reason is the true one or `noproc`, and comes once.
#[test]
fn link_04_a_link_that_races_with_the_end_is_told_of_once() {
    seeded(async |me: Process<()>| a_link_that_races_with_the_end_tells_once(me, 12).await);
    real(4, async |me: Process<()>| {
        let _load = Load::start(2);
        a_link_that_races_with_the_end_tells_once(me, 500).await
    });
}

/// LINK-05, in the form of a signal: `link` gives no error, and the process ends.
#[test]
fn link_05_who_does_not_trap_ends_with_noproc() {
    everywhere(async |mut me: Process<()>| {
        for kind in KINDS {
            let (n, d) = (kind.spawn(), dead(&mut me, kind).await?);
            let (watch, to) = (me.monitor(&n), d.pid());
            n.tell(move |me| me.link(to));
            assert_eq!(end_of(&mut me, watch).await?, ExitReason::NoProc, "{kind:?}");
        }
        let d = dead(&mut me, Kind::Straight).await?.pid();
        let (_, watch) = spawn_monitor(process(async move |me: Process<()>| {
            me.link(d);
            loop {
                yield_now().await;
            }
        }));
        assert_eq!(end_of(&mut me, watch).await?, ExitReason::NoProc);
        Ok(())
    });
}

/// LINK-05, for a process of another node: dead, or of a node that is not connected.
#[test]
fn link_05_a_remote_dead_process_ends_who_does_not_trap() {
    everywhere(async |_: Process<()>| {
        for wire in WIRES {
            let pair = Pair::start(wire).await?;
            let there = pair.there.clone();
            let body = async move |mut me: Process<()>| {
                let of_there = there.spawn_process(async |_: Process<()>| Ok(()));
                there.ended(&of_there).await;
                // The node that the test runs on has no way here.
                let of_nowhere = spawn_process(async |_: Process<()>| Ok(())).pid();
                let stranger = Pid::new(NodeId::new("nowhere", 1), of_nowhere.slot(), 0);
                for (d, why) in [(of_there.pid(), ExitReason::NoProc), (stranger, ExitReason::NoConnection)] {
                    for kind in KINDS {
                        let (n, t) = (kind.spawn(), kind.spawn_trapping().await?);
                        let watch = me.monitor(&n);
                        n.tell(move |me| me.link(d));
                        assert_eq!(end_of(&mut me, watch).await?, why, "{kind:?}");
                        t.tell(move |me| me.link(d));
                        assert_eq!(t.log_of(1).await?, [exit(d, why.clone())], "{kind:?}");
                        assert_eq!(links(&t).await?, [], "{kind:?}");
                    }
                }
                Ok(())
            };
            on(&pair.here, body).await?;
            pair.end().await;
        }
        Ok(())
    });
}

/// LINK-06.
#[test]
fn link_06_a_link_to_oneself_changes_nothing() {
    everywhere(async |mut me: Process<()>| {
        for traps in [false, true] {
            for kind in KINDS {
                let p = kind.spawn();
                p.trap(traps).await?;
                p.act(|me| me.link(me.pid())).await?;
                p.reach(&p.clone()).await?;
                assert_eq!(links(&p).await?, [], "{kind:?}");
                p.act(|me| me.unlink(me.pid())).await?;
                p.reach(&p.clone()).await?;
                assert_eq!(links(&p).await?, [], "{kind:?}");
                settle().await;
                p.act(|me| me.link(me.pid())).await?;
                p.note(1);
                assert_eq!(p.log().await?, [Got::Note(1)], "{kind:?}");
                let watch = me.monitor(&p);
                p.end(reason(1));
                assert_eq!(end_of(&mut me, watch).await?, reason(1), "{kind:?}");
            }
        }
        Ok(())
    });
}

/// LINK-07.
#[test]
fn link_07_unlinking_what_is_not_linked_has_no_effect() {
    everywhere(async |mut me: Process<()>| {
        for kind in KINDS {
            let (p, q, d) = (kind.spawn_trapping().await?, kind.spawn_trapping().await?, dead(&mut me, kind).await?);
            let other = kind.spawn();
            p.link(&other).await?;
            let (to_q, to_d) = (q.pid(), d.pid());
            for _ in 0..2 {
                p.act(move |me| {
                    me.unlink(to_q);
                    me.unlink(to_d);
                })
                .await?;
                p.reach(&q).await?;
            }
            settle().await;
            for puppet in [&p, &q] {
                puppet.note(1);
                assert_eq!(puppet.log().await?, [Got::Note(1)], "{kind:?}");
            }
            assert_eq!((links(&p).await?, links(&q).await?), (vec![other.pid()], vec![]));
            other.end(reason(1));
            assert_eq!(p.log_of(2).await?[1], exit(&other, reason(1)), "{kind:?}: another link was lost");
        }
        Ok(())
    });
}

async fn children_leave_no_links(me: Process<()>, children: usize) -> Result<()> {
    let _ = me;
    for kind in KINDS {
        let (t, stays) = (kind.spawn_trapping().await?, kind.spawn());
        t.link(&stays).await?;
        let before = info(&t).await?;
        assert_eq!(before.links, [stays.pid()]);
        for n in 0..children {
            let c = t.act(move |me| kind.spawn_link(me)).await?;
            let both = links(&t).await?;
            assert!(both.len() == 2 && both.contains(&c.pid()) && both.contains(&stays.pid()), "{both:?}");
            assert_eq!(links(&c).await?, [t.pid()]);
            c.end(reason(n as u32));
            assert_eq!(t.log_of(n + 1).await?[n], exit(&c, reason(n as u32)), "{kind:?}");
            assert_eq!(links(&t).await?, [stays.pid()], "{kind:?}");
        }
        assert_eq!(info(&t).await?.links, before.links);
        assert_eq!(links(&stays).await?, [t.pid()]);
    }
    Ok(())
}

/// LINK-08.
#[test]
fn link_08_the_end_of_a_linked_child_removes_the_link_at_its_parent() {
    seeded(async |me: Process<()>| children_leave_no_links(me, 3).await);
    real(4, async |me: Process<()>| children_leave_no_links(me, 200).await);
}

/// LINK-08: what links take is given back when they go.
#[test]
fn link_08_links_that_are_gone_take_no_memory() {
    real(1, async |mut me: Process<()>| {
        me.trap_exits(true);
        let mut after = Vec::new();
        for _ in 0..3 {
            for n in 0..10_000 {
                let child = me.spawn_link(process(async move |_: Process<()>| Err(reason(n).into())));
                let exit = next_exit(&mut me).await?;
                assert_eq!((exit.from, exit.reason), (child.pid(), reason(n)));
            }
            let now = info(me.pid()).await?;
            assert_eq!(now.links, []);
            after.push(now.memory);
        }
        // What the first ten thousand needed at a time is enough for all that follow.
        assert!(after[2] <= after[0], "{after:?}");
        Ok(())
    });
}

/// Goal: an unlink guarantees silence from then on, whatever the other end does meanwhile.
/// Method: B ends while A unlinks and then, as one does, looks once for an `Exit` that had come before.
/// None may come later.
async fn silence_after_unlink(mut me: Process<usize>, repetitions: u32, of_b: Node) -> Result<()> {
    for n in 0..repetitions {
        let b = KINDS[n as usize % KINDS.len()].spawn_on(&of_b);
        let (to_test, to) = (me.address(), b.pid());
        let a = spawn_process(async move |mut me: Process<()>| {
            me.trap_exits(true);
            me.link(to);
            me.receive().await?;
            me.unlink(to);
            let _ = me.receive_info(Ok).timeout(Duration::ZERO).await;
            me.receive().await?;
            to_test.cast(drain(&mut me).await.len());
            Ok(())
        });
        let mut patience = Patience::default();
        while of_b.process_info(&b).await.is_none_or(|info| info.links.is_empty()) {
            patience.wait().await;
        }
        let watch = me.monitor(&b);
        if n % 2 == 0 {
            b.end(reason(n));
            for _ in 0..n % 8 / 2 {
                yield_now().await;
            }
            a.cast(());
        } else {
            a.cast(());
            b.end(reason(n));
        }
        end_of(&mut me, watch).await?;
        settle().await;
        a.cast(());
        assert_eq!(me.receive().await?, 0, "something came after the unlink");
    }
    Ok(())
}

#[test]
fn link_rule_an_unlink_guarantees_silence() {
    seeded(async |me: Process<usize>| silence_after_unlink(me, 10, node()).await);
    real(4, async |me: Process<usize>| silence_after_unlink(me, 500, node()).await);
}

/// The same between two nodes, where the unlink and the news of the end cross on the way.
#[test]
fn link_rule_an_unlink_guarantees_silence_across_nodes() {
    everywhere(async |_: Process<()>| {
        for wire in WIRES {
            let pair = Pair::start(wire).await?;
            let there = pair.there.clone();
            on(&pair.here, async move |me: Process<usize>| silence_after_unlink(me, 16, there).await).await?;
            pair.end().await;
        }
        Ok(())
    });
}

/// An `Exit` that is queued when the link is removed stays.
#[test]
fn link_rule_an_unlink_erases_nothing_that_is_queued() {
    everywhere(async |mut me: Process<Vec<Received<u8>>>| {
        let b = Kind::Straight.spawn();
        let (to_test, of_b) = (me.address(), b.pid());
        let a = spawn_process(async move |mut me: Process<u8>| {
            me.trap_exits(true);
            me.link(of_b);
            me.receive_match(|n| *n == 2).await?;
            me.unlink(of_b);
            to_test.cast(drain(&mut me).await);
            Ok(())
        });
        let mut patience = Patience::default();
        while info(&b).await?.links.is_empty() {
            patience.wait().await;
        }
        a.cast(1);
        b.end(reason(1));
        // The link goes when the signal is received; from then on the `Exit` is in the mailbox.
        while !info(&a).await?.links.is_empty() {
            patience.wait().await;
        }
        a.cast(3);
        a.cast(2);
        let queued = Received::Info(Info::Exit(Exit { from: b.pid(), reason: reason(1) }));
        assert_eq!(me.receive().await?, [Received::Message(1), queued, Received::Message(3)]);
        Ok(())
    });
}

/// Both ends link at the same time: it is one link all the same.
#[test]
fn link_rule_two_that_link_at_once_have_one_link() {
    everywhere(async |_: Process<()>| {
        for kind in KINDS {
            for _ in 0..5 {
                let (a, b) = (kind.spawn_trapping().await?, kind.spawn());
                let (to_a, to_b) = (a.pid(), b.pid());
                a.tell(move |me| me.link(to_b));
                b.tell(move |me| me.link(to_a));
                a.reach(&b).await?;
                b.reach(&a).await?;
                assert_eq!((links(&a).await?, links(&b).await?), (vec![b.pid()], vec![a.pid()]));
                b.end(reason(1));
                assert_eq!(a.log_of(1).await?, [exit(&b, reason(1))], "{kind:?}");
                settle().await;
                assert_eq!(a.log().await?.len(), 1, "{kind:?}: told more than once");
            }
        }
        Ok(())
    });
}

/// What has each of two processes do `acts` links and unlinks with the other, in an order drawn at random.
fn link_and_unlink_at_random(a: &Puppet, b: &Puppet, acts: usize) {
    for _ in 0..acts {
        let random = node().runtime().random();
        let (who, to) = if random & 1 == 0 { (a, b.pid()) } else { (b, a.pid()) };
        if random & 2 == 0 {
            who.tell(move |me| me.link(to));
        } else {
            who.tell(move |me| me.unlink(to));
        }
    }
}

/// Goal: whatever two processes link and unlink at the same time, they agree in the end on whether they are
/// linked, and what they believe is what happens.
/// Method: random links and unlinks of both; when all signals have arrived, both have each other or neither
/// has, and the end of one is told to the other accordingly.
#[test]
fn link_rule_both_ends_agree_whatever_they_do_at_once() {
    everywhere(async |mut me: Process<()>| {
        for n in 0..30 {
            let kind = KINDS[n % KINDS.len()];
            let (a, b) = (kind.spawn_trapping().await?, kind.spawn_trapping().await?);
            link_and_unlink_at_random(&a, &b, 12);
            // Whatever one of them answers to what the other has sent, and the answer to that, has come, too.
            for _ in 0..3 {
                a.reach(&b).await?;
                b.reach(&a).await?;
            }
            let (of_a, of_b) = (links(&a).await?, links(&b).await?);
            let linked = of_a == [b.pid()];
            assert!(linked || of_a.is_empty(), "{of_a:?}");
            assert_eq!(of_b == [a.pid()], linked, "they do not agree: A has {of_a:?}, B has {of_b:?}");
            let watch = me.monitor(&a);
            a.end(reason(1));
            end_of(&mut me, watch).await?;
            if linked {
                assert_eq!(b.log_of(1).await?, [exit(&a, reason(1))]);
            } else {
                settle().await;
                b.note(1);
                assert_eq!(b.log().await?, [Got::Note(1)]);
            }
        }
        Ok(())
    });
}

/// The same between two nodes, where signals of both cross on the way.
#[test]
fn link_rule_both_ends_agree_across_nodes() {
    seeded(async |_: Process<()>| {
        for wire in WIRES {
            let pair = Pair::start(wire).await?;
            for n in 0..20 {
                let kind = KINDS[n % KINDS.len()];
                let (a, b) = (kind.spawn_on(&pair.here), kind.spawn_on(&pair.there));
                a.trap(true).await?;
                b.trap(true).await?;
                link_and_unlink_at_random(&a, &b, 12);
                settle().await;
                let of_a = pair.here.process_info(&a).await.map(|info| info.links);
                let of_b = pair.there.process_info(&b).await.map(|info| info.links);
                let linked = of_a == Some(vec![b.pid()]);
                assert!(linked || of_a == Some(vec![]), "{of_a:?}");
                let expected = if linked { vec![a.pid()] } else { vec![] };
                assert_eq!(of_b, Some(expected), "{wire:?}: they do not agree: A has {of_a:?}");
                a.end(reason(1));
                settle().await;
                let expected = if linked { vec![exit(&a, reason(1))] } else { vec![] };
                assert_eq!(b.log().await?, expected, "{wire:?}");
            }
            pair.end().await;
        }
        Ok(())
    });
}

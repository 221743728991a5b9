//! What is postponed where the mailbox has a limit, and what is left at the end.

use biotope::prelude::*;
use biotope::{Bounded, DeadLetter, Overflow};

use crate::probe::{Ask, At, Log, everywhere, go, probe, settled};

fn limited(log: &Log, overflow: Overflow) -> ActorRef<crate::probe::Probe> {
    spawn(options(probe(log)).mailbox(Bounded::to(2).or(overflow)))
}

#[test]
fn sm_02_what_is_postponed_leaves_room_for_the_event_that_changes_the_state() {
    everywhere("sm_02_what_is_postponed_leaves_room_for_the_event_that_changes_the_state", async || {
        let log = Log::default();
        let machine = limited(&log, Overflow::Suspend);
        machine.cast(Ask::Work("p1"));
        machine.cast(Ask::Work("p2"));
        settled(&machine).await?;
        go(&machine, At::B);
        settled(&machine).await?;
        assert_eq!(log.take(), ["enter(A, A)", "enter(A, B)", "p1", "p2"]);
        Ok(())
    });
}

#[test]
fn sm_02_more_than_the_limit_is_not_postponed_and_its_caller_is_told() {
    everywhere("sm_02_more_than_the_limit_is_not_postponed_and_its_caller_is_told", async || {
        for (overflow, dead, left) in [
            (Overflow::Suspend, DeadLetter::Full, ["p1", "p2"]),
            (Overflow::Reject, DeadLetter::Full, ["p1", "p2"]),
            (Overflow::DropNewest, DeadLetter::Dropped, ["p1", "p2"]),
            (Overflow::DropOldest, DeadLetter::Dropped, ["p2", "served"]),
        ] {
            let log = Log::default();
            let machine = limited(&log, overflow);
            let before = node().dead_letters_of(dead);
            for work in ["p1", "p2"] {
                machine.cast(Ask::Work(work));
                settled(&machine).await?;
            }
            let call = Call::new(&machine, |reply| Ask::Serve("served", reply)).send();
            settled(&machine).await?;
            go(&machine, At::C(1));
            match overflow {
                Overflow::DropOldest => assert_eq!(call.await?, At::C(1)),
                _ => assert_eq!(call.await, Err(CallFailed::Full)),
            }
            settled(&machine).await?;
            assert_eq!(log.take()[2..], left, "{overflow:?}");
            assert_eq!(node().dead_letters_of(dead) - before, 1, "{overflow:?}");
        }
        Ok(())
    });
}

#[test]
fn sm_02_what_is_postponed_at_the_end_is_a_dead_letter() {
    everywhere("sm_02_what_is_postponed_at_the_end_is_a_dead_letter", async || {
        let log = Log::default();
        let machine = spawn(probe(&log));
        let before = node().dead_letters_of(DeadLetter::Stopped);
        machine.cast(Ask::Work("p"));
        let call = Call::new(&machine, |reply| Ask::Serve("served", reply)).send();
        assert_eq!(machine.stop_and_wait(ExitReason::Normal).await, ExitReason::Normal);
        assert_eq!(call.await, Err(CallFailed::Died(ExitReason::Normal)));
        assert_eq!(node().dead_letters_of(DeadLetter::Stopped) - before, 2);
        Ok(())
    });
}

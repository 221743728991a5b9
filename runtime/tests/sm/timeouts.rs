//! Timeouts of states, of events, and with names: all in virtual time.

use biotope::prelude::*;

use crate::probe::{Ask, At, Log, go, probe, seeded, settled, tell};

/// What has been logged, with when it was: `100 fired`.
fn timed(log: &Log, begin: std::time::Instant) -> impl Fn(&'static str) -> Ask + Clone + Send + use<> {
    let log = log.clone();
    move |what| {
        let log = log.clone();
        Ask::Do(Box::new(move |_, _| log.push(format!("{} {what}", (time::now() - begin).as_millis()))))
    }
}

/// A machine, without what it logs when it enters; and what notes when it happens.
fn machine() -> (ActorRef<crate::probe::Probe>, Log, impl Fn(&'static str) -> Ask + Clone + Send + use<>) {
    let (log, quiet) = (Log::default(), Log::default());
    let note = timed(&log, time::now());
    (spawn(probe(&quiet)), log, note)
}

#[test]
fn sm_05_a_state_has_its_time() {
    seeded("sm_05_a_state_has_its_time", async || {
        // It stays.
        let (machine, log, note) = machine();
        let fires = note.clone();
        tell(&machine, move |_, cx| {
            cx.goto(At::B);
            cx.state_timeout(millis(100), move |me| me.cast(fires("fired")));
        });
        time::sleep(secs(1)).await;
        assert_eq!(log.take(), ["100 fired"]);

        // It leaves.
        let (machine, log, note) = self::machine();
        let fires = note.clone();
        tell(&machine, move |_, cx| {
            cx.goto(At::B);
            cx.state_timeout(millis(100), move |me| me.cast(fires("fired")));
        });
        time::sleep(millis(50)).await;
        go(&machine, At::A);
        time::sleep(secs(1)).await;
        assert_eq!(log.take(), [""; 0]);

        // It is set again.
        let (machine, log, note) = self::machine();
        let (first, second) = (note.clone(), note);
        tell(&machine, move |_, cx| {
            cx.goto(At::B);
            cx.state_timeout(millis(100), move |me| me.cast(first("first")));
        });
        time::sleep(millis(50)).await;
        tell(&machine, move |_, cx| cx.state_timeout(millis(100), move |me| me.cast(second("second"))));
        time::sleep(secs(1)).await;
        assert_eq!(log.take(), ["150 second"]);
        Ok(())
    });
}

#[test]
fn sm_05_an_entry_sets_it_and_what_the_handler_set_before_does_not_count() {
    seeded("sm_05_an_entry_sets_it", async || {
        let log = Log::default();
        let (begin, entered) = (time::now(), log.clone());
        let machine = spawn(probe(&Log::default()).entering(move |cx| {
            let note = timed(&entered, begin);
            if *cx.state() == At::B {
                cx.state_timeout(begin + millis(70), move |me| me.cast(note("entered")));
            }
        }));
        let note = timed(&log, begin);
        tell(&machine, move |_, cx| {
            cx.state_timeout(millis(30), move |me| me.cast(note("handler")));
            cx.goto(At::B);
        });
        time::sleep(secs(1)).await;
        assert_eq!(log.take(), ["70 entered"]);
        Ok(())
    });
}

#[test]
fn sm_05_never_is_a_time_too() {
    seeded("sm_05_never_is_a_time_too", async || {
        let (machine, log, note) = machine();
        let first = note.clone();
        tell(&machine, move |_, cx| cx.state_timeout(millis(10), move |me| me.cast(first("first"))));
        tell(&machine, move |_, cx| cx.state_timeout(Duration::MAX, move |me| me.cast(note("never"))));
        time::sleep(secs(4_000_000_000)).await;
        assert_eq!(log.take(), [""; 0]);
        settled(&machine).await
    });
}

#[test]
fn sm_03_a_state_that_is_no_change_keeps_its_time() {
    seeded("sm_03_a_state_that_is_no_change_keeps_its_time", async || {
        let (machine, log, note) = machine();
        tell(&machine, move |_, cx| cx.state_timeout(millis(100), move |me| me.cast(note("fired"))));
        time::sleep(millis(50)).await;
        go(&machine, At::A);
        tell(&machine, |_, cx| cx.repeat());
        time::sleep(secs(1)).await;
        assert_eq!(log.take(), ["100 fired"]);
        Ok(())
    });
}

#[test]
fn sm_06_any_event_ends_the_wait_for_events() {
    seeded("sm_06_any_event_ends_the_wait_for_events", async || {
        for breaks in ["nothing", "note", "postponed", "inserted", "info"] {
            let (machine, log, note) = machine();
            let fires = note.clone();
            tell(&machine, move |_, cx| {
                cx.event_timeout(millis(60), move |me| me.cast(fires("fired")));
                if breaks == "inserted" {
                    cx.then(|me| me.cast(Ask::Work("inserted")));
                }
                if breaks == "info" {
                    let other = cx.spawn(process(async |_me: Process<()>| {
                        time::sleep(millis(30)).await;
                        Ok(())
                    }));
                    cx.monitor(other.pid());
                }
            });
            time::sleep(millis(30)).await;
            match breaks {
                "note" => machine.cast(Ask::Note("note")),
                "postponed" => machine.cast(Ask::Work("postponed")),
                _ => {}
            }
            time::sleep(secs(1)).await;
            let expected: &[&str] = if breaks == "nothing" { &["60 fired"] } else { &[] };
            assert_eq!(log.take(), expected, "{breaks}");
        }
        Ok(())
    });
}

#[test]
fn sm_06_a_zero_wait_for_events_is_ended_by_what_waits_ahead() {
    seeded("sm_06_a_zero_wait_for_events_is_ended_by_what_waits_ahead", async || {
        let log = Log::default();
        let machine = spawn(probe(&log));
        tell(&machine, |_, cx| {
            cx.myself().cast(Ask::Note("new"));
            cx.event_timeout(Duration::ZERO, |me| me.cast(Ask::Note("zero")));
        });
        settled(&machine).await?;
        assert_eq!(log.take(), ["enter(A, A)", "zero", "new"]);
        tell(&machine, |_, cx| {
            cx.event_timeout(Duration::ZERO, |me| me.cast(Ask::Note("zero")));
            cx.then(|me| me.cast(Ask::Note("inserted")));
        });
        settled(&machine).await?;
        assert_eq!(log.take(), ["inserted"]);
        Ok(())
    });
}

#[test]
fn sm_07_a_name_has_its_time_in_whatever_state() {
    seeded("sm_07_a_name_has_its_time_in_whatever_state", async || {
        let run = async |is_cancelled: bool| -> biotope::Result<Vec<String>> {
            let (machine, log, note) = machine();
            let (x, y, again) = (note.clone(), note.clone(), note);
            tell(&machine, move |_, cx| {
                cx.timeout("x", millis(60), move |me| me.cast(x("x")));
                cx.timeout("y", millis(200), move |me| me.cast(y("y")));
            });
            go(&machine, At::B);
            time::sleep(millis(30)).await;
            go(&machine, At::C(0));
            tell(&machine, move |_, cx| {
                cx.timeout("y".to_owned(), millis(100), move |me| me.cast(again("y again")));
                if is_cancelled {
                    cx.cancel_timeout("x");
                }
            });
            time::sleep(secs(1)).await;
            Ok(log.take())
        };
        assert_eq!(run(false).await?, ["60 x", "130 y again"]);
        assert_eq!(run(true).await?, ["130 y again"]);
        Ok(())
    });
}

#[test]
fn sm_12_the_last_setting_of_one_kind_wins() {
    seeded("sm_12_the_last_setting_of_one_kind_wins", async || {
        let (machine, log, note) = machine();
        let (one, two, three, four) = (note.clone(), note.clone(), note.clone(), note);
        tell(&machine, move |_, cx| {
            cx.state_timeout(millis(60), move |me| me.cast(one("one")));
            cx.state_timeout(millis(30), move |me| me.cast(two("two")));
            cx.timeout("n", Duration::ZERO, move |me| me.cast(three("three")));
            cx.timeout("n", millis(10), move |me| me.cast(four("four")));
        });
        time::sleep(secs(1)).await;
        assert_eq!(log.take(), ["10 four", "30 two"]);
        Ok(())
    });
}

/// Goal: what a timer has said already is not heard if it was cancelled meanwhile.
/// Method: the machine is busy when the timers fire, and then takes them back before it comes to what they said.
#[test]
fn sm_07_what_a_timer_said_before_it_was_cancelled_is_not_heard() {
    seeded("sm_07_what_a_timer_said_before_it_was_cancelled_is_not_heard", async || {
        let (machine, log, note) = machine();
        let (state, named, kept) = (note.clone(), note.clone(), note);
        tell(&machine, move |_, cx| {
            cx.state_timeout(millis(10), move |me| me.cast(state("state")));
            cx.timeout("x", millis(10), move |me| me.cast(named("x")));
            cx.timeout("y", millis(10), move |me| me.cast(kept("y")));
        });
        machine.cast(Ask::Slowly(
            millis(50),
            Box::new(|_, cx| {
                cx.goto(At::B);
                cx.cancel_timeout("x");
            }),
        ));
        time::sleep(secs(1)).await;
        assert_eq!(log.take(), ["50 y"]);
        Ok(())
    });
}

/// As before, and the machine sets the timeouts again, so that there are such as the timers spoke of.
#[test]
fn sm_12_what_a_timer_said_before_it_was_set_again_is_not_heard() {
    seeded("sm_12_what_a_timer_said_before_it_was_set_again_is_not_heard", async || {
        let (machine, log, note) = machine();
        let (state, named, later, never) = (note.clone(), note.clone(), note.clone(), note);
        tell(&machine, move |_, cx| {
            cx.state_timeout(millis(10), move |me| me.cast(state("state")));
            cx.timeout("x", millis(10), move |me| me.cast(named("x")));
        });
        machine.cast(Ask::Slowly(
            millis(50),
            Box::new(move |_, cx| {
                cx.state_timeout(millis(30), move |me| me.cast(later("state later")));
                cx.timeout("x", Duration::MAX, move |me| me.cast(never("x never")));
            }),
        ));
        time::sleep(secs(1)).await;
        assert_eq!(log.take(), ["80 state later"]);
        Ok(())
    });
}

/// What a handler set is not there before the state is entered: that may take it back.
#[test]
fn sm_05_an_entry_takes_back_what_the_handler_set() {
    seeded("sm_05_an_entry_takes_back_what_the_handler_set", async || {
        let log = Log::default();
        let machine = spawn(probe(&log).entering(Entering::cancel_state_timeout));
        tell(&machine, |_, cx| {
            cx.state_timeout(Duration::ZERO, |me| me.cast(Ask::Note("never")));
            cx.goto(At::B);
        });
        settled(&machine).await?;
        assert_eq!(log.take(), ["enter(A, A)", "enter(A, B)"]);
        Ok(())
    });
}

/// A suspended machine hears of its timeouts when it goes on, in their place among its messages.
#[test]
fn sm_05_a_suspended_machine_hears_of_its_time_when_it_goes_on() {
    seeded("sm_05_a_suspended_machine_hears_of_its_time_when_it_goes_on", async || {
        let (machine, log, note) = machine();
        let (fires, sooner) = (note.clone(), note);
        tell(&machine, move |_, cx| cx.timeout("x", millis(20), move |me| me.cast(fires("fired"))));
        settled(&machine).await?;
        node().suspend(&machine);
        machine.cast(sooner("sooner"));
        time::sleep(millis(100)).await;
        assert_eq!(log.take(), [""; 0]);
        node().resume(&machine);
        settled(&machine).await?;
        assert_eq!(log.take(), ["100 sooner", "100 fired"]);
        Ok(())
    });
}

/// A machine that hibernates keeps its timeouts, and is woken by them.
#[test]
fn sm_05_a_timeout_ends_hibernation() {
    seeded("sm_05_a_timeout_ends_hibernation", async || {
        let (machine, log, note) = machine();
        tell(&machine, move |_, cx| {
            cx.state_timeout(millis(20), move |me| me.cast(note("fired")));
            cx.hibernate();
        });
        time::sleep(millis(10)).await;
        let status = node().peek(machine.pid()).map(|info| info.status);
        assert_eq!(status, Some(biotope::Status::Hibernating));
        time::sleep(secs(1)).await;
        assert_eq!(log.take(), ["20 fired"]);
        Ok(())
    });
}

/// Many timeouts at once, some of them taken back.
#[test]
fn sm_07_many_names_have_their_times() {
    biotope::test::under_seeds("sm_07_many_names_have_their_times", 20, async || {
        let log = Log::default();
        let machine = spawn(probe(&Log::default()));
        let fires = log.clone();
        tell(&machine, move |_, cx| {
            for number in 0..2_000_u64 {
                let fires = fires.clone();
                cx.timeout(number.to_string(), millis(1 + number % 50), move |me| {
                    me.cast(Ask::Do(Box::new(move |_, _| fires.push(number.to_string()))));
                });
            }
        });
        tell(&machine, |_, cx| (0..2_000).step_by(2).for_each(|number| cx.cancel_timeout(number.to_string())));
        time::sleep(secs(1)).await;
        let mut fired: Vec<u64> = log.take().iter().filter_map(|number| number.parse().ok()).collect();
        fired.sort_unstable();
        assert_eq!(fired, (1..2_000).step_by(2).collect::<Vec<_>>());
        Ok::<(), biotope::Error>(())
    });
}

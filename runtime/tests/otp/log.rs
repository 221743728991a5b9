//! Area LOG: what is said of a crash, and of what ends is nothing said. What of it comes into the log is in `tests/logs.rs`.

use std::sync::Arc;

use biotope_runtime::{
    Actor, ActorRef, Address, Call, CallFailed, Context, CrashReport, CrashReports, ExitReason, Exited, Handle,
    Options, Process, ReplyTo, Result, Status, Traced, node, options, process, spawn, spawn_process, yield_now,
};

use crate::acts::{down, end_of};
use crate::runs::{alone, everywhere, real};

/// Ends in the way that it is asked to, and says `before` as long as nothing has changed its state.
struct Fragile(&'static str);

enum Way {
    /// By a panic, in a call.
    Panic(ReplyTo<u64>),
    /// The same, after it has awaited something.
    PanicLater(ReplyTo<u64>),
    /// By choice, in the middle of the handler, with a message to itself that it does not handle.
    Choose(ExitReason),
    /// By choice, after the handler.
    Stop(ExitReason),
    /// Not at all.
    Note,
}

type MakeWay = fn(ReplyTo<u64>) -> Way;

impl Actor for Fragile {
    type Msg = Way;
    type Client = Address<Way>;
    const NAME: &'static str = "Fragile";
    const OPTIONS: Options = Options { trap_exit: true, ..Options::DEFAULT };
    const HANDLERS: &'static [&'static str] = &["panic", "panic_later", "choose", "stop", "note"];

    fn handler_of(way: &Way) -> u32 {
        match way {
            Way::Panic(_) => 0,
            Way::PanicLater(_) => 1,
            Way::Choose(_) => 2,
            Way::Stop(_) => 3,
            Way::Note => 4,
        }
    }
}

impl Handle for Fragile {
    async fn handle(&mut self, way: Way, cx: &mut Context<Self>) {
        match way {
            Way::Panic(_reply) => {
                self.0 = "after";
                panic!("in a call");
            }
            Way::PanicLater(reply) => {
                yield_now().await;
                assert!(reply.is_abandoned(), "in a call");
            }
            Way::Choose(reason) => {
                cx.put("kept by itself");
                (0..20).for_each(|_| cx.myself().cast(Way::Note));
                cx.exit_now(reason);
            }
            Way::Stop(reason) => cx.stop(reason),
            Way::Note => {}
        }
    }

    fn show_state(&self) -> Option<String> {
        Some(self.0.to_owned())
    }
}

fn fragile() -> ActorRef<Fragile> {
    spawn(Fragile("before"))
}

async fn next(reports: &mut CrashReports) -> Arc<CrashReport> {
    reports.next().await.expect("the node lives")
}

// ---- LOG-01

/// The report that comes first is the one of the crash that comes last.
#[test]
fn log_01_who_ends_quietly_leaves_no_report() {
    everywhere(async |mut me: Process<()>| {
        me.trap_exits(true);
        let mut reports = node().crash_reports();
        for reason in [ExitReason::Normal, ExitReason::Shutdown, ExitReason::ShutdownWith("enough".into())] {
            for way in [Way::Choose(reason.clone()), Way::Stop(reason.clone())] {
                let server = me.spawn_link(Fragile("before"));
                let monitor = me.monitor(&server);
                server.cast(way);
                assert_eq!(down(&mut me, monitor).await?.reason, reason);
            }
            let ends = reason.clone();
            let code = me.spawn_link(process(async |_: Process<()>| Err(Exited(ends).into())));
            let ended = end_of(&mut me, code.pid()).await?;
            assert!(ended == reason || ended == ExitReason::NoProc, "{ended}");
        }
        assert_eq!(node().stats().crashed, 0);
        let crashes = fragile();
        crashes.cast(Way::Choose(ExitReason::value("boom")));
        assert_eq!(next(&mut reports).await.pid, crashes.pid());
        Ok(())
    });
}

// ---- LOG-02

#[test]
fn log_02_a_report_says_what_ended_and_what_it_was_tied_to() {
    everywhere(async |mut me: Process<ActorRef<Fragile>>| {
        let mut reports = node().crash_reports();
        let (here, friend) = (me.address(), me.pid());
        let parent = spawn_process(async move |mut me: Process<()>| {
            here.cast(me.spawn(options(Fragile("before")).label("thin")));
            Ok(me.receive().await?)
        });
        let server = me.receive().await?;
        me.trap_exits(true);
        me.link(&server);
        node().register("fragile", &server)?;
        server.cast(Way::Choose(ExitReason::value("boom")));
        let report = next(&mut reports).await;
        assert_eq!((report.actor, report.pid, report.node.as_ref()), ("Fragile", server.pid(), "test"));
        assert_eq!((report.name.as_deref(), report.label.as_deref()), (Some("fragile"), Some("thin")));
        assert_eq!(report.reason, ExitReason::value("boom"));
        assert_eq!((report.handler, report.client), (Some("choose"), None));
        assert_eq!(report.state.as_deref(), Some("before"));
        assert_eq!(report.parent, Some(parent.pid()));
        assert_eq!(report.ancestors[..2], [parent.pid(), me.pid()], "nearest first");
        assert_eq!((report.mailbox_len, &report.messages[..]), (20, &["note"; 16][..]));
        assert_eq!(report.links, [friend]);
        assert_eq!(report.dictionary, ["\"kept by itself\""]);
        assert!(report.trap_exit && report.status == Status::Running);
        assert!(report.reductions > 0 && report.memory > 0 && report.allocated.is_none() && report.events.is_empty());
        // It is one text, for people.
        let text = report.to_string();
        let pid = server.pid().to_string();
        let under = format!("{}, under [", parent.pid());
        for part in ["Fragile \"fragile\"", &pid, "reason      \"boom\"", "handler     choose", &under, ", note, …"] {
            assert!(text.contains(part), "`{part}` is missing in: {text}");
        }
        Ok(())
    });
}

/// What it waits for when it is ended from outside is what it was doing; one that awaits does not show its state, which its
/// handler is using.
#[test]
fn log_02_who_is_ended_from_outside_says_what_it_waited_for() {
    everywhere(async |_: Process<()>| {
        let mut reports = node().crash_reports();
        let server = fragile();
        server.with_state(|_| ()).await?;
        node().exit(&server, ExitReason::Kill);
        let report = next(&mut reports).await;
        assert_eq!((report.reason.clone(), report.handler), (ExitReason::Killed, None));
        assert_eq!((report.status, report.state.as_deref()), (Status::Waiting, Some("before")));
        let (begun, is_begun) = tokio::sync::oneshot::channel();
        let awaits = spawn_process(async move |_: Process<()>| {
            let _ = begun.send(());
            std::future::pending().await
        });
        is_begun.await?;
        // It is asked behind its first turn.
        node().process_info(&awaits).await;
        node().exit(&awaits, ExitReason::Kill);
        let report = next(&mut reports).await;
        assert_eq!((report.status, report.state.as_deref()), (Status::Awaiting, None));
        Ok(())
    });
}

// ---- LOG-03

/// Whichever way the reply was to come, and whether the handler had awaited before.
#[test]
fn log_03_a_report_of_a_server_names_the_handler_the_client_and_the_state() {
    everywhere(async |me: Process<()>| {
        let mut reports = node().crash_reports();
        let ways: [(MakeWay, &str, &str); 2] =
            [(Way::Panic, "panic", "after"), (Way::PanicLater, "panic_later", "before")];
        for (way, handler, state) in ways {
            for in_flight in 0..2 {
                // Another call that this process awaits has its word: then a reply has a place of its own.
                let other = fragile();
                let others: Vec<_> =
                    (0..in_flight).map(|_| Call::new(other.address(), Way::PanicLater).send()).collect();
                let server = fragile();
                node().keep_events(&server, 4);
                let failed = Call::new(server.address(), way).await;
                assert!(matches!(failed, Err(CallFailed::Died(ExitReason::Panic(_)))), "{failed:?}");
                let mut report = next(&mut reports).await;
                while report.pid != server.pid() {
                    report = next(&mut reports).await;
                }
                assert_eq!((report.handler, report.client), (Some(handler), Some(me.pid())));
                assert_eq!(report.state.as_deref(), Some(state), "as the handler has left it");
                let ExitReason::Panic(panic) = &report.reason else { panic!("{}", report.reason) };
                assert!(panic.location.as_ref().is_some_and(|place| place.contains("log.rs")), "{:?}", panic.location);
                let events: Vec<Traced> = report.events.iter().map(|event| event.what.clone()).collect();
                assert_eq!(events, [Traced::Received(handler)]);
                drop(others);
            }
        }
        assert!(node().stats().crashed >= 4);
        Ok(())
    });
}

/// Another's reply, and a call that was not sent, are dropped by the panic before the reply of its handler.
#[test]
fn log_03_the_client_is_that_of_the_handler_whatever_else_it_holds() {
    everywhere(async |me: Process<()>| {
        let mut reports = node().crash_reports();
        let holder = spawn_process(async |mut me: Process<ReplyTo<()>>| {
            let kept = me.receive().await?;
            let asked = me.receive().await?;
            let myself = me.address();
            let _unsent = Call::new(&myself, |reply| reply);
            let _kept = kept;
            let _asked = &asked;
            panic!("holds much");
        });
        let kept = holder.clone();
        let other = spawn_process(async move |_: Process<()>| {
            let _ = Call::new(&kept, |reply| reply).await;
            Ok(())
        });
        while node().process_info(&other).await.is_some_and(|info| info.status != Status::Awaiting) {
            yield_now().await;
        }
        let failed = Call::new(&holder, |reply| reply).await;
        assert!(matches!(failed, Err(CallFailed::Died(_))), "{failed:?}");
        assert_eq!(next(&mut reports).await.client, Some(me.pid()));
        Ok(())
    });
}

/// A stop with a reason out of order is a crash as well, and nobody's call.
#[test]
fn log_03_a_handler_that_stops_its_server_is_named() {
    everywhere(async |_: Process<()>| {
        let mut reports = node().crash_reports();
        let server = fragile();
        server.cast(Way::Stop(ExitReason::value("no more")));
        let report = next(&mut reports).await;
        assert_eq!((report.handler, report.client), (Some("stop"), None));
        Ok(())
    });
}

// ---- LOG-06

/// In an OS process of its own: whether stacks are kept is a matter of the environment.
#[test]
fn log_06_a_panic_has_a_place_and_a_trace_and_what_is_chosen_has_none() {
    alone(
        "log::log_06_a_panic_has_a_place_and_a_trace_and_what_is_chosen_has_none",
        &[("RUST_BACKTRACE", "1")],
        || {
            real(1, async |_: Process<()>| {
                let mut reports = node().crash_reports();
                spawn_process(async |_: Process<()>| panic!("p"));
                let report = next(&mut reports).await;
                let ExitReason::Panic(panic) = &report.reason else { panic!("{}", report.reason) };
                assert_eq!(panic.message, "p");
                let place = panic.location.as_deref().expect("a panic has a place");
                let trace = panic.backtrace.as_deref().expect("it was asked for");
                assert!(place.contains("log.rs:") && trace.contains("log_06_a_panic"), "{place}\n{trace}");
                assert!(report.to_string().contains(trace));

                fragile().cast(Way::Choose(ExitReason::value("boom")));
                let report = next(&mut reports).await;
                assert_eq!(report.reason, ExitReason::value("boom"));
                assert!(!report.to_string().contains("log.rs"), "{report}");
                Ok(())
            });
        },
    );
}

/// An error that carries a reason ends with that; any other is the reason itself.
#[test]
fn log_06_an_error_of_the_body_is_its_own_reason() {
    everywhere(async |_: Process<()>| {
        let mut reports = node().crash_reports();
        spawn_process(async |_: Process<()>| {
            "no number".parse::<u64>()?;
            Ok(())
        });
        let report = next(&mut reports).await;
        let ExitReason::Error(error) = &report.reason else { panic!("{}", report.reason) };
        assert_eq!(error.to_string(), "invalid digit found in string");
        spawn_process(async |_: Process<()>| -> Result<()> {
            Err(Exited(ExitReason::value(7)))?;
            Ok(())
        });
        assert_eq!(next(&mut reports).await.reason, ExitReason::value(7));
        Ok(())
    });
}

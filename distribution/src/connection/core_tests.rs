//! One core alone, in virtual time. What two cores make of each other is in `core_pair_tests.rs`.

use std::time::Duration;

use super::*;

const C1: ConnectionId = ConnectionId(1);
const C2: ConnectionId = ConnectionId(2);

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A core in virtual time, with what it wants done.
struct Bench {
    core: Core,
    now: Instant,
    out: Vec<Action>,
}

impl Bench {
    fn new(name: &str) -> Bench {
        Bench::with(name, Limits::default())
    }

    fn with(name: &str, limits: Limits) -> Bench {
        let me = Me { cluster: "shop".into(), node: name.into(), incarnation: 7 };
        Bench { core: Core::new(me, limits), now: Instant::now(), out: Vec::new() }
    }

    /// A peer with a greater name has connected: this node chooses.
    fn connected(&mut self, id: ConnectionId, peer: &str) {
        self.core.on_connected(id, peer.into(), None, self.now, &mut self.out);
    }

    fn hello(&mut self, id: ConnectionId, hello: Hello) -> Vec<Action> {
        self.core.on_hello(id, hello, self.now, &mut self.out);
        self.done()
    }

    fn up(&mut self, id: ConnectionId, peer: &str) {
        self.connected(id, peer);
        let actions = self.hello(id, hello(peer));
        let up = actions.iter().any(|action| matches!(action, Action::Up { .. }));
        assert!(up, "{actions:?}");
    }

    fn done(&mut self) -> Vec<Action> {
        mem::take(&mut self.out)
    }

    /// Lets time pass, obeying each deadline on the way.
    fn pass(&mut self, time: Duration) -> Vec<Action> {
        let end = self.now + time;
        while let Some(at) = self.core.deadline().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.core.on_timeout(self.now, &mut self.out);
        }
        self.now = end;
        self.done()
    }
}

fn hello(node: &str) -> Hello {
    Hello {
        lowest_version: 1,
        highest_version: 1,
        cluster: "shop".into(),
        node: node.into(),
        incarnation: 3,
        proposal: 1,
        holding: 0,
        frame_limit: 1024,
    }
}

fn closes(actions: &[Action]) -> Vec<CloseCode> {
    let code = |action: &Action| match action {
        Action::Close { close, .. } => Some(close.code),
        _ => None,
    };
    actions.iter().filter_map(code).collect()
}

fn downs(actions: &[Action]) -> Vec<DownCause> {
    let cause = |action: &Action| match action {
        Action::Down { cause, .. } => Some(cause.clone()),
        _ => None,
    };
    actions.iter().filter_map(cause).collect()
}

fn beats(actions: &[Action]) -> Vec<u64> {
    let count = |action: &Action| match action {
        Action::Heartbeat { beat, .. } => Some(beat.count),
        _ => None,
    };
    actions.iter().filter_map(count).collect()
}

// ---- greeting

#[test]
fn the_smaller_name_welcomes_and_is_up() {
    let mut bench = Bench::new("a");
    bench.connected(C1, "b");
    assert!(matches!(bench.done()[..], [Action::Hello { on: C1, .. }]));

    let actions = bench.hello(C1, hello("b"));

    assert!(matches!(actions[..], [Action::Welcome { on: C1, epoch: 1 }, Action::Up { on: C1, .. }]), "{actions:?}");
}

#[test]
fn the_greater_name_is_up_only_with_the_welcome() {
    let mut bench = Bench::new("c");
    bench.connected(C1, "b");
    bench.done();
    assert_eq!(bench.hello(C1, hello("b")), []);

    bench.core.on_welcome(C1, 1, bench.now, &mut bench.out);

    assert!(matches!(bench.done()[..], [Action::Up { on: C1, .. }]));
}

#[test]
fn a_welcome_that_nobody_agreed_on_ends_the_connection() {
    for before_hello in [true, false] {
        let mut bench = Bench::new("c");
        bench.connected(C1, "b");
        if !before_hello {
            bench.hello(C1, hello("b"));
        }
        bench.core.on_welcome(C1, 2, bench.now, &mut bench.out);
        assert_eq!(closes(&bench.done()), [CloseCode::BadFrame]);
    }
}

#[test]
fn a_hello_that_never_comes_ends_the_connection_at_its_time() {
    let mut bench = Bench::new("a");
    bench.connected(C1, "b");
    bench.done();
    assert_eq!(bench.pass(secs(5) - Duration::from_nanos(1)), []);
    assert_eq!(closes(&bench.pass(Duration::from_nanos(1))), [CloseCode::HelloTimeout]);
    assert_eq!(bench.core.deadline(), None);
}

#[test]
fn a_hello_in_another_name_than_the_certificate_is_refused() {
    let mut bench = Bench::new("a");
    bench.connected(C1, "b");
    let actions = bench.hello(C1, hello("c"));
    assert_eq!(closes(&actions), [CloseCode::Refused]);
}

#[test]
fn a_second_hello_ends_the_connection() {
    let mut bench = Bench::new("a");
    bench.up(C1, "b");
    let actions = bench.hello(C1, hello("b"));
    assert_eq!(closes(&actions), [CloseCode::BadFrame]);
    assert_eq!(downs(&actions).len(), 1);
}

#[test]
fn a_second_connection_of_a_peer_that_is_up_is_a_duplicate() {
    let mut bench = Bench::new("a");
    bench.up(C1, "b");
    bench.connected(C2, "b");
    bench.done();
    // The peer wrote this hello before it had read the welcome, so it proposes the epoch that is up already.
    assert_eq!(closes(&bench.hello(C2, hello("b"))), [CloseCode::Duplicate]);
}

#[test]
fn a_peer_that_holds_the_association_and_dials_again_is_a_duplicate() {
    let mut bench = Bench::new("a");
    bench.up(C1, "b");
    bench.connected(C2, "b");
    let holding = Hello { proposal: 2, holding: 1, ..hello("b") };
    assert_eq!(closes(&bench.hello(C2, holding)), [CloseCode::Duplicate]);
}

#[test]
fn a_peer_that_has_lost_the_association_replaces_it() {
    let mut bench = Bench::new("a");
    bench.up(C1, "b");
    bench.connected(C2, "b");
    bench.done();
    let lost = Hello { proposal: 2, ..hello("b") };

    let actions = bench.hello(C2, lost);

    assert!(
        matches!(
            actions[..],
            [
                Action::Down { on: C1, cause: DownCause::Replaced { incarnation: 3 } },
                Action::Close { on: C1, .. },
                Action::Welcome { on: C2, epoch: 2 },
                Action::Up { on: C2, .. },
            ]
        ),
        "{actions:?}"
    );
}

#[test]
fn a_newer_incarnation_replaces_and_an_older_one_is_stale() {
    let mut bench = Bench::new("a");
    bench.up(C1, "b");
    bench.connected(C2, "b");
    bench.done();
    let newer = Hello { incarnation: 4, ..hello("b") };
    let actions = bench.hello(C2, newer);
    assert_eq!(downs(&actions), [DownCause::Replaced { incarnation: 4 }]);
    assert!(matches!(actions[..], [.., Action::Up { on: C2, .. }]));

    let third = ConnectionId(3);
    bench.connected(third, "b");
    assert_eq!(closes(&bench.hello(third, hello("b"))), [CloseCode::Stale]);
}

#[test]
fn the_epoch_grows_with_each_association_of_a_pair() {
    let mut bench = Bench::new("a");
    for round in 1..5 {
        let id = ConnectionId(u64::from(round));
        bench.connected(id, "b");
        let actions = bench.hello(id, hello("b"));
        assert!(actions.contains(&Action::Welcome { on: id, epoch: round }), "{actions:?}");
        let lost = Ended::Lost("cut".to_owned());
        bench.core.on_closed(id, lost, bench.now, &mut bench.out);
        assert_eq!(downs(&bench.done()), [DownCause::Closed("cut".to_owned())]);
    }
}

#[test]
fn a_peer_over_the_limit_is_told_that_the_node_is_busy() {
    let limits = Limits { peers: 1, ..Limits::default() };
    let mut bench = Bench::with("a", limits);
    bench.up(C1, "b");
    bench.connected(C2, "c");
    assert_eq!(closes(&bench.hello(C2, hello("c"))), [CloseCode::Busy]);
}

#[test]
fn absent_peers_are_forgotten_at_the_limit_and_present_ones_are_not() {
    let limits = Limits { remembered_peers: 2, ..Limits::default() };
    let mut bench = Bench::with("a", limits);
    bench.up(C1, "b");
    for (number, peer) in ["c", "d", "e"].into_iter().enumerate() {
        let id = ConnectionId(10 + number as u64);
        bench.up(id, peer);
        let lost = Ended::Lost(String::new());
        bench.core.on_closed(id, lost, bench.now, &mut bench.out);
    }
    assert!(bench.core.epochs.len() <= 3, "{:?}", bench.core.epochs);
    assert_eq!(bench.core.last_epoch(&"b".into()), 1);
}

// ---- silence

#[test]
fn heartbeats_go_out_at_once_and_then_at_their_interval() {
    let mut bench = Bench::new("a");
    bench.up(C1, "b");
    assert_eq!(beats(&bench.pass(Duration::ZERO)), [1]);
    for count in 2..20 {
        assert_eq!(beats(&bench.pass(secs(1))), [count]);
        let beat = Heartbeat { count, echo: count };
        bench.core.on_heartbeat(C1, beat, bench.now);
    }
}

#[test]
fn a_peer_that_says_nothing_is_down_after_the_bound_and_not_before() {
    let mut bench = Bench::new("a");
    bench.up(C1, "b");
    assert_eq!(downs(&bench.pass(secs(5) - Duration::from_nanos(1))), []);
    let actions = bench.pass(Duration::from_nanos(1));
    assert_eq!(downs(&actions), [DownCause::Silent]);
    assert_eq!(closes(&actions), [CloseCode::Silent]);
}

/// Goal: a cut of one direction is noticed by the side that still hears.
/// Method: the peer beats on time, but its echo stays where it was.
#[test]
fn a_peer_that_hears_nothing_is_down_although_it_is_heard() {
    let mut bench = Bench::new("a");
    bench.up(C1, "b");
    bench.pass(secs(1));
    bench.core.on_heartbeat(C1, Heartbeat { count: 1, echo: 1 }, bench.now);
    for count in 2..6 {
        assert_eq!(downs(&bench.pass(secs(1))), []);
        bench.core.on_heartbeat(C1, Heartbeat { count, echo: 1 }, bench.now);
        bench.core.on_heard(C1, bench.now);
    }
    assert_eq!(downs(&bench.pass(secs(1))), [DownCause::Silent]);
}

#[test]
fn an_echo_of_what_was_never_sent_proves_nothing() {
    let mut bench = Bench::new("a");
    bench.up(C1, "b");
    for count in 1..6 {
        bench.core.on_heartbeat(C1, Heartbeat { count, echo: 1000 + count }, bench.now);
        bench.pass(secs(1));
    }
    assert!(bench.core.associations.is_empty());
}

/// Goal: a node that did not run for a while does not take its own sleep for the silence of its peers.
/// Method: the first call after a minute comes late; the peer's beats, which lay unread, are read after it.
#[test]
fn a_node_that_was_paused_judges_silence_anew() {
    let mut bench = Bench::new("a");
    bench.up(C1, "b");
    bench.pass(secs(1));
    bench.now += secs(60);
    bench.core.on_timeout(bench.now, &mut bench.out);
    assert_eq!(downs(&bench.done()), []);

    bench.core.on_heartbeat(C1, Heartbeat { count: 60, echo: 2 }, bench.now);
    assert_eq!(downs(&bench.pass(secs(4))), []);
    // The peer is not forgiven for ever.
    assert_eq!(downs(&bench.pass(secs(1))), [DownCause::Silent]);
}

#[test]
fn a_peer_that_went_silent_on_us_reports_the_same_cause() {
    let mut bench = Bench::new("a");
    bench.up(C1, "b");
    let close = Close::new(CloseCode::Silent, "nothing was heard");
    bench.core.on_closed(C1, Ended::ByPeer(close), bench.now, &mut bench.out);
    assert_eq!(downs(&bench.done()), [DownCause::Silent]);
}

#[test]
fn a_late_peer_is_probed_and_a_punctual_one_is_not() {
    let mut bench = Bench::new("a");
    bench.up(C1, "b");
    let probes = |actions: &[Action]| actions.iter().filter(|action| matches!(action, Action::Probe { .. })).count();
    for count in 1..10 {
        assert_eq!(probes(&bench.pass(secs(1))), 0);
        bench.core.on_heartbeat(C1, Heartbeat { count, echo: count }, bench.now);
    }
    assert_eq!(probes(&bench.pass(Duration::from_millis(1_249))), 0);
    assert_eq!(probes(&bench.pass(Duration::from_millis(1))), 1);
    assert_eq!(probes(&bench.pass(Duration::from_millis(250))), 2);
}

#[test]
fn three_refusals_end_a_silent_association_and_a_sign_of_life_forgives_them() {
    let mut bench = Bench::new("a");
    bench.up(C1, "b");
    bench.pass(secs(1));
    // Not late yet: whatever was refused, it was not this peer.
    for _ in 0..5 {
        bench.core.on_refused(C1, bench.now, &mut bench.out);
    }
    bench.pass(Duration::from_millis(300));
    for _ in 0..2 {
        bench.core.on_refused(C1, bench.now, &mut bench.out);
    }
    assert_eq!(closes(&bench.done()), []);
    bench.core.on_heard(C1, bench.now);
    bench.pass(Duration::from_millis(1_300));
    for _ in 0..2 {
        bench.core.on_refused(C1, bench.now, &mut bench.out);
    }
    assert_eq!(closes(&bench.done()), []);
    bench.core.on_refused(C1, bench.now, &mut bench.out);
    let actions = bench.done();
    assert_eq!(closes(&actions), [CloseCode::Gone]);
    assert!(matches!(&downs(&actions)[..], [DownCause::Closed(text)] if text.contains("nobody listens")));
}

// ---- goodbye

#[test]
fn a_goodbye_waits_for_every_stream_to_be_read() {
    let mut bench = Bench::new("a");
    bench.up(C1, "b");
    bench.core.on_stream_ended(C1, bench.now, &mut bench.out);
    bench.core.on_goodbye(C1, 2, bench.now, &mut bench.out);
    assert_eq!(bench.done(), []);

    bench.core.on_stream_ended(C1, bench.now, &mut bench.out);

    let actions = bench.done();
    assert_eq!(downs(&actions), [DownCause::Goodbye]);
    assert_eq!(closes(&actions), [CloseCode::Goodbye]);
}

#[test]
fn a_goodbye_does_not_wait_for_ever() {
    let mut bench = Bench::new("a");
    bench.up(C1, "b");
    bench.core.on_goodbye(C1, 2, bench.now, &mut bench.out);
    let mut actions = Vec::new();
    for count in 1..6 {
        actions.extend(bench.pass(secs(1)));
        bench.core.on_heartbeat(C1, Heartbeat { count, echo: count }, bench.now);
    }
    assert_eq!(downs(&actions), [DownCause::Goodbye]);
}

#[test]
fn leaving_drains_says_goodbye_and_waits_for_the_peer_to_close() {
    let mut bench = Bench::new("a");
    bench.up(C1, "b");
    bench.core.on_shutdown(bench.now, &mut bench.out);
    assert_eq!(bench.done(), [Action::Drain { on: C1 }]);
    bench.core.on_drained(C1, 3, &mut bench.out);
    assert_eq!(bench.done(), [Action::Goodbye { on: C1, streams: 3 }]);
    bench.core.on_flushed(C1, bench.now, &mut bench.out);
    assert_eq!(bench.done(), []);

    let close = Close::new(CloseCode::Goodbye, "goodbye");
    bench.core.on_closed(C1, Ended::ByPeer(close), bench.now, &mut bench.out);

    let actions = bench.done();
    assert_eq!(downs(&actions), [DownCause::ShutDown]);
    assert_eq!(actions.last(), Some(&Action::Finished));
}

#[test]
fn of_two_that_leave_at_once_neither_closes_before_the_other_has_everything() {
    let mut bench = Bench::new("a");
    bench.up(C1, "b");
    bench.core.on_shutdown(bench.now, &mut bench.out);
    bench.core.on_drained(C1, 1, &mut bench.out);
    bench.done();
    bench.core.on_goodbye(C1, 0, bench.now, &mut bench.out);
    assert_eq!(bench.done(), []);
    bench.core.on_flushed(C1, bench.now, &mut bench.out);
    let actions = bench.done();
    assert_eq!(downs(&actions), [DownCause::ShutDown]);
    assert_eq!(closes(&actions), [CloseCode::Goodbye]);
}

#[test]
fn a_shutdown_closes_who_has_not_greeted_and_takes_nobody_new() {
    let mut bench = Bench::new("a");
    bench.connected(C1, "b");
    bench.done();
    bench.core.on_shutdown(bench.now, &mut bench.out);
    assert_eq!(closes(&bench.done()), [CloseCode::ShuttingDown]);
    bench.connected(C2, "c");
    assert_eq!(closes(&bench.done()), [CloseCode::ShuttingDown]);
    bench.core.on_join(&"x:1".into(), &mut bench.out);
    assert_eq!(bench.done(), []);
}

#[test]
fn an_abandoned_node_tells_of_every_down() {
    let mut bench = Bench::new("a");
    bench.up(C1, "b");
    bench.up(C2, "c");
    bench.core.on_abandoned(bench.now, &mut bench.out);
    let actions = bench.done();
    assert_eq!(downs(&actions), [DownCause::ShutDown, DownCause::ShutDown]);
    assert_eq!(actions.last(), Some(&Action::Finished));
}

// ---- targets

fn dials(actions: &[Action]) -> usize {
    let dial = |action: &&Action| matches!(action, Action::Dial { .. });
    actions.iter().filter(dial).count()
}

#[test]
fn a_target_is_dialled_again_with_a_pause_that_doubles_to_its_limit() {
    let mut bench = Bench::new("a");
    let target: Arc<str> = "x:1".into();
    bench.core.on_join(&target, &mut bench.out);
    assert_eq!(dials(&bench.done()), 1);
    let mut pauses = Vec::new();
    for _ in 0..8 {
        let lost = Ended::Lost("nobody".to_owned());
        bench.core.on_dial_failed(&target, lost, bench.now, &mut bench.out);
        let due = bench.core.deadline().unwrap();
        pauses.push((due - bench.now).as_millis());
        let pause = due - bench.now;
        assert_eq!(dials(&bench.pass(pause)), 1);
    }
    assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
}

#[test]
fn a_refused_target_is_given_up_and_a_busy_one_is_not() {
    let target: Arc<str> = "x:1".into();
    for (code, given_up) in [(CloseCode::Refused, true), (CloseCode::Busy, false)] {
        let mut bench = Bench::new("a");
        bench.core.on_join(&target, &mut bench.out);
        bench.core.on_connected(C1, "b".into(), Some(target.clone()), bench.now, &mut bench.out);
        bench.done();
        let close = Close::new(code, "for this reason");
        bench.core.on_closed(C1, Ended::ByPeer(close), bench.now, &mut bench.out);
        let not_joined = Action::NotJoined { target: target.clone(), text: "for this reason".to_owned() };
        assert_eq!(bench.done().contains(&not_joined), given_up);
        assert_eq!(dials(&bench.pass(secs(1))), usize::from(!given_up));
    }
}

#[test]
fn a_target_whose_dial_was_a_duplicate_is_joined_all_the_same() {
    let mut bench = Bench::new("a");
    let target: Arc<str> = "x:1".into();
    bench.core.on_join(&target, &mut bench.out);
    bench.core.on_connected(C1, "b".into(), Some(target.clone()), bench.now, &mut bench.out);
    bench.up(C2, "b");

    let actions = bench.hello(C1, hello("b"));

    assert_eq!(closes(&actions), [CloseCode::Duplicate]);
    assert!(actions.contains(&Action::Joined { target, on: C2 }), "{actions:?}");
    assert_eq!(downs(&actions), []);
}

#[test]
fn a_target_whose_peer_goes_down_is_dialled_again() {
    let mut bench = Bench::new("a");
    let target: Arc<str> = "x:1".into();
    bench.core.on_join(&target, &mut bench.out);
    bench.core.on_connected(C1, "b".into(), Some(target.clone()), bench.now, &mut bench.out);
    let actions = bench.hello(C1, hello("b"));
    assert!(actions.contains(&Action::Joined { target: target.clone(), on: C1 }));
    bench.core.on_join(&target, &mut bench.out);
    assert_eq!(bench.done(), [Action::Joined { target, on: C1 }]);

    let lost = Ended::Lost("cut".to_owned());
    bench.core.on_closed(C1, lost, bench.now, &mut bench.out);

    assert_eq!(dials(&bench.pass(secs(1))), 1);
}

#[test]
fn a_target_that_was_left_or_disconnected_is_not_dialled_again() {
    for disconnect in [true, false] {
        let mut bench = Bench::new("a");
        let target: Arc<str> = "x:1".into();
        bench.core.on_join(&target, &mut bench.out);
        bench.core.on_connected(C1, "b".into(), Some(target.clone()), bench.now, &mut bench.out);
        bench.hello(C1, hello("b"));
        if disconnect {
            bench.core.on_disconnect(C1, bench.now, &mut bench.out);
            assert_eq!(bench.done(), [Action::Drain { on: C1 }]);
        } else {
            bench.core.on_leave(&target);
        }
        let lost = Ended::Lost("cut".to_owned());
        bench.core.on_closed(C1, lost, bench.now, &mut bench.out);
        assert_eq!(dials(&bench.pass(secs(60))), 0);
    }
}

#[test]
fn targets_over_the_limit_are_refused() {
    let limits = Limits { targets: 1, ..Limits::default() };
    let mut bench = Bench::with("a", limits);
    bench.core.on_join(&"x:1".into(), &mut bench.out);
    bench.core.on_join(&"x:2".into(), &mut bench.out);
    assert!(matches!(bench.done()[..], [Action::Dial { .. }, Action::NotJoined { .. }]));
}

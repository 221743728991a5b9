//! One association while it is up: who has heard whom, and how it is brought to its end. Pure, like the core it is part of.
//!
//! # Silence
//! A heartbeat goes each way, and says the highest count that came the other way. So each end knows two
//! moments: when it last heard the peer, and when the peer was last known to hear it. The older one counts. With
//! the first alone, an end whose own packets are lost would go on for as long as it hears.
//!
//! # A hint
//! A killed OS process is as silent as a frozen one, but its port is closed, and the machine on which it was says so to
//! whoever sends there. After a little more than one missed heartbeat the driver is asked to try. Several refusals
//! in a row, with nothing heard in between, end the association long before silence alone would. A refusal can be forged
//! by a neighbour in the network and is lost behind many firewalls, so it is never more than a hint: it counts only
//! for a peer that is silent, and without it the bound on silence holds.
//!
//! # Goodbye
//! ```text
//!   the one that leaves                                   its peer
//!   takes no more frames, writes what waits, ends its
//!   streams ── goodbye(number of streams) ──────────────▶ reads each of them to its end
//!                              ◀──────────────── closes ─ tells its upper half
//! ```
//! The one that reads closes, because only it knows that it has everything. If both leave at once, each closes
//! only when the other has acknowledged all.

use std::time::{Duration, Instant};

use crate::config::Limits;
use crate::wire::handshake::Heartbeat;

/// So many refusals in a row end a silent association. One may be about a packet of long ago.
const REFUSALS: u32 = 3;

#[derive(Debug)]
pub(super) struct Association {
    pub(super) incarnation: u64,
    pub(super) epoch: u32,
    next_beat: Instant,
    /// When anything came from the peer.
    heard: Instant,
    /// When the peer was last known to hear us.
    was_heard: Instant,
    sent: u64,
    received: u64,
    echoed: u64,
    next_probe: Instant,
    /// How often a probe was refused since the peer was last heard.
    refusals: u32,
    leaving: Option<Leaving>,
    goodbye: Option<TheirGoodbye>,
    /// How many streams of the peer have come to their end.
    ended_streams: u32,
}

/// This node is ending the association.
#[derive(Debug)]
struct Leaving {
    until: Instant,
    /// The peer has acknowledged everything.
    flushed: bool,
}

/// The peer is ending the association.
#[derive(Debug)]
struct TheirGoodbye {
    until: Instant,
    /// How many streams it has used, all of which must be read to their end.
    streams: u32,
}

/// What time has brought.
#[must_use]
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    Beat(Heartbeat),
    /// The peer is late: try whether its port is still open.
    Probe,
    /// Nothing was heard, or the peer heard nothing, for so long that the association ends.
    Silence(Duration),
    /// A goodbye has taken too long.
    GoodbyeOver,
}

impl Association {
    pub(super) fn new(incarnation: u64, epoch: u32, now: Instant) -> Association {
        Association {
            incarnation,
            epoch,
            next_beat: now,
            heard: now,
            was_heard: now,
            sent: 0,
            received: 0,
            echoed: 0,
            next_probe: now,
            refusals: 0,
            leaving: None,
            goodbye: None,
            ended_streams: 0,
        }
    }

    pub(super) fn on_heard(&mut self, now: Instant) {
        self.heard = now;
        self.refusals = 0;
    }

    pub(super) fn on_heartbeat(&mut self, beat: Heartbeat, now: Instant) {
        self.on_heard(now);
        self.received = self.received.max(beat.count);
        // An echo of what was never sent proves nothing.
        if beat.echo > self.echoed && beat.echo <= self.sent {
            self.echoed = beat.echo;
            self.was_heard = now;
        }
    }

    /// Nobody listens at the peer's port, says its machine; whether that is to be believed.
    pub(super) fn on_refused(&mut self, limits: &Limits, now: Instant) -> bool {
        if now.saturating_duration_since(self.heard) < probe_after(limits) {
            return false;
        }
        self.refusals += 1;
        self.refusals >= REFUSALS
    }

    pub(super) fn on_goodbye(&mut self, streams: u32, until: Instant) {
        self.goodbye = Some(TheirGoodbye { until, streams });
    }

    pub(super) fn on_stream_ended(&mut self) {
        self.ended_streams += 1;
    }

    pub(super) fn on_flushed(&mut self) {
        if let Some(leaving) = &mut self.leaving {
            leaving.flushed = true;
        }
    }

    /// Begins to leave; whether this was the beginning.
    pub(super) fn leave(&mut self, until: Instant) -> bool {
        let begins = self.leaving.is_none();
        self.leaving.get_or_insert(Leaving { until, flushed: false });
        begins
    }

    pub(super) fn on_timeout(&mut self, limits: &Limits, now: Instant) -> Due {
        // A beat that is due long since means that this node itself did not run: a paused OS process, a starved
        // machine. What the peer sent meanwhile lies unread, so its silence is judged anew.
        let late = now.saturating_duration_since(self.next_beat);
        if late > limits.heartbeat {
            self.heard = (self.heard + late).min(now);
            self.was_heard = (self.was_heard + late).min(now);
        }
        if self.goodbye_deadline().is_some_and(|until| until <= now) {
            return Due::GoodbyeOver;
        }
        let silence = now.saturating_duration_since(self.last_sign());
        if silence >= limits.down_after {
            return Due::Silence(silence);
        }
        if self.probe_deadline(limits) <= now {
            self.next_probe = now + limits.heartbeat / 8;
            return Due::Probe;
        }
        if self.next_beat > now {
            return Due::Nothing;
        }
        self.sent += 1;
        self.next_beat = now + limits.heartbeat;
        Due::Beat(Heartbeat { count: self.sent, echo: self.received })
    }

    pub(super) fn deadline(&self, limits: &Limits) -> Instant {
        let down = self.last_sign() + limits.down_after;
        let next = self.next_beat.min(down).min(self.probe_deadline(limits));
        self.goodbye_deadline().map_or(next, |until| until.min(next))
    }

    pub(super) fn is_leaving(&self) -> bool {
        self.leaving.is_some()
    }

    /// The peer has said goodbye, all it sent is here, and all that this node has sent is there.
    pub(super) fn is_said(&self) -> bool {
        let said = |goodbye: &TheirGoodbye| self.ended_streams >= goodbye.streams;
        let flushed = |leaving: &Leaving| leaving.flushed;
        self.goodbye.as_ref().is_some_and(said) && self.leaving.as_ref().is_none_or(flushed)
    }

    // The older of the two signs: a cut of either direction is a silence.
    fn last_sign(&self) -> Instant {
        self.heard.min(self.was_heard)
    }

    fn probe_deadline(&self, limits: &Limits) -> Instant {
        self.next_probe.max(self.heard + probe_after(limits))
    }

    fn goodbye_deadline(&self) -> Option<Instant> {
        let leaving = self.leaving.as_ref().map(|leaving| leaving.until);
        let theirs = self.goodbye.as_ref().map(|goodbye| goodbye.until);
        leaving.into_iter().chain(theirs).min()
    }
}

// A heartbeat that is merely late by the time of a busy turn is no reason to doubt.
fn probe_after(limits: &Limits) -> Duration {
    limits.heartbeat * 5 / 4
}

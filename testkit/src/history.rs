//! What has happened in a run, in words, and as numbers that tell two runs apart.

use std::collections::VecDeque;
use std::fmt::Write;
use std::hash::{Hash, Hasher};
use std::time::{Duration, Instant};

use biotope_runtime::{ExitReason, TraceEvent, Traced};

use crate::cast::{Cast, Id};

/// So many events are kept to be read.
const KEPT: usize = 2_000;
/// So many of them are compared with those of another run of the same seed.
const COMPARED: usize = 1_000_000;

/// The events of one run.
pub(crate) struct History {
    begin: Instant,
    kept: VecDeque<Event>,
    seen: usize,
    /// A hash of each event.
    marks: Vec<u64>,
}

struct Event {
    after: Duration,
    who: Id,
    what: What,
}

enum What {
    Received(&'static str),
    Sent(Id),
    Replied(Option<Id>),
    Spawned(Id),
    Linked(Id),
    Unlinked(Id),
    Exited(ExitReason),
    /// What the kit has done to it.
    Meddled(String),
}

impl History {
    pub(crate) fn new(begin: Instant) -> Self {
        Self { begin, kept: VecDeque::new(), seen: 0, marks: Vec::new() }
    }

    /// A process has done something.
    pub(crate) fn see(&mut self, event: &TraceEvent, who: Id, cast: &mut Cast) {
        let mut id = |pid| cast.id(pid);
        let what = match &event.what {
            Traced::Received(handler) => What::Received(handler),
            Traced::Sent(to) => What::Sent(id(*to)),
            Traced::Replied(to) => What::Replied(to.map(id)),
            Traced::Spawned(child) => What::Spawned(id(*child)),
            Traced::Linked(to) => What::Linked(id(*to)),
            Traced::Unlinked(to) => What::Unlinked(id(*to)),
            Traced::Exited(reason) => What::Exited(reason.clone()),
            // That it was received says it already.
            _ => return,
        };
        self.push(event.at, who, what, cast);
    }

    /// The kit has done something to a process.
    pub(crate) fn meddled(&mut self, at: Instant, who: Id, what: String, cast: &Cast) {
        self.push(at, who, What::Meddled(what), cast);
    }

    fn push(&mut self, at: Instant, who: Id, what: What, cast: &Cast) {
        let event = Event { after: at.saturating_duration_since(self.begin), who, what };
        if self.marks.len() < COMPARED {
            self.marks.push(event.mark(cast));
        }
        if self.kept.len() == KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(event);
        self.seen += 1;
    }

    /// How many events there were.
    pub(crate) fn len(&self) -> usize {
        self.seen
    }

    /// The last `lines` events, one to a line.
    pub(crate) fn last(&self, lines: usize, cast: &Cast) -> String {
        let skipped = self.kept.len().saturating_sub(lines);
        self.told(skipped, self.kept.len(), cast)
    }

    /// A number for each event, to be compared with those of another run.
    pub(crate) fn take_marks(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.marks)
    }

    /// The event of this number with those before it, as far as they are kept.
    pub(crate) fn around(&self, number: usize, before: usize, cast: &Cast) -> String {
        let first_kept = self.seen - self.kept.len();
        let Some(place) = number.checked_sub(first_kept) else { return "\n  (it is kept no more)".to_owned() };
        if place >= self.kept.len() {
            return self.told(self.kept.len().saturating_sub(before), self.kept.len(), cast) + "\n  (nothing more)";
        }
        self.told(place.saturating_sub(before), place + 1, cast)
    }

    fn told(&self, from: usize, to: usize, cast: &Cast) -> String {
        let mut text = String::new();
        for event in self.kept.range(from..to) {
            let _ = write!(text, "\n  {}", event.told(cast));
        }
        text
    }
}

/// The first event that differs, as a number.
pub(crate) fn first_difference(one: &[u64], other: &[u64]) -> Option<usize> {
    let same = one.iter().zip(other).take_while(|(one, other)| one == other).count();
    (same < one.len().max(other.len())).then_some(same)
}

impl Event {
    fn told(&self, cast: &Cast) -> String {
        let millis = self.after.as_secs_f64() * 1_000.0;
        let name = |id: &Id| cast.describe(*id);
        let what = match &self.what {
            What::Received(handler) => format!("received {}", short(handler)),
            What::Sent(to) => format!("sent to {}", name(to)),
            What::Replied(Some(to)) => format!("replied to {}", name(to)),
            What::Replied(None) => "replied".to_owned(),
            What::Spawned(child) => format!("spawned {}", name(child)),
            What::Linked(to) => format!("linked to {}", name(to)),
            What::Unlinked(to) => format!("unlinked from {}", name(to)),
            What::Exited(reason) => format!("ended: {}", reason.to_string().replace('\n', " ")),
            What::Meddled(what) => format!("[{what}]"),
        };
        format!("{millis:>10.3} ms  {:<24} {what}", name(&self.who))
    }

    /// A number that is the same in another run if the event is.
    fn mark(&self, cast: &Cast) -> u64 {
        let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
        self.after.hash(&mut hasher);
        cast.path(self.who).hash(&mut hasher);
        let mut about = |id: &Id| cast.path(*id).hash(&mut hasher);
        match &self.what {
            What::Received(text) => text.hash(&mut hasher),
            What::Sent(to) | What::Spawned(to) | What::Linked(to) | What::Unlinked(to) => about(to),
            What::Replied(to) => to.iter().for_each(&mut about),
            // What a reason says may hold an address.
            What::Exited(reason) => reason.is_abnormal().hash(&mut hasher),
            What::Meddled(text) => text.hash(&mut hasher),
        }
        std::mem::discriminant(&self.what).hash(&mut hasher);
        hasher.finish()
    }
}

/// What people call what lies at this path: a function of a type by the type, and all else by its last part.
pub(crate) fn short(name: &str) -> &str {
    let path = name.split('<').next().unwrap_or(name);
    let mut parts = path.rsplit("::").filter(|part| !part.is_empty());
    let last = parts.next().unwrap_or(path);
    parts.next().filter(|part| part.starts_with(char::is_uppercase)).unwrap_or(last)
}

/// FNV-1a: it is the same in every OS process, as the standard library's hasher need not be.
struct Fnv(u64);

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

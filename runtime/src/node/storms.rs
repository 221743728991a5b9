//! What a node logs of crashes, unless there are too many: does what [`storm`](crate::storm) decides.
//!
//! A timer is set only while something is held back, and ends with the node's shutdown, which tells what is left.

use std::time::Instant;

use parking_lot::Mutex;
use tracing::Level;

use super::Node;
use crate::exit::ExitReason;
use crate::process::turn;
use crate::storm::{Occurrence, StormLimit, Storms, Summary};
use crate::timer::{Action, TimerRef};

/// The storms of a node.
pub(super) struct Weather(Mutex<State>);

struct State {
    storms: Storms,
    /// Set while something is held back, and for when.
    timer: Option<(Instant, TimerRef)>,
}

impl Weather {
    pub(super) fn new(limit: StormLimit) -> Self {
        Self(Mutex::new(State { storms: Storms::new(limit), timer: None }))
    }
}

impl Node {
    /// Logs something by `log`, unless as much of its kind was logged of late as is logged one by one: then it is counted,
    /// and told with the others when the period is over.
    #[doc(hidden)]
    pub fn log_unless_storm(&self, occurrence: &Occurrence, log: impl FnOnce()) {
        if !self.hold_back(occurrence) && self.is_logged(occurrence) {
            log();
        }
    }

    /// Whether this is to be logged by itself; else it is counted.
    fn is_logged(&self, occurrence: &Occurrence) -> bool {
        // Not under the lock: it is the user's text.
        let reason = occurrence.reason.as_ref().map(ExitReason::in_one_line);
        let mut over = Vec::new();
        // On nobody's account: what is noted of it stays longer than whoever it happens to.
        let is_logged = turn::uncharged(|| {
            let mut state = self.0.weather.0.lock();
            let is_logged = state.storms.on_occurrence(self.runtime().now(), occurrence, reason, &mut over);
            self.see_to_deadline(&mut state);
            is_logged
        });
        self.tell(&over);
        is_logged
    }

    /// Counts this, if it is not to be logged by itself. Returns whether it did.
    pub(crate) fn hold_back(&self, occurrence: &Occurrence) -> bool {
        let likeness = occurrence.likeness();
        turn::uncharged(|| {
            let mut state = self.0.weather.0.lock();
            let is_held = state.storms.hold_back(self.runtime().now(), &likeness, occurrence.pid);
            self.see_to_deadline(&mut state);
            is_held
        })
    }

    /// Tells of all that was held back; nothing more will be.
    pub(super) fn end_storms(&self) {
        let mut over = Vec::new();
        let timer = {
            let mut state = self.0.weather.0.lock();
            state.storms.on_end(&mut over);
            state.timer.take()
        };
        if let Some((_, timer)) = timer {
            self.runtime().timers().cancel(timer);
        }
        self.tell(&over);
    }

    fn on_storm_deadline(&self, now: Instant) {
        let mut over = Vec::new();
        {
            let mut state = self.0.weather.0.lock();
            state.timer = None;
            state.storms.on_deadline(now, &mut over);
            self.see_to_deadline(&mut state);
        }
        self.tell(&over);
    }

    /// Under the lock: of two that find no timer one sets it. Nothing fires under the lock of the timers.
    fn see_to_deadline(&self, state: &mut State) {
        let Some(deadline) = state.storms.deadline() else { return };
        if state.timer.is_some_and(|(set_for, _)| set_for <= deadline) {
            return;
        }
        let node = self.downgrade();
        let fire = move |_| {
            if let Some(node) = node.upgrade() {
                node.on_storm_deadline(node.runtime().now());
            }
        };
        let timers = self.runtime().timers();
        let timer = timers.at(deadline, Action::Fire(None, Box::new(fire)));
        if let Some((_, later)) = state.timer.replace((deadline, timer)) {
            timers.cancel(later);
        }
    }

    /// Not within the span of whoever comes first afterwards.
    fn tell(&self, over: &[Summary]) {
        for summary in over {
            let (node, more) = (self.name(), summary.more);
            match summary.level {
                // As a crash, of which it tells.
                _ if !tracing::dispatcher::has_been_set() => eprintln!("{summary}"),
                Level::ERROR => tracing::error!(parent: None, node, more, "{summary}"),
                Level::WARN => tracing::warn!(parent: None, node, more, "{summary}"),
                _ => tracing::info!(parent: None, node, more, "{summary}"),
            }
        }
    }
}

//! Where idle actors count when they have started: not in their state, which is to be a `u64` and nothing else.

use std::sync::OnceLock;

use tokio::sync::oneshot;

use crate::countdown::Countdown;

static STARTED: OnceLock<&'static Countdown> = OnceLock::new();

/// Expects so many: the receiver is told when all have started.
pub fn expect(count: u64) -> oneshot::Receiver<()> {
    let (countdown, all_started) = Countdown::from(count);
    assert!(STARTED.set(countdown).is_ok(), "an OS process measures once");
    all_started
}

/// The one with this number has started.
pub fn count(number: u64) {
    STARTED.get().expect("it is there before the idlers are").batch(number).count();
}

//! Who pays for what is allocated here: the process whose turn it is.
//!
//! The accounting allocator asks for each block. What it finds out is kept for the next one, under the name that the
//! board shows of the process, which no other has: so a turn begins and ends without a thought of accounts.
//!
//! Nothing in here allocates or unwinds.

use super::{CURRENT, Header, Turn};
use crate::memory::{Charged, Owner};
use crate::process::state::Cause;
use crate::sync::Ordering;

/// Who pays, and for which process that was found out.
#[derive(Clone, Copy)]
pub(super) struct Payer {
    /// As on the board: slot and generation, and the number of the node.
    process: u64,
    node: u32,
    owner: Owner,
}

impl Payer {
    pub(super) const NOBODY: Self = Self { process: u64::MAX, node: u32::MAX, owner: Owner::NOBODY };
}

/// Charges whoever pays here for a block of `bytes`; says who that is.
#[inline]
pub(crate) fn charge(bytes: usize) -> Owner {
    super::with_current(|turn| {
        let Some((turn, process)) = turn.and_then(|turn| Some((turn, turn.process()?))) else { return Owner::NOBODY };
        let owner = turn.payer(process);
        match owner.charge(bytes) {
            Charged::Within => owner,
            Charged::Over => {
                turn.over_limit(process);
                owner
            }
            Charged::Nobody => Owner::NOBODY,
        }
    })
}

/// A block of `owner`'s has `now` bytes, and had `before`.
#[inline]
pub(crate) fn charge_more(owner: Owner, before: usize, now: usize) {
    if owner.resize(before, now) == Charged::Over {
        super::with_current(|turn| {
            if let Some((turn, process)) = turn.and_then(|turn| Some((turn, turn.process()?)))
                && turn.payer(process).is(owner)
            {
                turn.over_limit(process);
            }
        });
    }
}

/// Runs `f`, in which the runtime allocates for itself: nobody is charged. `f` does nothing else.
#[inline]
pub(crate) fn uncharged<R>(f: impl FnOnce() -> R) -> R {
    struct Back(*const Turn<'static>);
    impl Drop for Back {
        fn drop(&mut self) {
            CURRENT.set(self.0);
        }
    }
    let _back = Back(CURRENT.replace(std::ptr::null()));
    f()
}

impl Turn<'_> {
    /// Who pays for `process`, which runs.
    #[inline]
    fn payer(&self, process: &Header) -> Owner {
        let payer = self.payer.get();
        let name = (self.board.process.load(Ordering::Relaxed), self.board.node.load(Ordering::Relaxed));
        if (payer.process, payer.node) == name { payer.owner } else { self.find_payer(process, name) }
    }

    #[cold]
    fn find_payer(&self, process: &Header, (name, node): (u64, u32)) -> Owner {
        // Who is gone has given up its slot, or is about to: the account may be another's.
        let account = if process.is_gone() { None } else { process.node().table().open_account(process.place().0) };
        let owner = account.map_or(Owner::NOBODY, |account| account.owner());
        self.payer.set(Payer { process: name, node, owner });
        owner
    }

    /// The process that runs is over its limit. It ends its turn, and the next begins with a look at its account:
    /// what is noted keeps it from waiting meanwhile.
    #[cold]
    fn over_limit(&self, process: &Header) {
        // It runs, and so is not parked.
        let _ = process.state.note(Cause::Receive);
        self.end();
    }
}

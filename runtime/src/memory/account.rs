//! The account of one process: how many bytes it has allocated that nobody has freed yet.
//!
//! ```text
//!   word   63            32 31             0
//!         ┌────────────────┬────────────────┐      limit   bytes; 0 is none
//!         │ generation     │ grains         │
//!         └────────────────┴────────────────┘
//! ```
//!
//! An account outlives its process, and is used again by the next one in the same slot, with another generation.
//! Each block knows its owner: an account and the generation that it was charged in. So a block that is freed after
//! the death of its owner changes nothing: neither does it take from nothing, nor from the next one.
//!
//! It is counted in grains of 16 bytes, each block rounded up. At 2^32 of them, 64 GiB, the count stands still.

use crate::sync::{AtomicU64, Ordering};

/// What is counted in.
pub(crate) const GRAIN: u64 = 16;
const GENERATION_SHIFT: u32 = 32;

/// What one process after the other has allocated.
pub(crate) struct Account {
    word: AtomicU64,
    limit: AtomicU64,
}

/// Whose a block is: a process, by its account and the generation of that; or nobody.
#[derive(Clone, Copy)]
#[repr(C)]
pub(crate) struct Owner {
    account: Option<&'static Account>,
    generation: u32,
}

/// What came of a charge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Charged {
    /// It is on the account.
    Within,
    /// It is on the account, which is over its limit.
    Over,
    /// There is no such process any more, or never was.
    Nobody,
}

impl Account {
    #[cfg(any(test, biotope_loom))]
    pub(crate) fn new() -> Self {
        Self { word: AtomicU64::new(0), limit: AtomicU64::new(0) }
    }

    /// The process that has this account now, as an owner.
    pub(crate) fn owner(&'static self) -> Owner {
        Owner { account: Some(self), generation: generation_of(self.word.load(Ordering::Relaxed)) }
    }

    /// How many bytes are on it.
    pub(crate) fn bytes(&self) -> u64 {
        grains_of(self.word.load(Ordering::Relaxed)) * GRAIN
    }

    /// How many bytes may be on it, if there is a limit.
    pub(crate) fn limit(&self) -> Option<u64> {
        Some(self.limit.load(Ordering::Relaxed)).filter(|limit| *limit > 0)
    }

    /// For a process that is about to begin.
    pub(crate) fn set_limit(&self, bytes: u64) {
        self.limit.store(bytes.max(1), Ordering::Relaxed);
    }

    /// Its process has ended: what is freed from now on is on nobody's account.
    pub(crate) fn close(&self) {
        self.limit.store(0, Ordering::Relaxed);
        self.change(|word| Some(word_of(generation_of(word).wrapping_add(1), 0)));
    }

    /// Makes the word what `next` says, if it says anything; returns the new one.
    // Relaxed, everywhere here: nothing but the count hangs on it.
    #[inline]
    fn change(&self, next: impl Fn(u64) -> Option<u64>) -> Option<u64> {
        let mut word = self.word.load(Ordering::Relaxed);
        loop {
            let new = next(word)?;
            match self.word.compare_exchange_weak(word, new, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return Some(new),
                Err(now) => word = now,
            }
        }
    }
}

impl Owner {
    /// Nobody.
    pub(crate) const NOBODY: Self = Self { account: None, generation: 0 };

    /// Charges a block of `bytes`.
    #[inline]
    pub(crate) fn charge(self, bytes: usize) -> Charged {
        self.add(grains(bytes))
    }

    /// A block of `bytes` is freed.
    #[inline]
    pub(crate) fn credit(self, bytes: usize) {
        self.take(grains(bytes));
    }

    /// A block of `before` bytes has `now` bytes.
    #[inline]
    pub(crate) fn resize(self, before: usize, now: usize) -> Charged {
        let (before, now) = (grains(before), grains(now));
        if now > before {
            return self.add(now - before);
        }
        self.take(before - now);
        Charged::Within
    }

    /// Whether this is the same process as `other`.
    pub(crate) fn is(self, other: Self) -> bool {
        let accounts = self.account.zip(other.account);
        self.generation == other.generation && accounts.is_some_and(|(one, other)| std::ptr::eq(one, other))
    }

    #[inline]
    fn add(self, grains: u64) -> Charged {
        let Some(account) = self.account else { return Charged::Nobody };
        let more = |word| {
            let sum = grains_of(word).saturating_add(grains).min(u64::from(u32::MAX));
            (generation_of(word) == self.generation).then(|| word_of(self.generation, sum as u32))
        };
        let Some(word) = account.change(more) else { return Charged::Nobody };
        match account.limit.load(Ordering::Relaxed) {
            0 => Charged::Within,
            limit if grains_of(word) * GRAIN <= limit => Charged::Within,
            _ => Charged::Over,
        }
    }

    #[inline]
    fn take(self, grains: u64) {
        let Some(account) = self.account else { return };
        account.change(|word| {
            let rest = grains_of(word).saturating_sub(grains);
            (generation_of(word) == self.generation).then(|| word_of(self.generation, rest as u32))
        });
    }
}

/// How many grains a block of `bytes` counts for.
const fn grains(bytes: usize) -> u64 {
    (bytes as u64).div_ceil(GRAIN)
}

const fn word_of(generation: u32, grains: u32) -> u64 {
    (generation as u64) << GENERATION_SHIFT | grains as u64
}

const fn generation_of(word: u64) -> u32 {
    (word >> GENERATION_SHIFT) as u32
}

const fn grains_of(word: u64) -> u64 {
    word as u32 as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account() -> &'static Account {
        Box::leak(Box::new(Account::new()))
    }

    #[test]
    fn what_is_charged_is_credited_in_grains() {
        let account = account();
        let owner = account.owner();
        assert_eq!(owner.charge(1), Charged::Within);
        assert_eq!(owner.charge(17), Charged::Within);
        assert_eq!(account.bytes(), 48);
        assert_eq!(owner.resize(17, 16), Charged::Within);
        assert_eq!(owner.resize(1, 100), Charged::Within);
        assert_eq!(account.bytes(), 16 + 112);
        owner.credit(16);
        owner.credit(100);
        assert_eq!(account.bytes(), 0);
    }

    #[test]
    fn who_is_above_the_limit_is_told_so_and_who_has_it_all_is_not() {
        let account = account();
        account.set_limit(100);
        let owner = account.owner();
        assert_eq!(owner.charge(96), Charged::Within);
        assert_eq!(owner.charge(1), Charged::Over);
        owner.credit(1);
        assert_eq!(owner.resize(96, 97), Charged::Over);
    }

    #[test]
    fn what_the_dead_had_is_on_nobodys_account() {
        let account = account();
        let dead = account.owner();
        account.set_limit(1);
        assert_eq!(dead.charge(1_000), Charged::Over);
        account.close();
        let next = account.owner();
        assert!(!next.is(dead) && next.is(account.owner()));
        assert_eq!(next.charge(160), Charged::Within, "the limit went with the dead");
        dead.credit(1_000);
        assert_eq!(dead.charge(16), Charged::Nobody);
        assert_eq!(dead.resize(16, 32), Charged::Nobody);
        assert_eq!(account.bytes(), 160);
    }

    #[test]
    fn a_count_at_its_end_stands_still_and_harms_no_generation() {
        let account = account();
        let owner = account.owner();
        for _ in 0..3 {
            assert_eq!(owner.charge(usize::MAX), Charged::Within);
        }
        assert_eq!(account.bytes(), u64::from(u32::MAX) * GRAIN);
        assert!(account.owner().is(owner));
        for _ in 0..3 {
            owner.credit(usize::MAX);
        }
        assert_eq!(account.bytes(), 0);
        assert!(account.owner().is(owner));
    }

    #[test]
    fn nobody_has_no_account() {
        assert_eq!(Owner::NOBODY.charge(16), Charged::Nobody);
        Owner::NOBODY.credit(16);
        assert!(!Owner::NOBODY.is(Owner::NOBODY));
    }
}

//! The account of one process after the other in a slot, and blocks that others free meanwhile.

use loom::thread;

use super::explore;
use crate::account::{Account, Charged, Owner};

/// loom's words cannot be statics; what is leaked here is an execution's.
fn account() -> &'static Account {
    Box::leak(Box::new(Account::new()))
}

#[test]
fn what_is_freed_while_its_owner_ends_is_not_taken_from_the_next() {
    explore(3, || {
        let account = account();
        let first = account.owner();
        assert_eq!(first.charge(32), Charged::Within);
        let frees = thread::spawn(move || first.credit(32));
        account.close();
        let next: Owner = account.owner();
        assert_eq!(next.charge(16), Charged::Within);
        frees.join().unwrap();
        assert_eq!(account.bytes(), 16);
    });
}

#[test]
fn a_credit_and_a_charge_at_once_both_count() {
    explore(3, || {
        let account = account();
        let owner = account.owner();
        assert_eq!(owner.charge(64), Charged::Within);
        let frees = thread::spawn(move || owner.credit(48));
        assert_eq!(owner.charge(32), Charged::Within);
        frees.join().unwrap();
        assert_eq!(account.bytes(), 48);
    });
}

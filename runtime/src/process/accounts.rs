//! The accounts of a node's processes, by the number of their slot: what they have allocated.
//!
//! They lie beside the pid table and not in it, in pages that are made when the first of its processes is charged or
//! limited: without the accounting allocator there are none. A block may outlive its owner, the owner's node and the
//! runtime, and leads to the account all the while. So a page is never given back to the system: when its node goes,
//! it is kept for the next one, with the generations that its accounts have come to.
//!
//! Nothing in here uses the global allocator: that is who asks.
#![expect(unsafe_code, reason = "pages are made by hand, because the global allocator asks for them")]

use std::alloc::{GlobalAlloc, Layout, System, handle_alloc_error};
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicPtr, Ordering};

use super::table::{CHUNKS, FIRST, place};
use crate::memory::Account;

/// Pages that no node has, by size. Taken all at once, and put back one list at a time: so nobody takes the first of
/// a list that has changed meanwhile.
static SPARE: [AtomicPtr<Page>; CHUNKS] = [const { AtomicPtr::new(ptr::null_mut()) }; CHUNKS];

/// The accounts of one node's processes.
pub(super) struct Accounts {
    pages: [AtomicPtr<Page>; CHUNKS],
}

/// What is before the accounts of a page: as many as a chunk of the pid table has slots.
#[repr(C, align(16))]
struct Page {
    /// The next spare one.
    next: AtomicPtr<Page>,
}

impl Accounts {
    pub(super) fn new() -> Self {
        Self { pages: [const { AtomicPtr::new(ptr::null_mut()) }; CHUNKS] }
    }

    /// The account of the process in this slot, if there is one.
    #[inline]
    pub(super) fn get(&self, number: u32) -> Option<&'static Account> {
        let (size, at) = place(number);
        let page = NonNull::new(self.pages[size].load(Ordering::Acquire))?;
        // SAFETY: a page has so many accounts, and is never given back.
        Some(unsafe { page.add(1).cast::<Account>().add(at).as_ref() })
    }

    /// The account of the process in this slot. `None` if there is no memory for it.
    pub(super) fn open(&self, number: u32) -> Option<&'static Account> {
        if let Some(account) = self.get(number) {
            return Some(account);
        }
        let (size, _) = place(number);
        let page = take(size)?;
        let made =
            self.pages[size].compare_exchange(ptr::null_mut(), page.as_ptr(), Ordering::AcqRel, Ordering::Acquire);
        if made.is_err() {
            give(size, page);
        }
        self.get(number)
    }

    /// As `open`; without memory the program ends.
    pub(super) fn open_or_abort(&self, number: u32) -> &'static Account {
        let Some(account) = self.open(number) else { handle_alloc_error(layout(place(number).0)) };
        account
    }
}

impl Drop for Accounts {
    fn drop(&mut self) {
        for (size, page) in self.pages.iter_mut().enumerate() {
            if let Some(page) = NonNull::new(*page.get_mut()) {
                give(size, page);
            }
        }
    }
}

fn layout(size: usize) -> Layout {
    let accounts = size_of::<Account>() * (FIRST << size);
    match Layout::from_size_align(size_of::<Page>() + accounts, align_of::<Page>()) {
        Ok(layout) => layout,
        Err(_) => Layout::new::<Page>(),
    }
}

fn take(size: usize) -> Option<NonNull<Page>> {
    let Some(page) = NonNull::new(SPARE[size].swap(ptr::null_mut(), Ordering::AcqRel)) else {
        // SAFETY: the layout has a size; a page of nothing but zeros is one, with accounts in their first generation.
        return NonNull::new(unsafe { System.alloc_zeroed(layout(size)) }).map(NonNull::cast);
    };
    // SAFETY: the list was taken, so it is this thread's alone; a page is never given back.
    let rest = unsafe { page.as_ref() }.next.swap(ptr::null_mut(), Ordering::Relaxed);
    if let Some(rest) = NonNull::new(rest) {
        give(size, rest);
    }
    Some(page)
}

/// Keeps the pages of a list, which is this thread's alone.
fn give(size: usize, first: NonNull<Page>) {
    let mut last = first;
    // SAFETY: a page is never given back; the list is this thread's.
    while let Some(next) = NonNull::new(unsafe { last.as_ref() }.next.load(Ordering::Relaxed)) {
        last = next;
    }
    let mut head = SPARE[size].load(Ordering::Relaxed);
    loop {
        // SAFETY: as above.
        unsafe { last.as_ref() }.next.store(head, Ordering::Relaxed);
        match SPARE[size].compare_exchange_weak(head, first.as_ptr(), Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => return,
            Err(now) => head = now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_slot_has_an_account_of_its_own_that_stays() {
        let accounts = Accounts::new();
        assert!(accounts.get(0).is_none());
        for number in [0, 1, 255, 256, 767, 768] {
            accounts.open(number).unwrap().set_limit(u64::from(number) + 1);
        }
        for number in [0, 1, 255, 256, 767, 768] {
            assert_eq!(accounts.get(number).unwrap().limit(), Some(u64::from(number) + 1));
            accounts.get(number).unwrap().close();
        }
    }

    #[test]
    fn a_page_of_a_node_that_went_is_used_again_and_is_not_the_same_to_who_died() {
        // Of a size that no other test uses.
        let number = (FIRST << 9) as u32;
        let first = Accounts::new();
        let account = first.open(number).unwrap();
        let owner = account.owner();
        owner.charge(64);
        account.close();
        drop(first);
        let second = Accounts::new();
        let again = second.open(number).unwrap();
        assert!(ptr::eq(account, again));
        assert_eq!(again.bytes(), 0);
        again.owner().charge(32);
        owner.credit(64);
        assert_eq!(again.bytes(), 32);
        again.close();
        let third = Accounts::new();
        assert!(!ptr::eq(third.open(number).unwrap(), again), "a page belongs to one node");
    }
}

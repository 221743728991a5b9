//! Whether a handler's arguments lie in its message, or in a box that the message holds.
//!
//! A place of a mailbox is as large as the largest message, and a process has room for its largest future. So one handler
//! with large arguments would be paid for by every message of the actor, and by every process that never hears of it. What
//! has no [`ROOM`] goes into a box: its sender makes it, and it is emptied before the handler is called. If the handler is
//! async its future, which begins with the arguments, has a box as well.
//!
//! `#[handlers]` does not know sizes; the compiler does, and has decided when the message is laid out:
//!
//! ```text
//!   enum CartMsg { Add(Held<(Item,), { fits::<(Item,)>() }>, ReplyTo<usize>), .. }
//!                      └─ (Item,) if it fits, Box<(Item,)> if not
//! ```
//!
//! A constant in a type knows no type parameters, so where these stand in the arguments they stay in the message, unless
//! the handler is marked `#[boxed]`.

use std::future::Future;
use std::pin::Pin;

/// How many bytes of arguments lie in a message. With the way of a reply and what tells messages apart that comes to no
/// more than 128 bytes, up to which a mailbox makes blocks of many places.
const ROOM: usize = 96;

/// Whether a `T` lies in a message.
pub const fn fits<T>() -> bool {
    size_of::<T>() <= ROOM
}

/// What holds a `T` in a message: the `T` itself if there is room enough, or a box.
pub type Held<T, const ENOUGH: bool> = <Room<ENOUGH> as Hold>::Held<T>;

/// Room in a message and in a process, enough or not.
#[derive(Debug)]
pub struct Room<const ENOUGH: bool>;

/// What becomes of what needs room.
pub trait Hold {
    /// What holds a `T` in a message.
    type Held<T>;
    /// What is in the process while `F` runs.
    type Running<F: Future>: Future<Output = F::Output>;
    /// Runs `future`.
    fn run<F: Future>(self, future: F) -> Self::Running<F>;
}

impl Hold for Room<true> {
    type Held<T> = T;
    type Running<F: Future> = F;

    #[inline]
    fn run<F: Future>(self, future: F) -> F {
        future
    }
}

impl Hold for Room<false> {
    type Held<T> = Box<T>;
    type Running<F: Future> = Pin<Box<F>>;

    fn run<F: Future>(self, future: F) -> Pin<Box<F>> {
        Box::pin(future)
    }
}

/// How a [`Held`] is filled and emptied, whichever it is.
pub trait Packed<T> {
    /// The room that there was.
    type Room: Hold;
    /// Holds `contents`.
    fn pack(contents: T) -> Self;
    /// What was held, and the room for what it is given to.
    fn unpack(self) -> (T, Self::Room);
}

impl<T> Packed<T> for T {
    type Room = Room<true>;

    #[inline]
    fn pack(contents: T) -> T {
        contents
    }

    #[inline]
    fn unpack(self) -> (T, Room<true>) {
        (self, Room)
    }
}

impl<T> Packed<T> for Box<T> {
    type Room = Room<false>;

    #[inline]
    fn pack(contents: T) -> Self {
        Self::new(contents)
    }

    #[inline]
    fn unpack(self) -> (T, Room<false>) {
        (*self, Room)
    }
}

#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

pub use biotope_distribution as distribution;
#[cfg(feature = "test")]
pub use biotope_macros::test;
pub use biotope_macros::{
    Actor, Message, State, boxed, cast, enter, handlers, info, init, machine, main, message, on, postpone, start,
    terminate, wire,
};
pub use biotope_runtime as runtime;
pub use biotope_runtime::*;
pub use biotope_supervision as supervision;
pub use biotope_supervision::{Task, TaskSupervisor, TaskSupervisorRef, task};
#[cfg(feature = "test")]
pub use biotope_testkit as test;

pub mod prelude;

/// What the macros' expansions name. Not for anybody else.
#[doc(hidden)]
pub mod __private {
    pub use biotope_runtime::{
        ByDebug, ByNothing, Declared, Held, Hold, MainOptions, Packed, Room, Shown, any, fits, main,
    };
    #[cfg(feature = "test")]
    pub use biotope_testkit::{TestOptions, test};
}

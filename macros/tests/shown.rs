//! What the state of an actor says of itself, where it is shown: what its `Debug` says, if it has one.

use std::fmt;

use biotope::prelude::*;

#[derive(Actor, Debug, Default)]
struct Open {
    value: u32,
}

#[handlers]
impl Open {
    fn add(&mut self, value: u32) -> u32 {
        self.value += value;
        self.value
    }
}

#[derive(Actor, Default)]
struct Closed;

#[handlers]
impl Closed {}

/// Has a `Debug` for some `T`, but not where its handlers stand.
#[derive(Actor, Debug)]
struct Holds<T: Send + 'static>(T);

#[handlers]
impl<T: Send + 'static> Holds<T> {}

#[derive(Actor, Debug)]
struct Shows<T: Send + fmt::Debug + 'static>(T);

#[handlers]
impl<T: Send + fmt::Debug + 'static> Shows<T> {}

/// What it must not show, it leaves out.
#[derive(Actor)]
struct Secretive {
    #[expect(dead_code, reason = "it is never shown")]
    key: &'static str,
}

impl fmt::Debug for Secretive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secretive").finish_non_exhaustive()
    }
}

#[handlers]
impl Secretive {}

async fn shown(pid: impl Into<Pid>) -> Option<String> {
    node().process_status(pid).await.expect("it lives").state
}

#[biotope::test(allow_leftovers)]
async fn a_state_is_shown_by_its_debug_if_it_has_one() -> biotope::Result<()> {
    let open = spawn(Open::default());
    assert_eq!(open.add(3).await?, 3);
    assert_eq!(shown(&open).await.as_deref(), Some("Open { value: 3 }"));
    assert_eq!(shown(&spawn(Closed)).await, None);
    assert_eq!(shown(&spawn(Holds(7))).await, None);
    assert_eq!(shown(&spawn(Shows(7))).await.as_deref(), Some("Shows(7)"));
    assert_eq!(shown(&spawn(Secretive { key: "secret" })).await.as_deref(), Some("Secretive { .. }"));
    Ok(())
}

//! Limits of memory in a program whose allocator does not count. With one that does: `tests/memory.rs`.

use biotope_runtime::{
    Actor, Address, Context, Error, ExitReason, Handle, Options, Process, Refused, Spec, Start, StartError, node,
    options, process, spawn_process,
};

use crate::everywhere;
use crate::probe::{down, observe};

struct Limited;

impl Actor for Limited {
    type Msg = ();
    type Client = Address<()>;
    const NAME: &'static str = "Limited";
    const OPTIONS: Options = Options { max_memory: Some(1_000_000), trap_exit: true, ..Options::DEFAULT };
}

impl Handle for Limited {
    async fn handle(&mut self, _message: (), _cx: &mut Context<Self>) {
        panic!("it must not run without its limit");
    }
}

impl Start for Limited {
    type Args = ();

    async fn start(_args: (), _cx: &mut Context<Self>) -> Result<Self, Refused> {
        panic!("it must not run without its limit");
    }
}

/// The reason says what to do.
fn assert_says_what_to_do(reason: &ExitReason) {
    assert_eq!(reason, &ExitReason::error(StartError::MemoryNotCounted));
    assert!(reason.to_string().contains("#[global_allocator] static ALLOCATOR"), "{reason}");
}

#[test]
fn who_has_a_limit_does_not_start_where_nothing_counts() {
    everywhere("who_has_a_limit_does_not_start_where_nothing_counts", || async {
        let spec = Spec::<Limited>::new(|| ()).named("limited");
        assert_eq!(spec.start().await, Err(StartError::MemoryNotCounted));
        assert_eq!(spec.start_link().await, Err(StartError::MemoryNotCounted));
        assert_eq!(node().start(&spec).await, Err(StartError::MemoryNotCounted));
        assert!(node().whereis("limited").is_none());
        Ok(())
    });
}

#[test]
fn who_is_spawned_with_a_limit_where_nothing_counts_ends_before_it_has_begun() {
    everywhere("who_is_spawned_with_a_limit_where_nothing_counts_ends_before_it_has_begun", || async {
        observe(async |mut me: Process<()>| {
            let code = process(async |_: Process<()>| -> Result<(), Error> { panic!("it must not run") });
            let monitors = [
                me.spawn_monitor(Limited).1,
                me.spawn_monitor(Spec::<Limited>::new(|| ())).1,
                me.spawn_monitor(options(code).max_memory(1_000_000)).1,
            ];
            for monitor in monitors {
                assert_says_what_to_do(&down(&mut me, monitor).await?);
            }
            Ok(())
        })
        .await
    });
}

#[test]
fn what_nobody_counts_is_not_known() {
    everywhere("what_nobody_counts_is_not_known", || async {
        let process = spawn_process(async |mut me: Process<()>| Ok(me.receive().await?));
        assert_eq!(node().process_info(process.pid()).await.and_then(|info| info.allocated), None);
        Ok(())
    });
}

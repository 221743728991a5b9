//! Process groups (area PG, on one node) and topics, through their public API, on the real scheduler and over seeds.

mod pg;
mod races;
mod topics;

use std::future::Future;

use biotope::prelude::*;

/// Runs `body` under 200 seeds in virtual time, and twenty times on the real scheduler.
fn everywhere<F>(name: &'static str, body: fn(Process<Note>) -> F)
where
    F: Future<Output = biotope::Result<()>> + Send + 'static,
{
    biotope_testkit::everywhere(name, 200, 20, move || observe(body));
}

/// What a test sends itself, to see that nothing came before it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Note;

/// Runs `body` as a process that can receive.
async fn observe<F>(body: fn(Process<Note>) -> F) -> biotope::Result<()>
where
    F: Future<Output = biotope::Result<()>> + Send + 'static,
{
    let (sender, outcome) = tokio::sync::oneshot::channel();
    spawn_process(move |me| {
        let running = body(me);
        async {
            let _ = sender.send(running.await);
            Ok(())
        }
    });
    // A panic drops the sender; its text is in the crash report.
    outcome.await?
}

/// A process that waits until it is ended.
fn idle() -> Address<Note> {
    spawn_process(async |mut me: Process<Note>| {
        loop {
            me.receive().await?;
        }
    })
}

/// Ends `process`, and waits until its end is announced.
async fn end(process: &Address<Note>) {
    let ended = node().ended(process);
    node().exit(process, ExitReason::Kill);
    ended.await;
}

/// What the next change says that `me` is told, with the group: whether processes joined, and which.
async fn change(me: &mut Process<Note>) -> biotope::Result<(MonitorRef, String, bool, Vec<Pid>)> {
    let event = me.receive_info(|info| match info {
        Info::Group(event) => Ok(event),
        other => Err(other),
    });
    let event = event.await?;
    let (has_joined, pids) = match event.change {
        GroupChange::Joined(pids) => (true, pids),
        GroupChange::Left(pids) => (false, pids),
    };
    Ok((event.reference, event.group.to_string(), has_joined, pids.to_vec()))
}

/// Asserts that nothing is in the mailbox.
async fn nothing(me: &mut Process<Note>) -> biotope::Result<()> {
    me.address().cast(Note);
    assert_eq!(me.receive_any().await?, Received::Message(Note));
    Ok(())
}

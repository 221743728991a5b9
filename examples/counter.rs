//! A counter: a process with a state of its own, and its messages as methods.
//!
//! ```text
//! cargo run --example counter
//! ```
//!
//! A call waits for its reply and a cast does not. A handler may refuse with an error of its own, and
//! may answer later. Whoever monitors a process gets one `Down` when it ends. Prints:
//!
//! ```text
//! added 2 and 3: 5
//! took 4: 1 left
//! took 4 more: refused, 1 left and 4 wanted
//! after a reset: 0
//! the counter ended: normal
//! a call to it now fails: noproc: there is no such process
//! ```

use std::fmt;

use biotope::prelude::*;

#[cfg(test)]
mod promise;

/// Counts what there is.
#[derive(Actor, Default)]
struct Counter {
    value: u64,
}

#[handlers]
impl Counter {
    /// A call: the caller awaits the reply.
    fn add(&mut self, n: u64) -> u64 {
        self.value += n;
        self.value
    }

    /// A call that can be refused. An error of this kind does not end the process.
    fn take(&mut self, n: u64) -> Result<u64, TooFew> {
        self.value = self.value.checked_sub(n).ok_or(TooFew { left: self.value, wanted: n })?;
        Ok(self.value)
    }

    /// A cast: nobody waits for it.
    #[cast]
    fn reset(&mut self) {
        self.value = 0;
    }
}

#[derive(Debug, PartialEq)]
struct TooFew {
    left: u64,
    wanted: u64,
}

impl fmt::Display for TooFew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} left and {} wanted", self.left, self.wanted)
    }
}

/// Waits for the end of a counter.
#[derive(Actor, Default)]
struct Watcher {
    told: Option<ReplyTo<ExitReason>>,
}

#[handlers]
impl Watcher {
    /// From its return on, the end of `counter` will be heard of.
    fn watch(&mut self, counter: ActorRef<Counter>, cx: &mut Context<Self>) {
        cx.monitor(&counter);
    }

    /// A call that is answered later: when the `Down` comes.
    fn end(&mut self, reply: ReplyTo<ExitReason>) {
        self.told = Some(reply);
    }

    #[info]
    fn on_down(&mut self, down: Down) {
        if let Some(reply) = self.told.take() {
            reply.send(down.reason);
        }
    }
}

#[biotope::main]
async fn main() -> biotope::Result<()> {
    count(|line| println!("{line}")).await
}

/// All that this shows, line by line.
async fn count(mut print: impl FnMut(String) + Send) -> biotope::Result<()> {
    let counter = spawn(Counter::default());
    counter.add(2).await?;
    let sum = counter.add(3).await?;
    print(format!("added 2 and 3: {sum}"));
    assert_eq!(sum, 5);

    print(format!("took 4: {} left", counter.take(4).await?));
    let refused = counter.take(4).await;
    assert_eq!(refused, Err(CallError::Reply(TooFew { left: 1, wanted: 4 })));
    if let Err(error) = refused {
        print(format!("took 4 more: refused, {error}"));
    }

    // What one process sends another arrives in order, so the reply is of after the reset.
    counter.reset();
    let value = counter.add(0).await?;
    print(format!("after a reset: {value}"));
    assert_eq!(value, 0);

    let watcher = spawn(Watcher::default());
    watcher.watch(counter.clone()).await?;
    let end = watcher.end().send();
    counter.stop();
    let reason = end.await?;
    print(format!("the counter ended: {reason}"));
    assert_eq!(reason, ExitReason::Normal);

    let failed = counter.add(1).await;
    assert_eq!(failed, Err(CallFailed::NoProc));
    if let Err(failed) = failed {
        print(format!("a call to it now fails: {failed}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[biotope::test(seeds = 50, allow_leftovers)]
    async fn it_prints_what_its_header_promises() -> biotope::Result<()> {
        let mut printed = Vec::new();
        count(|line| printed.push(line)).await?;
        assert_eq!(promise::kept(&printed.join("\n"), &promise::in_header(include_str!("counter.rs"))), Ok(()));
        Ok(())
    }
}

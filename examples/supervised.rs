//! A till that crashes, and the supervisor that opens another one.
//!
//! ```text
//! cargo run --example supervised
//! ```
//!
//! The till is known by its name: the name follows a restart, a reference does not. The crash report
//! goes to standard error; the new till's state is fresh. Prints:
//!
//! ```text
//! the first till has sold 2
//! it crashed: panicked: the drawer is stuck (at examples/supervised.rs:…)
//! a call to the old reference fails: noproc: there is no such process
//! the till that took its place has sold 0
//! tills that were opened: 2, of which are open: 1
//! ```

use biotope::prelude::*;

#[cfg(test)]
mod promise;

/// Counts what it has sold.
#[derive(Actor)]
struct Till {
    sold: u32,
}

#[handlers]
impl Till {
    /// How it is made, also after a crash: its arguments come from its specification.
    #[start]
    fn open(customer: Address<Said>) -> Self {
        customer.cast(Said::Opened);
        Self { sold: 0 }
    }

    fn sell(&mut self) -> u32 {
        self.sold += 1;
        self.sold
    }

    fn sold(&self) -> u32 {
        self.sold
    }

    #[cast]
    fn jam(&mut self) {
        panic!("the drawer is stuck");
    }
}

/// What reaches the customer.
enum Said {
    /// Please visit the shop; answered after the visit.
    Visit(ReplyTo<()>),
    /// A till has opened.
    Opened,
}

#[biotope::main]
async fn main() -> biotope::Result<()> {
    shop(|line| println!("{line}")).await
}

/// All that this shows, line by line.
async fn shop(print: impl FnMut(String) + Send + 'static) -> biotope::Result<()> {
    let customer = spawn_process(move |me| visit(me, print));
    // If the customer should crash, this fails at once, with its reason.
    Call::new(&customer, Said::Visit).timeout(secs(30)).await?;
    Ok(())
}

/// A process in straight-line code: it receives when it wants to, and what it wants to.
async fn visit(mut me: Process<Said>, mut print: impl FnMut(String) + Send) -> biotope::Result<()> {
    let bell = me.address();
    let shop = Supervisor::one_for_one()
        .intensity(3, secs(5))
        .child(Till::spec_with(move || bell.clone()).named("till").restart(Permanent))
        .start_link()
        .await?;

    let first = next_till(&mut me).await?;
    first.sell().await?;
    print(format!("the first till has sold {}", first.sell().await?));

    let watch = me.monitor(&first);
    first.jam();
    let down = me.receive_info(move |info| match info {
        Info::Down(down) if down.reference == watch => Ok(down),
        other => Err(other),
    });
    let reason = down.await?.reason;
    print(format!("it crashed: {reason}"));
    assert!(matches!(&reason, ExitReason::Panic(report) if report.message == "the drawer is stuck"));

    let failed = first.sell().await;
    assert_eq!(failed, Err(CallFailed::NoProc));
    if let Err(failed) = failed {
        print(format!("a call to the old reference fails: {failed}"));
    }

    let second = next_till(&mut me).await?;
    let sold = second.sold().await?;
    print(format!("the till that took its place has sold {sold}"));
    assert_ne!(first, second);
    assert_eq!(sold, 0);

    let open = shop.count_children().await?.active;
    print(format!("tills that were opened: 2, of which are open: {open}"));
    assert_eq!(open, 1);

    // It has waited in the mailbox all the time.
    let Said::Visit(asked) = me.receive().await? else { panic!("a third till has opened") };
    asked.send(());
    Ok(())
}

/// Waits until a till has opened, and finds it by its name.
async fn next_till(me: &mut Process<Said>) -> biotope::Result<ActorRef<Till>> {
    me.receive_match(|said| matches!(said, Said::Opened)).timeout(secs(10)).await?;
    let till = node().lookup::<Till>("till");
    // The name is registered before the till does anything, so also before it rang.
    Ok(till.expect("a till that has opened has its name"))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[biotope::test(seeds = 50, allow_crashes)]
    async fn it_prints_what_its_header_promises() -> biotope::Result<()> {
        let (printer, printed) = mpsc::channel();
        shop(move |line| printer.send(line).expect("the test reads it")).await?;
        let printed: Vec<String> = printed.try_iter().collect();
        assert_eq!(promise::kept(&printed.join("\n"), &promise::in_header(include_str!("supervised.rs"))), Ok(()));
        Ok(())
    }
}

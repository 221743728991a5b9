//! A deadlock, found and named: three processes of which each waits for the next.
//!
//! ```text
//! cargo run --example deadlock
//! ```
//!
//! The waiter asks the kitchen, the kitchen the storeroom, and the storeroom the waiter, who does not answer: he waits. In debug
//! builds, seeded runs, and where the runtime is told to, this is found while it happens, and each of the three calls fails
//! with the whole cycle. Elsewhere `Node::call_cycles` finds it on demand, and whoever looks can end one of the three. Prints:
//!
//! ```text
//! found while it happens, each of them calls the next, and the last the first:
//! waiter <…> in `order`
//! kitchen <…> in `cook`
//! storeroom <…> in `fetch`
//! the waiter goes on: 1 order taken
//! found on demand:
//! waiter <…> in `order`
//! kitchen <…> in `cook`
//! storeroom <…> in `fetch`
//! the storeroom is closed, and the order fails: the process ended before it replied: killed
//! without the question: soup is served
//! ```

use std::sync::mpsc;
use std::thread;

use biotope::prelude::*;
use biotope::{CallCycle, run, time};

/// Takes orders.
#[derive(Actor)]
struct Waiter {
    kitchen: ActorRef<Kitchen>,
    orders: usize,
}

#[handlers]
impl Waiter {
    async fn order(&mut self, dish: &str) -> Result<String, CallFailed> {
        self.orders += 1;
        self.kitchen.cook(dish).await.map_err(CallError::flat)
    }

    /// Whether somebody still waits for the dish.
    fn is_wanted(&self, _dish: &str) -> bool {
        self.orders > 0
    }

    fn orders(&self) -> usize {
        self.orders
    }
}

#[derive(Actor)]
struct Kitchen {
    storeroom: ActorRef<Storeroom>,
}

#[handlers]
impl Kitchen {
    async fn cook(&mut self, dish: &str) -> Result<String, CallFailed> {
        self.storeroom.fetch(dish).await.map_err(CallError::flat)?;
        Ok(format!("{dish} is served"))
    }
}

#[derive(Actor, Default)]
struct Storeroom {
    /// Whom it asks before it gives anything away.
    asks: Option<ActorRef<Waiter>>,
}

#[handlers]
impl Storeroom {
    #[cast]
    fn ask_first(&mut self, waiter: ActorRef<Waiter>) {
        self.asks = Some(waiter);
    }

    async fn fetch(&mut self, dish: &str) -> Result<(), CallFailed> {
        if let Some(waiter) = &self.asks {
            // This closes the circle: the waiter waits for the kitchen, which waits for this.
            waiter.is_wanted(dish).await?;
        }
        Ok(())
    }
}

/// Opens a restaurant.
fn open(has_question: bool) -> biotope::Result<(ActorRef<Waiter>, ActorRef<Storeroom>)> {
    let storeroom = spawn(Storeroom::default());
    let kitchen = spawn(Kitchen { storeroom: storeroom.clone() });
    let waiter = spawn(Waiter { kitchen: kitchen.clone(), orders: 0 });
    node().register("storeroom", &storeroom)?;
    node().register("kitchen", &kitchen)?;
    node().register("waiter", &waiter)?;
    if has_question {
        storeroom.ask_first(waiter.clone());
    }
    Ok((waiter, storeroom))
}

/// Where the lines go.
type Lines = mpsc::Sender<String>;

/// Tells who waits, from `first` on.
fn tell(cycle: &CallCycle, first: Pid, lines: &Lines) -> biotope::Result<()> {
    let members = cycle.members();
    let at = members.iter().position(|member| member.pid == first).unwrap_or_default();
    for member in members[at..].iter().chain(&members[..at]) {
        lines.send(member.to_string())?;
    }
    Ok(())
}

/// The runtime looks for cycles, and each call of this one fails.
async fn found_while_it_happens(lines: Lines) -> biotope::Result<()> {
    lines.send("found while it happens, each of them calls the next, and the last the first:".to_owned())?;
    let (waiter, _) = open(true)?;
    let Err(CallFailed::Cycle(cycle)) = waiter.order("soup").await.map_err(CallError::flat) else {
        return Err(ExitReason::value("no cycle was found").into());
    };
    tell(&cycle, waiter.pid(), &lines)?;
    lines.send(format!("the waiter goes on: {} order taken", waiter.orders().await?))?;
    Ok(())
}

/// Somebody looks, and ends one of them.
async fn found_on_demand(lines: Lines) -> biotope::Result<()> {
    lines.send("found on demand:".to_owned())?;
    let (waiter, storeroom) = open(true)?;
    let order = waiter.order("soup").send();
    let cycle = loop {
        match node().call_cycles().pop() {
            Some(cycle) => break cycle,
            None => time::sleep(millis(1)).await,
        }
    };
    tell(&cycle, waiter.pid(), &lines)?;
    node().exit(&storeroom, ExitReason::Kill);
    if let Err(failed) = order.await.map_err(CallError::flat) {
        lines.send(format!("the storeroom is closed, and the order fails: {failed}"))?;
    }
    Ok(())
}

/// The storeroom asks nobody.
async fn without_the_question(lines: Lines) -> biotope::Result<()> {
    let (waiter, _) = open(false)?;
    lines.send(format!("without the question: {}", waiter.order("soup").await.map_err(CallError::flat)?))?;
    Ok(())
}

/// All three, one after the other.
fn show(lines: &Lines) -> biotope::Result<()> {
    let looking = |looks| Runtime::builder().find_call_cycles(looks);
    run(looking(true), "first", found_while_it_happens(lines.clone()))??;
    run(looking(false), "second", found_on_demand(lines.clone()))??;
    run(looking(true), "third", without_the_question(lines.clone()))??;
    Ok(())
}

fn main() -> biotope::Result<()> {
    let (lines, printed) = mpsc::channel();
    let printer = thread::spawn(move || printed.iter().for_each(|line| println!("{line}")));
    let shown = show(&lines);
    drop(lines);
    let _ = printer.join();
    shown
}

#[cfg(test)]
mod promise;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_prints_what_its_header_promises() {
        let (lines, printed) = mpsc::channel();
        let shown = show(&lines);
        drop(lines);
        let printed: Vec<String> = printed.iter().collect();
        assert_eq!(promise::kept(&printed.join("\n"), &promise::in_header(include_str!("deadlock.rs"))), Ok(()));
        shown.expect("all is shown");
    }
}

//! Many requests at once: who answers first comes first, one deadline for all, and a second try before the first has
//! failed.
//!
//! ```text
//! cargo run --example requests
//! ```
//!
//! Shops are asked what tea costs, and each takes its time to answer. In the test time is virtual, and each answer comes
//! in the millisecond in which it should. Prints:
//!
//! ```text
//! asked 4 at once: market 9, corner 12, port 7
//! not in time: tent
//! asked the corner, then the market too, and the market was first: market 9
//! the corner's answer came too late and went nowhere; asked again, it says 12
//! asked the market, which was quick: market 9; the corner was not asked
//! stock of all, in the order asked: market 3, corner 4, stall closed, port 0
//! ```

use std::time::Instant;

use biotope::prelude::*;
use biotope::{Requests, multi_call};

#[cfg(test)]
mod promise;

/// Says what its tea costs, after a while. It serves others meanwhile.
#[derive(Actor)]
struct Shop {
    price: u32,
    stock: u32,
    slowness: Duration,
    asked: u32,
    /// How often whoever had asked was gone when it answered.
    too_late: u32,
}

#[handlers]
impl Shop {
    fn price(&mut self, reply: ReplyTo<u32>, cx: &mut Context<Self>) {
        self.asked += 1;
        let question = Question { reply };
        cx.tell_after(self.slowness, |me| me.answer(question));
    }

    #[cast]
    fn answer(&mut self, question: Question) {
        let Question { reply } = question;
        self.too_late += u32::from(reply.is_abandoned());
        reply.send(self.price);
    }

    fn stock(&self) -> u32 {
        self.stock
    }

    fn asked(&self) -> u32 {
        self.asked
    }

    fn too_late(&self) -> u32 {
        self.too_late
    }
}

/// What a shop has been asked, for itself to answer later.
struct Question {
    reply: ReplyTo<u32>,
}

/// A shop, with its name.
type Listed = (&'static str, ActorRef<Shop>);

fn open(name: &'static str, price: u32, stock: u32, slowness: Duration) -> Listed {
    (name, spawn(Shop { price, stock, slowness, asked: 0, too_late: 0 }))
}

/// What came of asking many.
#[derive(Debug, Default, PartialEq)]
struct Gathered {
    /// In the order in which they came.
    prices: Vec<(&'static str, u32)>,
    failed: Vec<(&'static str, CallFailed)>,
}

/// Asks all shops at once, and waits until each has answered, or until `deadline`: one for all, however many they are.
async fn gather(shops: &[Listed], deadline: Instant) -> Gathered {
    let asked = shops.iter().map(|(name, shop)| (*name, shop.price().deadline(deadline).send()));
    let mut requests: Requests<&str, u32> = asked.collect();
    let mut gathered = Gathered::default();
    while let Some((name, answer)) = requests.next().await {
        match answer {
            Ok(price) => gathered.prices.push((name, price)),
            Err(failed) => gathered.failed.push((name, failed)),
        }
    }
    gathered
}

/// Asks the first shop, and one more each time that there was no answer for as long as `patience`, or only a failure. The
/// first price counts; with the requests, the answers that are still to come are given up.
async fn hedge(shops: &[Listed], patience: Duration, deadline: Instant) -> Result<(&'static str, u32), CallFailed> {
    let mut requests: Requests<&str, u32> = Requests::new();
    let mut failure = CallFailed::NoProc;
    let mut others = shops.iter();
    loop {
        if let Some((name, shop)) = others.next() {
            requests.add(name, shop.price().deadline(deadline).send());
        }
        let answer = match others.len() {
            0 => requests.next().await,
            // An answer that is not there in time is not lost: it may still be the first.
            _ => match time::timeout(patience, requests.next()).await {
                Ok(answer) => answer,
                Err(time::Elapsed) => continue,
            },
        };
        match answer {
            Some((name, Ok(price))) => return Ok((name, price)),
            Some((_, Err(failed))) => failure = failed,
            None => return Err(failure),
        }
    }
}

#[biotope::main]
async fn main() -> biotope::Result<()> {
    shopping(|line| println!("{line}")).await
}

/// All that this shows, line by line.
async fn shopping(mut print: impl FnMut(String) + Send) -> biotope::Result<()> {
    let market = open("market", 9, 3, millis(100));
    let corner = open("corner", 12, 4, millis(400));
    let port = open("port", 7, 0, millis(700));
    let tent = open("tent", 1, 0, secs(3600));

    let shops = [tent, port.clone(), corner.clone(), market.clone()];
    let gathered = gather(&shops, time::now() + secs(2)).await;
    print(format!("asked {} at once: {}", shops.len(), list(gathered.prices)));
    print(format!("not in time: {}", list(gathered.failed.iter().map(|(name, _)| (*name, "")))));
    assert_eq!(gathered.failed, [("tent", CallFailed::Timeout)]);

    let shops = [corner.clone(), market.clone()];
    let first = hedge(&shops, millis(100), time::now() + secs(2)).await?;
    print(format!("asked the corner, then the market too, and the market was first: {}", list([first])));

    // It was asked later than the other time, so it answers later.
    let price = corner.1.price().await?;
    assert_eq!(corner.1.too_late().await?, 1);
    print(format!("the corner's answer came too late and went nowhere; asked again, it says {price}"));

    let before = corner.1.asked().await?;
    let shops = [market.clone(), corner.clone()];
    let first = hedge(&shops, millis(400), time::now() + secs(2)).await?;
    assert_eq!(corner.1.asked().await?, before);
    print(format!("asked the market, which was quick: {}; the corner was not asked", list([first])));

    let stall = open("stall", 0, 0, Duration::ZERO);
    stall.1.stop();
    node().ended(&stall.1).await;
    let stock = multi_call([market, corner, stall, port], |(_, shop)| shop.stock().timeout(secs(1)).send()).await;
    let stock = stock.into_iter().map(|((name, _), stock)| match stock {
        Ok(stock) => (name, stock.to_string()),
        Err(_) => (name, "closed".to_owned()),
    });
    print(format!("stock of all, in the order asked: {}", list(stock)));
    Ok(())
}

fn list(what: impl IntoIterator<Item = (&'static str, impl ToString)>) -> String {
    let items = what.into_iter().map(|(name, what)| format!("{name} {}", what.to_string()).trim_end().to_owned());
    items.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[biotope::test(seeds = 50, allow_leftovers)]
    async fn it_prints_what_its_header_promises() -> biotope::Result<()> {
        let mut printed = Vec::new();
        shopping(|line| printed.push(line)).await?;
        assert_eq!(promise::kept(&printed.join("\n"), &promise::in_header(include_str!("requests.rs"))), Ok(()));
        Ok(())
    }

    #[biotope::test(seeds = 10, allow_leftovers)]
    async fn one_deadline_is_that_of_all() {
        let shops: Vec<Listed> = (1..=1_000).map(|n| open("stall", n, 0, millis(u64::from(n)))).collect();
        let start = time::now();
        let gathered = gather(&shops, start + millis(300)).await;
        assert_eq!(time::now() - start, millis(300));
        // Those whose answer is due at the deadline itself may be either.
        assert!((299..=300).contains(&gathered.prices.len()), "{} have answered", gathered.prices.len());
        assert!(gathered.prices.is_sorted_by_key(|(_, price)| price));
        assert_eq!(gathered.prices.len() + gathered.failed.len(), 1_000);
        assert!(gathered.failed.iter().all(|(_, failed)| *failed == CallFailed::Timeout));
    }

    #[biotope::test(seeds = 10, allow_leftovers)]
    async fn all_are_asked_at_once() {
        let shops: Vec<Listed> = (0..1_000).map(|n| open("stall", n, 0, secs(1))).collect();
        let start = time::now();
        let gathered = gather(&shops, start + secs(2)).await;
        assert_eq!((gathered.prices.len(), time::now() - start), (1_000, secs(1)));
    }

    /// What a hedge of shops that take so many milliseconds comes to, after how many.
    async fn hedged(slowness: &[u64]) -> (Result<(&'static str, u32), CallFailed>, Duration) {
        let names = ["first", "second", "third"];
        let shops: Vec<Listed> = names.iter().zip(slowness).map(|(name, ms)| open(name, 1, 0, millis(*ms))).collect();
        let start = time::now();
        let outcome = hedge(&shops, millis(10), start + secs(1)).await;
        (outcome, time::now() - start)
    }

    #[biotope::test(seeds = 50, allow_leftovers)]
    async fn the_next_is_asked_when_patience_ends_and_the_first_answer_counts() {
        assert_eq!(hedged(&[9, 1, 1]).await, (Ok(("first", 1)), millis(9)));
        assert_eq!(hedged(&[30, 5, 1]).await, (Ok(("second", 1)), millis(15)));
        // The first is slow, and is before the second all the same.
        assert_eq!(hedged(&[14, 5, 1]).await, (Ok(("first", 1)), millis(14)));
        assert_eq!(hedged(&[70, 60, 1]).await, (Ok(("third", 1)), millis(21)));
        assert_eq!(hedged(&[70, 61, 70]).await, (Ok(("first", 1)), millis(70)));
    }

    #[biotope::test(seeds = 50, allow_leftovers)]
    async fn a_hedge_ends_at_its_deadline_and_goes_on_at_once_after_a_failure() {
        assert_eq!(hedged(&[5_000, 5_000]).await, (Err(CallFailed::Timeout), secs(1)));
        let (closed, market) = (open("closed", 0, 0, Duration::ZERO), open("market", 9, 0, millis(3)));
        closed.1.stop();
        node().ended(&closed.1).await;
        let start = time::now();
        let outcome = hedge(&[closed.clone(), market], millis(10), start + secs(1)).await;
        assert_eq!((outcome, time::now() - start), (Ok(("market", 9)), millis(3)));
        assert_eq!(hedge(&[closed], millis(10), start + secs(1)).await, Err(CallFailed::NoProc));
    }
}

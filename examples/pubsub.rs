//! A feed of prices with three subscribers that lag, each in its own way.
//!
//! ```text
//! cargo run --example pubsub
//! ```
//!
//! An exchange publishes prices, and does not know who hears them. The ledger must not miss one: it has the exchange wait for
//! it. The chart draws slowly, and wants the newest: the oldest are dropped, and it is told how many. The mirror would have to
//! have all, and is too slow: it is cut off, so that nobody waits for it, and is told so. Prints:
//!
//! ```text
//! the ledger has booked 50 prices, in order, and missed none
//! the chart has drawn … prices, the last one too, and missed …
//! the mirror was cut off after … prices, in order
//! the exchange has published 50 prices and waited for the ledger: … were dropped, 1 subscriber was cut off
//! ```

use std::sync::mpsc;

use biotope::prelude::*;
use biotope::{TopicStats, run};

/// How many prices there are.
const PRICES: usize = 50;
/// How long the exchange takes from one price to the next, and how long a subscriber takes for one.
const PERIOD: Duration = millis(1);
const BOOKING: Duration = millis(2);
const DRAWING: Duration = millis(9);
const COPYING: Duration = millis(20);

/// What is published.
#[derive(Debug)]
struct Price {
    number: usize,
    cents: u64,
}

/// Hears prices, and takes its time for each.
#[derive(Actor)]
struct Subscriber {
    lag: Lag,
    takes: Duration,
    report: Report,
    /// Who is told when there is nothing more to hear.
    waits: Option<ReplyTo<Report>>,
}

/// What a subscriber has heard.
#[derive(Clone, Debug, Default, PartialEq)]
struct Report {
    prices: Vec<usize>,
    missed: u64,
    is_cut_off: bool,
    is_over: bool,
}

#[handlers]
impl Subscriber {
    /// Subscribes. It keeps no handle to the topic, so that this is over when nobody publishes any more.
    fn hear(&mut self, prices: Topic<Price>, cx: &mut Context<Self>) {
        let heard = prices.subscribe_as(cx, self.lag);
        cx.source(heard, |me, heard| me.on_heard(heard)).then(|me| me.on_over()).attach();
    }

    async fn on_heard(&mut self, heard: Heard<Price>) {
        match heard {
            Heard::Event(price) => {
                // It would be booked, drawn or copied here.
                assert!(price.cents > 0);
                time::sleep(self.takes).await;
                self.report.prices.push(price.number);
            }
            Heard::Missed(prices) => self.report.missed += prices,
            Heard::CutOff => self.report.is_cut_off = true,
        }
    }

    #[cast]
    fn on_over(&mut self) {
        self.report.is_over = true;
        self.tell();
    }

    /// Answers when there is nothing more to hear.
    fn report(&mut self, reply: ReplyTo<Report>) {
        self.waits = Some(reply);
        self.tell();
    }
}

impl Subscriber {
    fn new(lag: Lag, takes: Duration) -> Self {
        Self { lag, takes, report: Report::default(), waits: None }
    }

    fn tell(&mut self) {
        if self.report.is_over
            && let Some(reply) = self.waits.take()
        {
            reply.send(self.report.clone());
        }
    }
}

/// Publishes a price from time to time, as soon as it may.
async fn exchange(prices: Topic<Price>) -> biotope::Result<()> {
    for number in 0..PRICES {
        time::sleep(PERIOD).await;
        let cents = 10_000 + node().runtime().random() % 100;
        prices.publish(Price { number, cents }).await?;
    }
    Ok(())
}

/// What all have heard: the ledger, the chart, the mirror.
struct Day {
    reports: [Report; 3],
    stats: TopicStats,
    /// How long it took to publish all prices.
    took: Duration,
}

/// One day at the exchange.
async fn day() -> biotope::Result<Day> {
    let prices = Topic::new();
    let ledger = spawn(Subscriber::new(Lag::Suspend(4), BOOKING));
    let chart = spawn(Subscriber::new(Lag::DropOldest(1), DRAWING));
    let mirror = spawn(Subscriber::new(Lag::CutOff(5), COPYING));
    for subscriber in [&ledger, &chart, &mirror] {
        subscriber.hear(prices.clone()).await?;
    }
    let begin = time::now();
    exchange(prices.clone()).await?;
    let (stats, took) = (prices.stats(), time::now() - begin);
    // It was the last handle: they hear what waits, and then no more.
    drop(prices);
    Ok(Day { reports: [ledger.report().await?, chart.report().await?, mirror.report().await?], stats, took })
}

fn is_in_order(prices: &[usize]) -> &'static str {
    if prices.is_sorted() { "in order" } else { "out of order" }
}

/// The day, in lines.
fn told(day: &Day) -> Vec<String> {
    let [ledger, chart, mirror] = &day.reports;
    let last = if chart.prices.last() == Some(&(PRICES - 1)) { "the last one too" } else { "not the last one" };
    let missed = if ledger.missed == 0 { "none".to_owned() } else { ledger.missed.to_string() };
    let waited = if day.took > PERIOD * PRICES as u32 * 3 / 2 { "waited" } else { "did not wait" };
    vec![
        format!(
            "the ledger has booked {} prices, {}, and missed {missed}",
            ledger.prices.len(),
            is_in_order(&ledger.prices)
        ),
        format!("the chart has drawn {} prices, {last}, and missed {}", chart.prices.len(), chart.missed),
        format!("the mirror was cut off after {} prices, {}", mirror.prices.len(), is_in_order(&mirror.prices)),
        format!(
            "the exchange has published {} prices and {waited} for the ledger: {} were dropped, {} subscriber was cut off",
            day.stats.published, day.stats.dropped, day.stats.cut_off
        ),
    ]
}

/// A day on the runtime that `builder` makes.
fn show(builder: biotope::RuntimeBuilder) -> biotope::Result<Day> {
    let (sender, shown) = mpsc::channel();
    run(builder, "market", async move {
        sender.send(day().await?)?;
        Ok(())
    })??;
    Ok(shown.recv()?)
}

fn main() -> biotope::Result<()> {
    told(&show(Runtime::builder())?).iter().for_each(|line| println!("{line}"));
    Ok(())
}

#[cfg(test)]
mod promise;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_prints_what_its_header_promises() {
        let printed = told(&show(Runtime::builder()).expect("it is shown")).join("\n");
        assert_eq!(promise::kept(&printed, &promise::in_header(include_str!("pubsub.rs"))), Ok(()));
    }

    /// Goal: whatever the order of turns, each hears what its lag promises.
    #[test]
    fn each_hears_what_it_has_chosen() {
        for seed in 0..200 {
            let Day { reports: [ledger, chart, mirror], stats, .. } =
                show(Runtime::builder().seeded(seed)).expect("it is shown");
            let all = Report { prices: (0..PRICES).collect(), is_over: true, ..Report::default() };
            assert_eq!(ledger, all, "under seed {seed}");
            assert_eq!(chart.prices.len() as u64 + chart.missed, PRICES as u64, "under seed {seed}");
            assert_eq!((chart.prices.is_sorted(), chart.missed), (true, stats.dropped), "under seed {seed}");
            assert_eq!(chart.prices.last(), Some(&(PRICES - 1)), "the newest is never dropped, under seed {seed}");
            // What was published before it had fallen too far behind, without a gap.
            assert!(mirror.prices.iter().copied().eq(0..mirror.prices.len()), "under seed {seed}");
            assert!(mirror.is_cut_off && mirror.missed == 0 && mirror.is_over);
            assert_eq!((stats.published, stats.cut_off), (PRICES as u64, 1));
        }
    }

    /// Goal: in virtual time, a day is known to the millisecond.
    #[test]
    fn the_exchange_goes_as_fast_as_the_ledger_books() {
        let day = show(Runtime::builder().seeded(0)).expect("it is shown");
        assert!(day.took >= BOOKING * (PRICES - 6) as u32, "{:?}", day.took);
        assert_eq!(day.reports[2].prices.len(), 6, "one that it copies, and five that wait");
    }
}

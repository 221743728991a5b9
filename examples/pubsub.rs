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
enum Feed {
    Price {
        number: usize,
        cents: u64,
    },
    /// There are no more prices today.
    Closed,
}

/// Hears the feed, and takes its time for each price.
#[derive(Actor)]
struct Subscriber {
    feed: Topic<Feed>,
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
    is_closed: bool,
}

#[handlers]
impl Subscriber {
    #[init]
    fn begin(&mut self, cx: &mut Context<Self>) {
        cx.subscribe(&self.feed, self.lag, |me, heard| me.on_heard(heard));
    }

    async fn on_heard(&mut self, heard: Heard<Feed>) {
        match heard {
            Heard::Event(feed) => match *feed {
                Feed::Price { number, cents } => {
                    // It would be written down, drawn or sent here.
                    assert!(cents > 0);
                    time::sleep(self.takes).await;
                    self.report.prices.push(number);
                }
                Feed::Closed => self.report.is_closed = true,
            },
            Heard::Missed(prices) => self.report.missed += prices,
            Heard::CutOff => self.report.is_cut_off = true,
        }
        self.tell();
    }

    /// Answers when the feed is closed, or this was cut off.
    fn report(&mut self, reply: ReplyTo<Report>) {
        self.waits = Some(reply);
        self.tell();
    }
}

impl Subscriber {
    fn of(feed: &Topic<Feed>, lag: Lag, takes: Duration) -> Self {
        Self { feed: feed.clone(), lag, takes, report: Report::default(), waits: None }
    }

    fn tell(&mut self) {
        if (self.report.is_closed || self.report.is_cut_off)
            && let Some(reply) = self.waits.take()
        {
            reply.send(self.report.clone());
        }
    }
}

/// Publishes a price from time to time, as soon as it may.
async fn exchange(feed: Topic<Feed>) -> biotope::Result<()> {
    for number in 0..PRICES {
        time::sleep(PERIOD).await;
        let cents = 10_000 + node().runtime().random() % 100;
        feed.publish(Feed::Price { number, cents }).await?;
    }
    feed.publish(Feed::Closed).await?;
    Ok(())
}

/// What all have heard: the ledger, the chart, the mirror.
struct Day {
    reports: [Report; 3],
    stats: TopicStats,
    took: Duration,
}

/// One day at the exchange.
async fn day() -> biotope::Result<Day> {
    let feed = Topic::new();
    let ledger = spawn(Subscriber::of(&feed, Lag::Suspend(4), BOOKING));
    let chart = spawn(Subscriber::of(&feed, Lag::DropOldest(1), DRAWING));
    let mirror = spawn(Subscriber::of(&feed, Lag::CutOff(5), COPYING));
    // When they answer, or may be asked, they are subscribed.
    let (ledger, chart, mirror) =
        (ledger.report().timeout(secs(60)), chart.report().timeout(secs(60)), mirror.report().timeout(secs(60)));
    let (ledger, chart, mirror) = (ledger.send(), chart.send(), mirror.send());
    let begin = time::now();
    let opens = feed.clone();
    let exchange = spawn_process(async move |_: Process<()>| {
        while opens.stats().subscribers < 3 {
            time::sleep(PERIOD).await;
        }
        exchange(opens).await
    });
    let closes = node().ended(exchange.pid());
    let reports = [ledger.await?, chart.await?, mirror.await?];
    closes.await;
    Ok(Day { reports, stats: feed.stats(), took: time::now() - begin })
}

fn is_in_order(prices: &[usize]) -> &'static str {
    if prices.is_sorted() { "in order" } else { "out of order" }
}

/// The day, in lines.
fn told(day: &Day) -> Vec<String> {
    let [ledger, chart, mirror] = &day.reports;
    let last = if chart.prices.last() == Some(&(PRICES - 1)) { "the last one too" } else { "not the last one" };
    let missed = if ledger.missed == 0 { "none".to_owned() } else { ledger.missed.to_string() };
    let waited = if day.took > BOOKING * PRICES as u32 / 2 { "waited" } else { "did not wait" };
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
            day.stats.published - 1,
            day.stats.dropped,
            day.stats.cut_off
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
            let all = Report { prices: (0..PRICES).collect(), is_closed: true, ..Report::default() };
            assert_eq!(ledger, all, "under seed {seed}");
            assert_eq!(chart.prices.len() as u64 + chart.missed, PRICES as u64, "under seed {seed}");
            assert_eq!((chart.prices.is_sorted(), chart.missed), (true, stats.dropped), "under seed {seed}");
            // What was published before it had fallen too far behind, without a gap.
            assert!(mirror.prices.iter().copied().eq(0..mirror.prices.len()), "under seed {seed}");
            assert!(mirror.is_cut_off && mirror.missed == 0 && !mirror.is_closed);
            assert_eq!((stats.published, stats.cut_off), (PRICES as u64 + 1, 1));
        }
    }

    /// Goal: in virtual time, a day is known to the millisecond.
    #[test]
    fn the_exchange_goes_as_fast_as_the_ledger_books() {
        let day = show(Runtime::builder().seeded(0)).expect("it is shown");
        assert!(day.took >= BOOKING * PRICES as u32, "{:?}", day.took);
        assert_eq!(day.reports[2].prices.len(), 6, "one that it copies, and five that wait");
    }
}

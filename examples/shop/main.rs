//! A shop and the store that it needs: two applications of one node, configured by a file and by the environment, started in
//! phases and stopped in order.
//!
//! ```text
//! cargo run --example shop
//! SHOP_TILLS=5 cargo run --example shop -- --forever      # until Ctrl-C; a second one hurries
//! cargo run --example shop -- --forever --probe 127.0.0.1:8080
//! ```
//!
//! The store keeps what is sold. The shop takes stock, opens its tills, and then its doors; customers come to any till. When it
//! is told to stop it closes the doors first, so that nobody is turned away in the middle, then the tills, and the store after
//! all that needs it. A wrong value is told with the place where it was said, before anything starts.
//!
//! Prints:
//!
//! ```text
//! first with SHOP_TILLS=many: configuration of `shop`: environment variable SHOP_TILLS: `tills`: expected usize, found string "many"
//! then with shop.toml: 3 tills, 2ms for each customer, the owner's pin is ***
//! phase `take stock`: 20 pieces on 2 shelves of the store, whose floor is cool
//! phase `open the doors`: customers come
//! store: running, ready
//! shop: running, ready
//! 30 customers came: 20 were served, 10 found the shelves empty
//! the doors are closed
//! the tills are closed
//! the store is locked, with 0 pieces left
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use biotope::prelude::*;
use biotope::supervision::Secret;
use clap::Parser;
use serde::Deserialize;

#[cfg(test)]
#[path = "../promise/mod.rs"]
mod promise;

/// Runs a shop.
#[derive(Parser)]
struct Options {
    /// Where its configuration is.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/shop/shop.toml"))]
    config: PathBuf,
    /// How many customers come.
    #[arg(long, default_value_t = 30)]
    customers: usize,
    /// Stays open until SIGTERM or Ctrl-C.
    #[arg(long)]
    forever: bool,
    /// Tells its health by HTTP here.
    #[arg(long)]
    probe: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct ShopConfig {
    tills: usize,
    /// How long a customer takes.
    service: Duration,
    owner_pin: Secret<String>,
}

#[derive(Deserialize)]
struct StoreConfig {
    floor: String,
    shelves: BTreeMap<String, u32>,
}

/// Says a line.
type Say = Arc<dyn Fn(String) + Send + Sync>;

/// What is on the shelves.
#[derive(Actor)]
struct Stock {
    shelves: BTreeMap<String, u32>,
}

#[handlers]
impl Stock {
    #[start]
    fn fill(shelves: BTreeMap<String, u32>) -> Self {
        Self { shelves }
    }

    /// Takes a piece, if there is one.
    fn take(&mut self, item: String) -> bool {
        match self.shelves.get_mut(&item) {
            Some(pieces) if *pieces > 0 => {
                *pieces -= 1;
                true
            }
            _ => false,
        }
    }

    fn pieces(&self) -> u32 {
        self.shelves.values().sum()
    }

    fn shelves(&self) -> Vec<String> {
        self.shelves.keys().cloned().collect()
    }
}

/// Serves one customer after the other.
#[derive(Actor)]
struct Till {
    service: Duration,
}

#[handlers]
impl Till {
    #[start]
    fn open(service: Duration) -> Self {
        Self { service }
    }

    async fn sell(&mut self, item: String) -> Result<bool, CallFailed> {
        time::sleep(self.service).await;
        stock().call(|stock| stock.take(item.clone())).await
    }
}

/// Whether customers come in.
#[derive(Actor, Default)]
struct Doors {
    are_open: bool,
}

#[handlers]
impl Doors {
    fn turn(&mut self, open: bool) {
        self.are_open = open;
    }

    fn are_open(&self) -> bool {
        self.are_open
    }
}

fn stock() -> Named<Stock> {
    node().named("stock")
}

fn doors() -> Named<Doors> {
    node().named("doors")
}

/// The application that others need.
fn store(say: &Say) -> App {
    let say = say.clone();
    App::new("store")
        .description("what is sold")
        .config::<StoreConfig>()
        .start(async |env| {
            let shelves = env.config::<StoreConfig>()?.shelves;
            Ok(Supervisor::one_for_one().child(Stock::spec_with(move || shelves.clone()).named("stock")))
        })
        .before_stop(move |_| {
            let say = say.clone();
            async move {
                let left = stock().call(|stock| stock.pieces()).await?;
                say(format!("the store is locked, with {left} pieces left"));
                Ok(())
            }
        })
}

fn shop(config: &Path, say: &Say) -> App {
    let [stocktaking, opening, closing, closed] = [say, say, say, say].map(Arc::clone);
    App::new("shop")
        .description("sells what the store keeps")
        .version(env!("CARGO_PKG_VERSION"))
        .needs(store(say))
        .config::<ShopConfig>()
        .config_file(config)
        .start(async |env| {
            let ShopConfig { tills, service, .. } = env.config()?;
            let tills = PartitionSupervisor::new("tills", move |_| Till::spec_with(move || service))
                .partitions(tills)
                .intensity(3, secs(5));
            Ok(Supervisor::rest_for_one().child(tills).child(Doors::spec().named("doors")))
        })
        .phase("take stock", move |env| {
            let say = stocktaking.clone();
            async move {
                let pieces = stock().call(|stock| stock.pieces()).await?;
                let shelves = stock().call(|stock| stock.shelves()).await?.len();
                // What the store is configured with, others may read too.
                let store = env.node().applications().env("store").await.ok_or(ExitReason::NoProc)?;
                let floor = store.config::<StoreConfig>()?.floor;
                say(format!(
                    "phase `take stock`: {pieces} pieces on {shelves} shelves of the store, whose floor is {floor}"
                ));
                Ok(())
            }
        })
        .phase("open the doors", move |_| {
            let say = opening.clone();
            async move {
                doors().call(|doors| doors.turn(true)).await?;
                say("phase `open the doors`: customers come".to_owned());
                Ok(())
            }
        })
        .ready_when("doors", async |_| {
            let are_open = doors().call(|doors| doors.are_open()).await?;
            if are_open { Ok(()) } else { Err(ExitReason::value("closed").into()) }
        })
        .before_stop(move |_| {
            let say = closing.clone();
            async move {
                doors().call(|doors| doors.turn(false)).await?;
                say("the doors are closed".to_owned());
                Ok(())
            }
        })
        .after_stop(move |_| {
            closed("the tills are closed".to_owned());
            async { Ok(()) }
        })
        .stop_within(secs(20))
}

/// Customers who come all at once, each to a till of their own; how many were served.
async fn customers(count: usize) -> biotope::Result<usize> {
    let tills = node().partitions::<Till>("tills").await?;
    let shelves = stock().call(|stock| stock.shelves()).await?;
    let mut requests = Requests::new();
    for n in 0..count {
        requests.add(n, tills.of(&n).sell(shelves[n % shelves.len()].clone()).send());
    }
    let mut served = 0;
    while let Some((_, sold)) = requests.next().await {
        served += usize::from(sold?);
    }
    Ok(served)
}

#[biotope::main]
async fn main() -> biotope::Result<()> {
    let options = Options::parse();
    let say: Say = Arc::new(|line| println!("{line}"));
    if options.forever {
        let shop = shop(&options.config, &say).systemd();
        let shop = match options.probe {
            Some(address) => shop.probe(address),
            None => shop,
        };
        return shop.run().await;
    }
    a_day(&options.config, options.customers, &say).await
}

/// All that this shows, line by line.
async fn a_day(config: &Path, count: usize, say: &Say) -> biotope::Result<()> {
    let wrong = shop(config, say).environment([("SHOP_TILLS", "many")]);
    let error = wrong.start_on(&node()).await.expect_err("`many` is no number");
    assert_eq!(error.exit_code(), biotope::supervision::exit_code::CONFIGURATION);
    say(format!("first with SHOP_TILLS=many: {error}"));

    let applications = node().applications();
    applications.load(shop(config, say)).await?;
    let config: ShopConfig = applications.env("shop").await.ok_or(ExitReason::NoProc)?.config()?;
    let ShopConfig { tills, service, owner_pin } = &config;
    say(format!("then with shop.toml: {tills} tills, {service:?} for each customer, the owner's pin is {owner_pin:?}"));
    applications.ensure_all_started("shop").await?;
    say(applications.health().await.to_string());

    let served = customers(count).await?;
    let turned_away = count - served;
    say(format!("{count} customers came: {served} were served, {turned_away} found the shelves empty"));
    // What needs the store stops before it.
    applications.stop("store").await?;
    applications.unload("shop").await?;
    applications.unload("store").await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    const CONFIG: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/shop/shop.toml");

    fn told() -> (Say, mpsc::Receiver<String>) {
        let (printer, printed) = mpsc::channel();
        // Nobody reads what is said after the test is over.
        (Arc::new(move |line| drop(printer.send(line))), printed)
    }

    #[biotope::test(seeds = 20, real = 3)]
    async fn it_prints_what_its_header_promises() -> biotope::Result<()> {
        let (say, printed) = told();
        a_day(Path::new(CONFIG), 30, &say).await?;
        let printed: Vec<String> = printed.try_iter().collect();
        assert_eq!(promise::kept(&printed.join("\n"), &promise::in_header(include_str!("main.rs"))), Ok(()));
        Ok(())
    }

    /// Goal: a till that is killed is opened again, and the shop goes on.
    #[biotope::test(seeds = 50, allow_crashes)]
    async fn a_till_that_ends_is_opened_again() -> biotope::Result<()> {
        let (say, _printed) = told();
        let shop = shop(Path::new(CONFIG), &say).start_on(&node()).await?;
        let till = node().named::<Till>("tills/1").now()?;
        let end = node().ended(&till);
        node().exit(&till, ExitReason::Kill);
        end.await;
        time::sleep(millis(1)).await;
        assert_eq!(customers(10).await?, 10);
        shop.stop().await?;
        Ok(())
    }
}

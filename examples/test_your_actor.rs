//! A race that plain tests miss, found under a seed, made small, and gone after the repair.
//!
//! ```text
//! cargo run --example test_your_actor
//! cargo test --example test_your_actor
//! ```
//!
//! The actor keeps what a slow store holds. A value that it does not know it reads in a process of its own, so that it can answer
//! others meanwhile. If a value is written between that read and its arrival, the old one arrives last and stays: from
//! then on the cache is wrong, until somebody writes again. A test that asks one thing after the other never sees it. The seeded test
//! draws the order of turns and finds it; the repair counts what was written. Prints:
//!
//! ```text
//! one after the other, on threads: right
//! as it was: wrong under seed …, and again: … choices, of which … are needed
//! replay: BIOTOPE_SEED=… cargo test tests::readers_and_a_writer
//! what happens then:
//! test … ended: panicked: assertion `left == right` failed: the cache differs from its store…
//! repaired: right under 1000 seeds, … of them in a second
//! ```

use std::collections::BTreeMap;
use std::time::Instant;

use biotope::prelude::*;
use biotope::test::{self, Failed, TestOptions};

/// What lasts.
#[derive(Actor, Default)]
struct Store {
    values: BTreeMap<&'static str, u32>,
}

#[handlers]
impl Store {
    fn read(&self, key: &'static str) -> u32 {
        self.values.get(key).copied().unwrap_or_default()
    }

    fn write(&mut self, key: &'static str, value: u32) {
        self.values.insert(key, value);
    }
}

/// Keeps what was read of a store.
#[derive(Actor)]
struct Cache {
    store: ActorRef<Store>,
    known: BTreeMap<&'static str, u32>,
    /// How many values were written; `None` as it was before the repair.
    written: Option<u64>,
}

#[handlers]
impl Cache {
    /// What is known, or else what the store says; others are answered meanwhile.
    fn get(&mut self, key: &'static str, reply: ReplyTo<u32>, cx: &mut Context<Self>) {
        if let Some(value) = self.known.get(key) {
            return reply.send(*value);
        }
        let (store, cache, asked_at) = (self.store.clone(), cx.myself(), self.written);
        reply.postpone();
        spawn_link(process(async move |_: Process<()>| {
            let value = store.read(key).await?;
            cache.loaded(key, value, asked_at);
            reply.send(value);
            Ok(())
        }));
    }

    /// A value was read when so many had been written.
    #[cast]
    fn loaded(&mut self, key: &'static str, value: u32, asked_at: Option<u64>) {
        if self.written == asked_at {
            self.known.insert(key, value);
        }
    }

    /// Writes to the store, and forgets what is known of it.
    async fn put(&mut self, key: &'static str, value: u32) -> Result<(), CallFailed> {
        if let Some(written) = &mut self.written {
            *written += 1;
        }
        self.known.remove(key);
        self.store.write(key, value).await
    }
}

/// A cache, and its store.
fn shop(is_repaired: bool) -> (ActorRef<Cache>, ActorRef<Store>) {
    let store = test::spawn(Store::default());
    let written = is_repaired.then_some(0);
    (test::spawn(Cache { store: store.clone(), known: BTreeMap::new(), written }), store)
}

/// What a plain test looks like.
async fn one_after_the_other() -> biotope::Result<()> {
    let (cache, _store) = shop(false);
    assert_eq!(cache.get("tea").await?, 0);
    cache.put("tea", 3).await?;
    assert_eq!(cache.get("tea").await?, 3);
    assert_eq!(cache.get("milk").await?, 0);
    Ok(())
}

/// Two who read while somebody writes. When all have done what they wanted, the cache says what its store says.
async fn readers_and_a_writer(is_repaired: bool) -> biotope::Result<()> {
    let (cache, store) = shop(is_repaired);
    let readers = [0, 1].map(|_| cache.get("tea").send());
    cache.put("tea", 3).await?;
    for reader in readers {
        reader.await?;
    }
    assert_eq!(cache.get("tea").await?, store.read("tea").await?, "the cache differs from its store");
    Ok(())
}

/// Under so many seeds.
fn seeds(name: &'static str, seeds: u64) -> TestOptions {
    TestOptions { name, seeds: Some(seeds), ..TestOptions::default() }
}

/// The race, under the first of a thousand seeds that shows it.
fn found() -> Option<Failed> {
    let options = seeds("test_your_actor::tests::readers_and_a_writer", 1_000);
    test::check(options, || readers_and_a_writer(false)).err()
}

fn main() -> biotope::Result<()> {
    test::check(TestOptions::default(), one_after_the_other)?;
    println!("one after the other, on threads: right");

    let (Some(first), Some(again)) = (found(), found()) else { panic!("there is a race") };
    assert_eq!(first, again, "a seed is a schedule");
    let (Some(seed), Some((choices, needed))) = (first.seed, first.choices) else { panic!("it was drawn from a seed") };
    println!("as it was: wrong under seed {seed}, and again: {choices} choices, of which {needed} are needed");
    let lines: Vec<&str> = first.text.lines().map(str::trim).collect();
    println!("{}", lines.iter().find(|line| line.starts_with("replay: ")).expect("a line that replays it"));
    println!("what happens then:");
    let end = lines.iter().find(|line| line.contains("test ") && line.contains(" ended: ")).expect("how it ended");
    println!("{}", end.split_once(" ms ").expect("an instant before each event").1.trim());

    let start = Instant::now();
    test::check(seeds("repaired", 1_000), || readers_and_a_writer(true))?;
    let rate = 1_000.0 / start.elapsed().as_secs_f64();
    println!("repaired: right under 1000 seeds, {rate:.0} of them in a second");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[biotope::test(real = 20)]
    async fn the_plain_test_misses_it() -> biotope::Result<()> {
        one_after_the_other().await
    }

    #[test]
    fn the_seeded_test_finds_it_and_says_how_it_is_replayed() {
        let failed = found().expect("there is a race");
        let seed = failed.seed.expect("it was drawn from a seed");
        let (choices, needed) = failed.choices.expect("it was made smaller");
        assert!(needed < choices, "{failed}");
        assert!(failed.text.contains(&format!("replay: BIOTOPE_SEED={seed} cargo test tests::readers_and_a_writer")));
        assert!(failed.text.contains("Cache") && failed.text.contains("received loaded"), "{failed}");
        assert_eq!(found(), Some(failed), "a seed is a schedule");
    }

    #[biotope::test(seeds = 1_000, real = 20)]
    async fn the_repaired_one_passes_a_thousand() -> biotope::Result<()> {
        readers_and_a_writer(true).await
    }
}

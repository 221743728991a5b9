//! A bank: accounts that crash in the middle of a payment, and no money is lost or made.
//!
//! ```text
//! cargo run --example bank
//! ```
//!
//! A payment happens at one moment: when the ledger writes it down, all of it. An account decides whether it may happen,
//! and what an account knows it has read in the ledger, so one that crashed and was started again knows it too. Whoever
//! pays cannot tell whether an account crashed before that moment or after it. So it pays again, with the same number,
//! and the ledger writes no number down twice. Crash reports go to standard error. Prints:
//!
//! ```text
//! ann has 100, ben has 50: 150 in all
//! ann pays ben 30: ann has 70, ben has 80
//! ann pays ben 500: declined, there are 70
//! ann pays ben 20, and crashes before it is written down: paid at try 2: ann has 50, ben has 100
//! ann pays ben 50, and crashes after it was written down: paid at try 2: ann has 0, ben has 150
//! ben's account is killed and started again: ben has 150
//! ann has 0, ben has 150: 150 in all
//! ```

use std::collections::BTreeSet;

use biotope::prelude::*;

#[cfg(test)]
mod promise;

/// Money that goes from one account to another.
#[derive(Clone, Debug, PartialEq)]
struct Payment {
    /// No other payment has it.
    number: u64,
    from: &'static str,
    to: &'static str,
    amount: u64,
}

/// Where all money comes from: nobody's account.
const MINT: &str = "mint";

/// What has been paid. It does nothing that could fail; if it should end all the same, so does the bank: it is linked to
/// whoever opened that. A bank that survives its machine writes to a disk here.
#[derive(Actor, Default)]
struct Ledger {
    payments: Vec<Payment>,
    numbers: BTreeSet<u64>,
}

#[handlers]
impl Ledger {
    /// Writes a payment down, if that was not done already. This is when it happens, for both accounts.
    fn write(&mut self, payment: Payment) {
        if self.numbers.insert(payment.number) {
            self.payments.push(payment);
        }
    }

    /// What was written down after the first `read` payments.
    fn after(&self, read: usize) -> Vec<Payment> {
        self.payments[read.min(self.payments.len())..].to_vec()
    }
}

/// One owner's account.
#[derive(Actor)]
struct Account {
    owner: &'static str,
    ledger: ActorRef<Ledger>,
    /// How many payments of the ledger it has read.
    read: usize,
    /// What they have left here.
    balance: u64,
    /// Those that it has made.
    paid: BTreeSet<u64>,
    /// Where it will crash.
    crash: Option<Moment>,
}

/// A moment of a payment.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Moment {
    BeforeItIsWritten,
    AfterItIsWritten,
}

/// Too little is there.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Declined {
    balance: u64,
}

#[handlers]
impl Account {
    /// Also after a crash. What it needs to know is in the ledger.
    #[start]
    fn open((owner, ledger): (&'static str, ActorRef<Ledger>)) -> Self {
        Self { owner, ledger, read: 0, balance: 0, paid: BTreeSet::new(), crash: None }
    }

    async fn balance(&mut self) -> u64 {
        self.read_ledger().await;
        self.balance
    }

    /// Makes a payment from here, and says what is left. One that was made already is not made again.
    async fn pay(&mut self, payment: Payment) -> Result<u64, Declined> {
        self.read_ledger().await;
        if self.paid.contains(&payment.number) {
            return Ok(self.balance);
        }
        // Others may pay in here meanwhile, and nobody else takes anything out.
        if payment.amount > self.balance {
            return Err(Declined { balance: self.balance });
        }
        self.crash_at(Moment::BeforeItIsWritten);
        self.ledger.write(payment).await.unwrap_or_else(give_up);
        self.crash_at(Moment::AfterItIsWritten);
        self.read_ledger().await;
        Ok(self.balance)
    }

    /// For the demonstration: the next payment gets as far as this.
    #[cast]
    fn crash(&mut self, moment: Moment) {
        self.crash = Some(moment);
    }
}

impl Account {
    /// Reads on where it had stopped.
    async fn read_ledger(&mut self) {
        for payment in self.ledger.after(self.read).await.unwrap_or_else(give_up) {
            self.read += 1;
            if payment.to == self.owner {
                self.balance += payment.amount;
            }
            if payment.from == self.owner {
                self.balance -= payment.amount;
                self.paid.insert(payment.number);
            }
        }
    }

    fn crash_at(&self, moment: Moment) {
        assert!(self.crash != Some(moment), "the account of {} crashes", self.owner);
    }
}

/// An account whose ledger does not answer does not know what it has. It ends, and does not guess.
fn give_up<T>(failed: CallFailed) -> T {
    exit_now(failed.into_reason())
}

/// Opens a bank in which each owner has what is said, and links it to whoever opens it.
async fn open_bank(accounts: &[(&'static str, u64)]) -> biotope::Result<SupervisorRef> {
    let ledger = spawn_link(Ledger::default());
    for (number, (owner, amount)) in (0..).zip(accounts) {
        ledger.write(Payment { number, from: MINT, to: owner, amount: *amount }).await?;
    }
    let children = accounts.iter().map(|(owner, _)| {
        let (owner, ledger) = (*owner, ledger.clone());
        Account::spec_with(move || (owner, ledger.clone())).named(owner)
    });
    // Many crashes are the point here; as a rule, fewer are a reason to give up.
    Ok(Supervisor::one_for_one().intensity(1_000, secs(5)).children(children).start_link().await?)
}

/// A payment that was made.
#[derive(Debug, PartialEq)]
struct Paid {
    left: u64,
    tries: u32,
}

/// Pays, also if the account crashes meanwhile.
async fn pay(payment: Payment) -> biotope::Result<Result<Paid, Declined>> {
    let account = node().named::<Account>(payment.from);
    let mut tries = 0;
    loop {
        tries += 1;
        match account.within(secs(5)).await?.pay(payment.clone()).await {
            Ok(left) => return Ok(Ok(Paid { left, tries })),
            Err(CallError::Reply(declined)) => return Ok(Err(declined)),
            // It crashed, before the payment or after it, or had ended by then. Another has its name soon.
            Err(CallError::Failed(CallFailed::Died(_) | CallFailed::NoProc)) => {}
            Err(CallError::Failed(failed)) => return Err(failed.into()),
        }
    }
}

async fn balance(owner: &str) -> biotope::Result<u64> {
    Ok(node().named::<Account>(owner).within(secs(5)).await?.balance().await?)
}

#[biotope::main]
async fn main() -> biotope::Result<()> {
    business(|line| println!("{line}")).await
}

/// All that this shows, line by line.
async fn business(mut print: impl FnMut(String) + Send) -> biotope::Result<()> {
    let _bank = open_bank(&[("ann", 100), ("ben", 50)]).await?;
    print(in_all().await?);
    let payment = |number, amount| Payment { number, from: "ann", to: "ben", amount };

    assert_eq!(pay(payment(11, 30)).await?, Ok(Paid { left: 70, tries: 1 }));
    print(format!("ann pays ben 30: {}", both().await?));

    if let Err(Declined { balance }) = pay(payment(12, 500)).await? {
        print(format!("ann pays ben 500: declined, there are {balance}"));
    }

    let mishaps = [
        (13, 20, Moment::BeforeItIsWritten, "before it is written down"),
        (14, 50, Moment::AfterItIsWritten, "after it was written down"),
    ];
    for (number, amount, moment, when) in mishaps {
        node().named::<Account>("ann").within(secs(5)).await?.crash(moment);
        if let Ok(Paid { tries, .. }) = pay(payment(number, amount)).await? {
            let both = both().await?;
            print(format!("ann pays ben {amount}, and crashes {when}: paid at try {tries}: {both}"));
        }
    }

    let before = node().named::<Account>("ben").now()?;
    node().exit(&before, ExitReason::Kill);
    node().ended(&before).await;
    print(format!("ben's account is killed and started again: ben has {}", balance("ben").await?));

    print(in_all().await?);
    Ok(())
}

async fn both() -> biotope::Result<String> {
    Ok(format!("ann has {}, ben has {}", balance("ann").await?, balance("ben").await?))
}

async fn in_all() -> biotope::Result<String> {
    let sum = balance("ann").await? + balance("ben").await?;
    assert_eq!(sum, 150);
    Ok(format!("{}: {sum} in all", both().await?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[biotope::test(seeds = 50, allow_crashes)]
    async fn it_prints_what_its_header_promises() -> biotope::Result<()> {
        let mut printed = Vec::new();
        business(|line| printed.push(line)).await?;
        assert_eq!(promise::kept(&printed.join("\n"), &promise::in_header(include_str!("bank.rs"))), Ok(()));
        Ok(())
    }

    const OWNERS: [&str; 4] = ["ann", "ben", "cem", "dot"];
    const PAYMENTS: u64 = 12;
    const MISHAPS: [Option<Moment>; 3] = [None, Some(Moment::BeforeItIsWritten), Some(Moment::AfterItIsWritten)];

    /// All owners pay the others in turn, all at once. Of three payments of each, two crash, and whoever has an account may
    /// be killed at any turn.
    #[biotope::test(seeds = 100, allow_crashes)]
    async fn each_payment_is_made_once_whatever_crashes() -> biotope::Result<()> {
        let _bank = open_bank(&OWNERS.map(|owner| (owner, 1_000))).await?;
        let killer = spawn_process(async |_: Process<()>| {
            for owner in OWNERS.iter().cycle().take(20) {
                if let Some(account) = node().whereis(owner) {
                    node().exit(account, ExitReason::Kill);
                }
                time::yield_now().await;
            }
            Ok(())
        });
        let customers = [0, 1, 2, 3].map(|place| spawn_process(async move |_: Process<()>| spend(place).await));
        for customer in &customers {
            time::timeout(secs(600), node().ended(customer)).await?;
        }
        node().ended(&killer).await;

        let mut expected = [1_000; 4];
        for (place, count) in (0..4).flat_map(|place| (0..PAYMENTS).map(move |count| (place, count))) {
            expected[place] -= amount(count);
            expected[payee(place, count)] += amount(count);
        }
        for (owner, expected) in OWNERS.iter().zip(expected) {
            assert_eq!(balance(owner).await?, expected, "what {owner} has");
        }
        Ok(())
    }

    fn amount(count: u64) -> u64 {
        1 << count.min(6)
    }

    fn payee(place: usize, count: u64) -> usize {
        (place + 1 + count as usize % 3) % OWNERS.len()
    }

    async fn spend(place: usize) -> biotope::Result<()> {
        let from = OWNERS[place];
        for count in 0..PAYMENTS {
            if let Some(moment) = MISHAPS[count as usize % MISHAPS.len()] {
                node().named::<Account>(from).within(secs(5)).await?.crash(moment);
            }
            let number = 100 * (1 + place as u64) + count;
            let payment = Payment { number, from, to: OWNERS[payee(place, count)], amount: amount(count) };
            pay(payment).await?.expect("each has enough");
        }
        Ok(())
    }

    #[biotope::test(seeds = 20)]
    async fn a_payment_that_is_written_twice_is_one() -> biotope::Result<()> {
        let ledger = biotope::test::spawn(Ledger::default());
        let payment = Payment { number: 1, from: "ann", to: "ben", amount: 30 };
        ledger.write(payment.clone()).await?;
        ledger.write(payment.clone()).await?;
        assert_eq!(ledger.after(0).await?, [payment]);
        Ok(())
    }

    /// Goal: no account goes on with what it had read when the ledger is gone; nor does whoever opened the bank.
    #[biotope::test(seeds = 20, allow_crashes)]
    async fn a_bank_without_its_ledger_is_closed() -> biotope::Result<()> {
        let owner = spawn_process(async |mut me: Process<()>| {
            let _bank = open_bank(&[("ann", 100)]).await?;
            Ok(me.receive().await?)
        });
        let ann = node().named::<Account>("ann").within(secs(5)).await?;
        assert_eq!(ann.balance().await?, 100);
        let ledgers = node().processes().into_iter().filter(|info| info.actor == <Ledger as Actor>::NAME);
        ledgers.for_each(|ledger| node().exit(ledger.pid, ExitReason::Kill));
        time::timeout(secs(60), node().ended(&owner)).await?;
        time::timeout(secs(60), node().ended(&ann)).await?;
        assert!(node().named::<Account>("ann").now().is_err());
        Ok(())
    }
}

//! Every kind of handler, async and plain, in one actor.

use std::fmt;
use std::io;

use biotope::prelude::*;

#[derive(Debug, PartialEq)]
pub enum Declined {
    NoMoney,
    Failed(CallFailed),
}

impl From<CallFailed> for Declined {
    fn from(failed: CallFailed) -> Self {
        Self::Failed(failed)
    }
}

impl fmt::Display for Declined {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("declined")
    }
}

impl std::error::Error for Declined {}

#[derive(Message)]
#[message(reply = String)]
struct Greet(String);

#[derive(Message)]
struct Tick;

#[derive(Message)]
#[message(reply = u32)]
struct Later;

const LONG: Duration = secs(60);

#[derive(Actor)]
#[actor(mailbox = bounded(64, drop_oldest), trap_exit, name = "shop.Account")]
#[actor(priority = low, restart = transient, shutdown = LONG)]
pub struct Account {
    balance: u32,
    begun: bool,
    waiting: Vec<ReplyTo<u32>>,
}

#[handlers]
impl Account {
    #[start]
    async fn open(balance: u32, cx: &mut Context<Self>) -> Result<Self, io::Error> {
        let _ = cx.pid();
        Ok(Self { balance, begun: false, waiting: Vec::new() })
    }

    #[init]
    async fn begin(&mut self) -> Result<(), Declined> {
        self.begun = true;
        Ok(())
    }

    /// Takes `amount` away.
    pub fn pay(&mut self, amount: u32) -> Result<u32, Declined> {
        self.balance = self.balance.checked_sub(amount).ok_or(Declined::NoMoney)?;
        Ok(self.balance)
    }

    fn has_begun(&self) -> bool {
        self.begun
    }

    pub fn load(&self, path: String) -> io::Result<u32> {
        Err(io::Error::other(path))
    }

    /// Answers at the next deposit.
    pub fn wait(&mut self, reply: ReplyTo<u32>) {
        self.waiting.push(reply);
    }

    /// Answers at once, with a `Result`.
    pub async fn check(&mut self, reply: ReplyTo<Result<u32, Declined>>, at_least: u32) {
        reply.send(if self.balance < at_least { Err(Declined::NoMoney) } else { Ok(self.balance) });
    }

    #[cast]
    pub async fn deposit(&mut self, amount: u32) {
        self.balance += amount;
        for reply in self.waiting.drain(..) {
            reply.send(self.balance);
        }
    }

    #[cast]
    pub fn close(&mut self) -> Result<(), Declined> {
        Err(Declined::NoMoney)
    }

    #[message]
    fn greet(&mut self, Greet(name): Greet) -> String {
        format!("Hello, {name}")
    }

    #[message]
    async fn tick(&mut self, _: Tick) {}

    #[message]
    fn later(&mut self, _: Later, reply: ReplyTo<u32>) {
        self.waiting.push(reply);
    }

    #[info]
    fn on_down(&mut self, down: Down, _cx: &mut Context<Self>) {
        drop(down);
    }

    #[info]
    async fn on_anything(&mut self, _: Info) -> Result<(), Declined> {
        Ok(())
    }

    #[info]
    fn on_exit(&mut self, _: Exit) {}

    #[terminate]
    fn end(&mut self, cx: &mut Context<Self>, reason: &ExitReason) {
        let _ = (cx, reason);
    }

    #[cfg(any())]
    pub fn missing(&mut self, nothing: NoSuchType) -> NoSuchType {
        nothing
    }

    #[cfg(all())]
    #[cast]
    pub fn present(&mut self) {}

    #[cfg(any())]
    #[cast]
    pub fn present(&mut self, nothing: NoSuchType) {}
}

#[biotope::main(workers = 2, node = "bank")]
async fn main() -> biotope::Result<()> {
    let account = spawn(Account::spec_with(|| 10));
    assert!(account.has_begun().await?);
    let said = <Account as Actor>::OPTIONS;
    assert_eq!((said.priority, said.restart, said.shutdown), (Priority::Low, Some(Transient), Some(LONG.into())));
    assert_eq!(account.pay(4).await.map_err(CallError::flat)?, 6);
    assert_eq!(account.pay(40).await, Err(CallError::Reply(Declined::NoMoney)));
    assert!(account.load("here".to_owned()).await?.is_err());
    assert_eq!(account.check(3).await.map_err(CallError::flat)?, 6);
    let waiting = account.wait().send();
    let later = account.later(Later).send();
    account.deposit(1);
    assert_eq!((waiting.await?, later.await?), (7, 7));
    account.tick(Tick).await?;
    let anybody: Recipient<Greet> = account.clone().into();
    assert_eq!(anybody.call(Greet("Ada".to_owned())).await?, "Hello, Ada");
    assert_eq!(account.greet(Greet("Grace".to_owned())).await?, "Hello, Grace");
    account.present();
    account.close();
    assert!(account.has_begun().await.is_err());
    Ok(())
}

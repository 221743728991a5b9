//! A remote actor: ids, versions, references to itself, free-standing messages, generics.

use biotope::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
pub struct Item(u32);

#[derive(Debug, Serialize, Deserialize)]
pub struct Full;

#[derive(Message, Serialize, Deserialize)]
#[message(reply = u32)]
pub struct Count;

#[derive(Actor, Default)]
#[actor(name = "shop.Store")]
pub struct Store(Vec<Item>);

#[handlers(remote)]
impl Store {
    #[wire(name = "put", version = 2)]
    pub fn add(&mut self, item: Item, note: &str, more: &[Item]) -> Result<u32, Full> {
        self.0.push(item);
        Ok(self.0.len() as u32 + note.len() as u32 + more.len() as u32)
    }

    #[cast]
    #[wire(version = 3)]
    pub fn clear(&mut self) {
        self.0.clear();
    }

    pub fn join(&mut self, other: ActorRef<Self>, reply: ReplyTo<ActorRef<Self>>) {
        reply.send(other);
    }

    #[message]
    fn count(&mut self, _: Count) -> u32 {
        self.0.len() as u32
    }

    #[cfg(any())]
    fn missing(&mut self, nothing: NoSuchType) {}
}

#[derive(Actor, Default)]
struct Cell<T>(Option<T>);

#[handlers(remote)]
impl<T: Serialize + for<'de> Deserialize<'de> + Send + 'static> Cell<T> {
    fn replace(&mut self, value: T) -> Option<T> {
        self.0.replace(value)
    }
}

fn is_remote<A: biotope::Remote>(_: &ActorRef<A>) {}

#[biotope::main]
async fn main() -> biotope::Result<()> {
    let store = spawn(Store::default());
    is_remote(&store);
    assert_eq!(store.add(Item(1), "note", []).await.unwrap(), 5);
    assert_eq!(store.join(store.clone()).await?, store);
    assert_eq!(store.count(Count).await?, 1);
    store.clear();
    let cell = spawn(Cell::<u8>::default());
    is_remote(&cell);
    assert_eq!(cell.replace(1).await?, None);
    Ok(())
}

//! What `#[handlers(remote)]` encodes, it decodes: an actor behind a carrier that turns everything into text.

use std::sync::{Arc, Mutex};

use biotope::prelude::*;
use biotope::{Address, Carrier, FarReply, Incoming, MethodId, PendingReply, Remote};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize)]
struct Item {
    name: String,
    price: u32,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct TooDear(u32);

#[derive(Message, Serialize, Deserialize)]
#[message(reply = u32)]
struct Count {
    at_least: u32,
}

#[derive(Message, Serialize, Deserialize)]
#[message(reply = bool)]
struct Audit {
    expected: [u32; 30],
}

#[derive(Actor, Default)]
struct Store {
    items: Vec<Item>,
    counted: u32,
}

#[handlers(remote)]
impl Store {
    #[wire(name = "put", version = 2)]
    fn add(&mut self, item: Item, note: &str, times: &[u32]) -> Result<usize, TooDear> {
        if item.price > 100 {
            return Err(TooDear(item.price));
        }
        self.items.push(item);
        Ok(self.items.len() + note.len() + times.len())
    }

    #[cast]
    fn clear(&mut self) {
        self.items.clear();
    }

    #[cast]
    async fn add_many(&mut self, prices: [u32; 30]) {
        self.items.extend(prices.map(|price| Item { name: String::new(), price }));
    }

    #[boxed]
    fn compare(&self, prices: [u32; 30]) -> Result<bool, TooDear> {
        let dear = prices.iter().find(|price| **price > 100);
        dear.map_or(Ok(self.items.iter().map(|item| item.price).eq(prices)), |price| Err(TooDear(*price)))
    }

    #[message]
    async fn audit(&self, Audit { expected }: Audit) -> bool {
        self.items.iter().map(|item| item.price).eq(expected)
    }

    async fn names(&self) -> Vec<String> {
        self.items.iter().map(|item| item.name.clone()).collect()
    }

    fn later(&self, reply: ReplyTo<u32>) {
        reply.send(self.counted);
    }

    #[message]
    fn count(&mut self, count: Count) -> u32 {
        self.counted += 1;
        count.at_least.max(self.items.len() as u32)
    }
}

/// Carries messages to an actor as JSON, and notes which methods it carried.
struct Text<A: biotope::Actor> {
    near: Address<A::Msg>,
    carried: Mutex<Vec<MethodId>>,
}

impl<A: Remote> Text<A> {
    fn carry(&self, method: MethodId, arguments: &dyn erased_serde::Serialize, reply: Option<FarReply>) {
        self.carried.lock().unwrap().push(method);
        let text = serde_json::to_string(arguments).unwrap();
        let mut json = serde_json::Deserializer::from_str(&text);
        let mut arguments = <dyn erased_serde::Deserializer>::erase(&mut json);
        let message = A::decode(Incoming::new(method, &mut arguments, reply)).unwrap();
        self.near.cast(message);
    }
}

impl<A: Remote> Carrier for Text<A> {
    fn cast(&self, _to: Pid, method: MethodId, arguments: &dyn erased_serde::Serialize) {
        self.carry(method, arguments, None);
    }

    fn call(&self, _to: Pid, method: MethodId, arguments: &dyn erased_serde::Serialize, pending: PendingReply) {
        let reply: FarReply = Box::new(move |outcome| match outcome {
            Ok(value) => {
                let text = serde_json::to_string(value).unwrap();
                let mut json = serde_json::Deserializer::from_str(&text);
                pending.complete(Ok(&mut <dyn erased_serde::Deserializer>::erase(&mut json)));
            }
            Err(failed) => pending.complete(Err(failed)),
        });
        self.carry(method, arguments, Some(reply));
    }
}

fn behind_text() -> (ActorRef<Store>, Arc<Text<Store>>) {
    behind(&spawn(Store::default()))
}

fn behind<A: Remote>(near: &ActorRef<A>) -> (ActorRef<A>, Arc<Text<A>>) {
    let text = Arc::new(Text { near: near.address().clone(), carried: Mutex::default() });
    (ActorRef::carried(&node(), near.pid(), text.clone()), text)
}

fn item(price: u32) -> Item {
    Item { name: format!("for {price}"), price }
}

#[biotope::test(seeds = 3, allow_leftovers)]
async fn every_form_of_handler_works_from_afar() {
    let (store, _) = behind_text();

    assert_eq!(store.add(item(1), "note", [1, 2]).await.unwrap(), 7);
    assert_eq!(store.add(item(101), "", []).await, Err(CallError::Reply(TooDear(101))));
    assert_eq!(store.names().await.unwrap(), ["for 1"]);
    assert_eq!(store.count(Count { at_least: 3 }).await.unwrap(), 3);
    store.clear();
    assert!(store.names().await.unwrap().is_empty());
}

#[biotope::test(seeds = 3, allow_leftovers)]
async fn arguments_that_lie_in_a_box_travel_like_others() {
    let (store, text) = behind_text();

    store.add_many([7; 30]);
    assert_eq!(store.compare([7; 30]).await, Ok(true));
    assert_eq!(store.compare([101; 30]).await, Err(CallError::Reply(TooDear(101))));
    assert!(store.audit(Audit { expected: [7; 30] }).await.unwrap());

    let names = ["add_many", "compare", "compare", "audit"];
    assert_eq!(*text.carried.lock().unwrap(), names.map(|name| MethodId::of(name, 1)));
}

#[biotope::test(seeds = 3, allow_leftovers)]
async fn a_free_standing_message_is_cast_and_called_under_ids_of_its_own() {
    let (store, text) = behind_text();
    let anybody: Recipient<Count> = store.clone().into();

    anybody.cast(Count { at_least: 0 });
    assert_eq!(anybody.call(Count { at_least: 5 }).await.unwrap(), 5);

    assert_eq!(store.later().await.unwrap(), 2);
    let expected = [MethodId::of("count#cast", 1), MethodId::of("count", 1), MethodId::of("later", 1)];
    assert_eq!(*text.carried.lock().unwrap(), expected);
}

#[biotope::test(seeds = 3, allow_leftovers)]
async fn the_wire_attribute_says_what_a_method_is_called_between_nodes() {
    let (store, text) = behind_text();

    store.add(item(1), "", []).await.unwrap();

    assert_eq!(*text.carried.lock().unwrap(), [MethodId::of("put", 2)]);
}

#[derive(State, Clone, Debug, PartialEq)]
enum Gate {
    Shut,
    Open,
}

#[derive(Actor, Default)]
struct Guard;

#[machine(state = Gate, initial = Shut, remote)]
impl Guard {
    #[postpone(Shut)]
    fn pass(&mut self, name: &str) -> String {
        format!("{name} has passed")
    }

    #[cast]
    #[on(Shut => Open)]
    #[ignore(Open)]
    fn open(&mut self, cx: &mut Context<Self>) {
        cx.goto(Gate::Open);
    }
}

#[biotope::test(seeds = 200, allow_leftovers)]
async fn a_machine_is_reached_from_afar_and_its_callers_wait_for_its_state() {
    let near = spawn(Guard);
    let (guard, text) = behind(&near);

    let passed = guard.pass("Ada").send();
    guard.open();
    guard.open();
    assert_eq!(passed.await.unwrap(), "Ada has passed");
    assert_eq!(near.machine_state().await, Ok(Gate::Open));
    assert!(guard.machine_state().await.is_err(), "its state is not here");
    assert_eq!(*text.carried.lock().unwrap(), ["pass", "open", "open"].map(|name| MethodId::of(name, 1)));
}

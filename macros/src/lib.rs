//! Derives and attributes for biotope: code that writes code, and nothing else.
//!
//! ```text
//!   actor      #[derive(Actor)]: name and options of an actor
//!   handlers/  #[handlers], #[machine]: methods become messages, a client, and the traits under them
//!   message    #[derive(Message)]: a free-standing message
//!   state      #[derive(State)]: the states of a machine
//!   entry      #[main], #[test]: an async body inside a runtime
//!   options    how `name = value` lists are read, for all of them
//!   path       where the expansions find biotope
//! ```
//!
//! Users reach all of it through the facade, `biotope`, and most of it through its prelude. Each entry
//! point below shows its expansion; `tests/expansion/snapshot.rs` shows a whole one.
//!
//! # Not here
//! Behaviour. An expansion only names what the runtime offers, and a user could have written it by hand.

#![forbid(unsafe_code)]

mod actor;
mod entry;
mod handlers;
mod message;
mod options;
mod path;
mod state;

use proc_macro::TokenStream;
use quote::quote;

/// Declares a type to be an actor, with its name and options.
///
/// | option | meaning |
/// |---|---|
/// | `mailbox = bounded(1024)` | at most so many messages wait, and whoever sends more is suspended; `unbounded`, the default, is no limit |
/// | `mailbox = bounded(1024, reject)` | the same, and more is rejected; or dropped: `drop_newest`, `drop_oldest` (see `Overflow`) |
/// | `max_memory = 64 * 1024 * 1024` | one that has allocated more bytes is ended after its handler; needs `memory::Accounting` |
/// | `priority = high` | how urgent its turns are, unless it is spawned otherwise: `low`, `normal`, `high`, `max` (see `Priority`) |
/// | `restart = transient` | when a supervisor starts it again, unless that is told otherwise: `permanent`, `transient`, `temporary` (see `Restart`) |
/// | `shutdown = secs(5)` | how long a supervisor lets it take to end, unless that is told otherwise; or `brutal_kill`, `infinity` (see `Shutdown`) |
/// | `trap_exit` | exit signals become `Exit` messages from the first instruction on |
/// | `hibernate_after = secs(10)` | it hibernates when it has handled nothing for so long |
/// | `name = "shop.Cart"` | the name in lists, in reports and between nodes; else the type's own |
/// | `crate = path` | where biotope is, if not at `::biotope` |
///
/// What the actor does is said by [`macro@handlers`], which picks this up, or by hand.
///
/// # Expansion
/// ```text
/// #[derive(Actor)]
/// #[actor(mailbox = bounded(1024))]
/// struct Cart { .. }
///
/// impl Declared for Cart {
///     const NAME: &'static str = "Cart";
///     const OPTIONS: Options = Options { mailbox: Some(Bounded::to(1024)), ..Options::DEFAULT };
/// }
/// ```
#[proc_macro_derive(Actor, attributes(actor))]
pub fn derive_actor(input: TokenStream) -> TokenStream {
    actor::expand(input.into()).into()
}

/// Declares a type to be a message of its own, which many actors can take.
///
/// `#[message(reply = T)]` says what it is answered with; without it, with nothing.
///
/// # Expansion
/// ```text
/// #[derive(Message)]
/// #[message(reply = String)]
/// struct Greet(String);
///
/// impl Message for Greet { type Reply = String; }
/// ```
#[proc_macro_derive(Message, attributes(message))]
pub fn derive_message(input: TokenStream) -> TokenStream {
    message::expand(input.into()).into()
}

/// Makes every method of an inherent `impl` block a handler: a message, a method of the client, and
/// the code that brings the one to the other.
///
/// | written on a method | it is | it takes | it returns |
/// |---|---|---|---|
/// | nothing | a call: the caller awaits the reply | `&mut self` or `&self`, arguments | the reply |
/// | `#[cast]` | a cast: no reply | the same, and `try_` which hands the message back | nothing, or `Result<(), E>` whose error ends the process |
/// | `#[message]` | a handler of a free-standing `Message` | the same, one argument | its `Reply` |
/// | `#[info]` | what the runtime tells | `Down`, `Exit`, `NodeEvent`, `GroupEvent`, or `Info` for all others | as a cast |
/// | `#[start]` | how it is made, also after a crash | no `self`, at most one argument | `Self` or `Result<Self, E>` |
/// | `#[init]` | the first thing it does | `&mut self` | nothing, or `Result<(), E>` |
/// | `#[terminate]` | the last thing it does | `&mut self`, `&ExitReason` | nothing |
///
/// All of them may be `async`, and all of them may take `cx: &mut Context<Self>` anywhere among their
/// arguments. Types are known by their last path segment: `Context`, `ReplyTo`, `Result`, `Down` and the like.
///
/// Nothing else is handled while one of them awaits; what that means, and how to get around it, is said at `Handle`.
///
/// # Arguments
/// They are owned by the message. `&str` is a `String` in it and `&[T]` a `Vec<T>`, and the client takes what
/// converts into these; `impl Into<T>` is a `T`. Other references are refused. Patterns are allowed.
///
/// # Replies
/// A call that takes `reply: ReplyTo<T>` returns nothing and may answer later. A reply written `Result<T, E>`
/// makes a call that fails with `CallError<E>`. An alias with one parameter (`io::Result<T>`) is a reply
/// like any other: awaiting it gives a `Result` in a `Result`.
///
/// # State
/// Where a state is shown, in `Node::process_status` and in the report of a crash, it says what the actor's `Debug` says, if it
/// has one for all type parameters that the block allows.
///
/// # Room
/// Arguments of more than 96 bytes in all lie in a box, so that messages stay small; the future of an async handler with
/// such arguments as well. The compiler decides it by the types, except where a type parameter of the actor is among them:
/// there, `#[boxed]` on the handler says it. It also gives a box to the future of a handler whose arguments are small.
/// What lies in a box costs whoever sends it an allocation. `biotope::sizes` tells what has a box, and what is large.
///
/// # Threads
/// `#[handlers(own_thread)]` gives each process a thread of its own: the actor need not be `Send`, and its handlers may block.
/// It implements `HandleOwnThread` in place of `Handle`, and is spawned by its specification: `spawn(Editor::spec())`.
///
/// # Remote
/// `#[handlers(remote)]` lets the messages travel: every argument and reply must be serialisable.
/// `#[wire(name = "add", version = 2)]` on a handler says what it is called between nodes.
///
/// # Expansion
/// ```text
/// #[handlers]
/// impl Cart {
///     pub async fn add(&mut self, item: Item) -> usize { .. }
///     #[cast]
///     pub fn clear(&mut self) { .. }
/// }
///
/// impl Cart { .. as written .. }
/// pub enum CartMsg { Add(Item, ReplyTo<usize>), Clear() }
/// pub struct CartClient(Address<CartMsg>);
/// impl CartClient {
///     pub fn add(&self, item: Item) -> Call<'_, CartMsg, usize> { .. }
///     pub fn clear(&self) { .. }
/// }
/// impl Client for CartClient { .. }
/// impl Actor for Cart { type Msg = CartMsg; type Client = CartClient; .. }
/// impl Handle for Cart {
///     async fn handle(&mut self, message: CartMsg, cx: &mut Context<Self>) { .. by step .. }
///     fn step(&mut self, message: CartMsg, cx: &mut Context<Self>) -> Step<impl Future<Output = ()> + Send> {
///         match message {
///             CartMsg::Clear() => Self::clear(self),
///             message => return Step::Async(async move {
///                 match message {
///                     CartMsg::Add(item, reply) => reply.send(Self::add(self, item).await),
///                     _ => unreachable!(),
///                 }
///             }),
///         }
///         Step::Done
///     }
///     fn show_state(&self) -> Option<String> { .. by Debug, if there is one .. }
/// }
/// impl Start for Cart where Cart: Default { type Args = (); .. }
/// ```
/// A handler that is not `async` is a plain call: it makes no future. If all are `async`, there is only `handle`.
///
/// `#[message]` adds an `Accepts`, `remote` a `Remote`.
#[proc_macro_attribute]
pub fn handlers(options: TokenStream, block: TokenStream) -> TokenStream {
    handlers::expand(options.into(), block.into()).into()
}

/// Makes every method of an inherent `impl` block an event of a state machine, which is OTP's `gen_statem`.
///
/// All that [`macro@handlers`] says holds here too: what a call, a cast, an info are, their arguments, replies and client, and
/// what else a method may be. A machine is an actor. Beside that it has a state, one of an enum with `#[derive(State)]`, which
/// handlers see by `cx.state()` and go over from by `cx.goto(…)`; timeouts are casts that `cx.state_timeout(…)` and its siblings
/// make. What follows a transition is said at `StateMachine`.
///
/// | option | meaning |
/// |---|---|
/// | `state = Phase` | the enum of the states |
/// | `initial = Idle` | the state to begin in; else the enum's default |
/// | `otherwise = crash` | what becomes of an event in a state that its `#[on(…)]` do not name: the machine panics; or `ignore`, or `postpone`. Without it all states must be named, which the compiler checks |
/// | `remote` | as for `#[handlers(remote)]` |
///
/// | written on a method | meaning |
/// |---|---|
/// | `#[on(Idle \| Open => Moving)]` | it is handled in these states, and may lead to that one, or to others behind a `\|` |
/// | `#[on(Moving)]` | it is handled there, and leads nowhere |
/// | `#[postpone(Moving)]` | there it is put aside until the state changes |
/// | `#[postpone(Down => Connecting { tries: 0 })]` | the same, and the state is that one: where it is handled as soon as that is entered |
/// | `#[ignore(Moving)]` | there it is dropped; a caller is told that there is no reply |
/// | `#[enter(Open)]` | no event: runs when the state is entered, with `old: &Phase` and `cx: &mut Entering<Self>`, if it takes them |
///
/// States are named by their variants alone; `_` is all states that the method does not name. A rule may have a condition of the
/// data: `#[postpone(Busy if self.jobs.len() > 3)]`. Without `#[on(…)]` an event is handled in all states that its other rules do
/// not name, and leads nowhere. `#[init]` may have `#[on(Idle => Moving)]`.
///
/// # Diagram
/// `Elevator::diagram()` draws what is written here, as a `stateDiagram-v2` of Mermaid. It is true: a transition that is not written is a
/// panic, which names state, event and target.
///
/// # Expansion
/// As that of [`macro@handlers`], with `StateMachine` in place of `Handle`:
/// ```text
/// #[machine(state = Door, initial = Closed, otherwise = ignore)]
/// impl Gate {
///     #[on(Closed => Open)]
///     pub fn open(&mut self, cx: &mut Context<Self>) { .. }
///     #[enter(Open)]
///     fn opened(&mut self, cx: &mut Entering<Self>) { .. }
/// }
///
/// impl StateMachine for Gate {
///     type State = Door;
///     const RULES: &'static [Rule] = &[Rule::on("open", "Closed").to(&["Open"]), Rule::ignore_any("open")];
///     fn initial() -> Door { Door::Closed }
///     fn treat(&self, event: &Event<GateMsg>, state: &Door) -> Treatment<Door> {
///         match event {
///             Event::Message(GateMsg::Open(..)) => match state {
///                 Door::Closed { .. } => Treatment::Handled,
///                 _ => Treatment::Ignored,
///             },
///             _ => Treatment::Handled,
///         }
///     }
///     fn handle_at_once(&mut self, message: GateMsg, cx: &mut Context<Self>) -> Option<GateMsg> {
///         match message { GateMsg::Open(reply) => reply.send(Self::open(self, cx)) }
///         None
///     }
///     async fn handle(&mut self, message: GateMsg, cx: &mut Context<Self>) { .. by handle_at_once .. }
///     async fn enter(&mut self, old: &Door, cx: &mut Entering<Self>) {
///         match cx.state() { Door::Open { .. } => Self::opened(self, cx), _ => {} }
///     }
/// }
/// ```
#[proc_macro_attribute]
pub fn machine(options: TokenStream, block: TokenStream) -> TokenStream {
    handlers::expand_machine(options.into(), block.into()).into()
}

/// Names the states of a machine by the variants of an enum; see [`macro@machine`].
///
/// `#[state(crate = path)]` says where biotope is, if not at `::biotope`.
///
/// # Expansion
/// ```text
/// #[derive(State, Clone, Debug, PartialEq)]
/// enum Door { Closed, Open }
///
/// impl State for Door {
///     const NAMES: &'static [&'static str] = &["Closed", "Open"];
///     fn name(&self) -> &'static str {
///         match self { Self::Closed { .. } => "Closed", Self::Open { .. } => "Open" }
///     }
/// }
/// ```
#[proc_macro_derive(State, attributes(state))]
pub fn derive_state(input: TokenStream) -> TokenStream {
    state::expand(input.into()).into()
}

/// Runs an `async fn main` as a process of a fresh node.
///
/// It returns nothing, or a `Result<(), E>` whose error is printed and becomes exit code 1.
///
/// | option | meaning |
/// |---|---|
/// | `workers = 4` | how many worker threads; else one for each core |
/// | `node = "shop-1"` | the node's name; else the program's |
///
/// # Expansion
/// ```text
/// fn main() -> ExitCode {
///     async fn main() -> biotope::Result<()> { .. }
///     let options = MainOptions { workers: None, node: module_path!() };
///     biotope::__private::main(options, async { main().await?; Ok(()) })
/// }
/// ```
#[proc_macro_attribute]
pub fn main(options: TokenStream, function: TokenStream) -> TokenStream {
    entry::main(options.into(), function.into()).into()
}

/// Runs an `async fn` as a test. Without options, a plain `fn` is a test like any other: so `use biotope::test;` may stand where
/// the standard `#[test]` is used too.
///
/// | option | meaning |
/// |---|---|
/// | none | on real threads and the real clock |
/// | `seeds = 200` | in virtual time, under the schedules of seeds 0 to 199 |
/// | `seed = 7` | in virtual time, under the schedule of this seed: a failure again |
/// | `real = 10` | on real threads too, so often |
/// | `allow_crashes` | a process may die by its own doing |
/// | `allow_leftovers` | what the body starts may outlive it |
///
/// Under seeds there is one thread, and no tokio: no sockets, and no timers but those of `biotope::time`. A test that needs a
/// socket leaves `seeds` out.
///
/// Other attributes (`#[should_panic]`, `#[ignore]`) stay on the test.
///
/// # Expansion
/// ```text
/// #[test]
/// fn it_adds() {
///     async fn it_adds() { .. }
///     let options = TestOptions { name: concat!(module_path!(), "::it_adds"), seeds: Some(200), .. };
///     biotope::__private::test(options, it_adds)
/// }
/// ```
#[proc_macro_attribute]
pub fn test(options: TokenStream, function: TokenStream) -> TokenStream {
    entry::test(options.into(), function.into()).into()
}

/// The attributes that [`macro@handlers`] and [`macro@machine`] read on methods. It takes them away, so one that gets as far as
/// here stands outside of such a block, and says so.
macro_rules! forgotten {
    ($block:ident: $($name:ident: $meaning:literal;)*) => {$(
        #[doc = concat!("Inside a `#[", stringify!($block), "]` block: ", $meaning, ". See [`macro@", stringify!($block), "`].")]
        #[proc_macro_attribute]
        pub fn $name(_: TokenStream, item: TokenStream) -> TokenStream {
            let error = handlers::forgotten(stringify!($name), concat!("#[", stringify!($block), "]"));
            let item = proc_macro2::TokenStream::from(item);
            quote!(#item #error).into()
        }
    )*};
}

forgotten! { handlers:
    boxed: "its arguments, and its future if it is async, lie in a box";
    cast: "a message without a reply";
    info: "takes what the runtime tells, like a `Down`";
    init: "the first thing the process does";
    message: "takes a free-standing `Message`";
    start: "makes the actor from its arguments";
    terminate: "the last thing the process does";
    wire: "what the handler is called between nodes";
}

forgotten! { machine:
    enter: "runs when a state is entered";
    on: "the states that the event is handled in, and where it may lead";
    postpone: "the states that the event is put aside in";
}

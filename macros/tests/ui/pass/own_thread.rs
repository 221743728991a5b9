//! Actors with a thread of their own: generic, with handlers of all roles, futures that are not `Send`, and by hand.

use std::cell::RefCell;
use std::rc::Rc;

use biotope::prelude::*;

#[derive(Actor)]
#[actor(trap_exit, hibernate_after = secs(1))]
pub struct Shelf<T: Clone + Send + 'static> {
    books: Rc<RefCell<Vec<T>>>,
}

#[handlers(own_thread)]
impl<T: Clone + Send + 'static> Shelf<T> {
    #[start]
    fn new(first: T) -> Self {
        Self { books: Rc::new(RefCell::new(vec![first])) }
    }

    #[init]
    async fn begin(&mut self) -> Result<(), biotope::Error> {
        let books = self.books.clone();
        std::future::ready(()).await;
        drop(books);
        Ok(())
    }

    #[boxed]
    pub async fn add(&mut self, book: T, cx: &mut Context<Self>) -> usize {
        let books = self.books.clone();
        cx.then(|me| me.sort());
        std::future::ready(()).await;
        books.borrow_mut().push(book);
        books.borrow().len()
    }

    #[cast]
    fn sort(&mut self) {}

    pub fn first(&self, reply: ReplyTo<Option<T>>) {
        reply.send(self.books.borrow().first().cloned());
    }

    #[info]
    async fn on_down(&mut self, _down: Down) {
        let books = self.books.clone();
        std::future::ready(()).await;
        drop(books);
    }

    #[terminate]
    async fn close(&mut self, _reason: &ExitReason) {
        let books = self.books.clone();
        std::future::ready(()).await;
        drop(books);
    }
}

struct ByHand(Rc<()>);

impl biotope::Actor for ByHand {
    type Msg = ReplyTo<usize>;
    type Client = Address<ReplyTo<usize>>;
    const NAME: &'static str = "ByHand";
}

impl HandleOwnThread for ByHand {
    async fn handle(&mut self, reply: ReplyTo<usize>, _cx: &mut Context<Self>) {
        reply.send(Rc::strong_count(&self.0));
    }
}

impl Start for ByHand {
    type Args = ();

    async fn start((): (), _cx: &mut Context<Self>) -> Result<Self, biotope::Refused> {
        Ok(Self(Rc::new(())))
    }
}

#[biotope::main]
async fn main() -> biotope::Result<()> {
    let shelf = spawn(Shelf::spec_with(|| "first".to_owned()));
    assert_eq!(shelf.add("second".to_owned()).await?, 2);
    assert_eq!(shelf.first().await?, Some("first".to_owned()));
    let by_hand = spawn(ByHand::spec());
    assert_eq!(Call::new(by_hand.address(), |reply| reply).await?, 1);
    Ok(())
}

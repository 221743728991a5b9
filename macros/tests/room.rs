//! Arguments that have no room in a message lie in a box, and nobody else notices.

use std::fmt;
use std::sync::Arc;

use biotope::prelude::*;
use biotope::{Actor, HandlerSizes};
use serde::{Deserialize, Serialize};

/// More than there is room for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Picture([[u64; 8]; 8]);

/// Just fits.
type Row = [u64; 12];

const PICTURE: Picture = Picture([[1; 8]; 8]);

#[derive(Message, Serialize, Deserialize)]
#[message(reply = u64)]
struct Weigh {
    picture: Picture,
}

#[derive(Actor, Default)]
struct Gallery {
    pictures: Vec<Picture>,
    neighbour: Option<ActorRef<Gallery>>,
}

#[handlers(remote)]
impl Gallery {
    #[cast]
    fn hang(&mut self, picture: Picture) {
        self.pictures.push(picture);
    }

    #[cast]
    async fn hang_later(
        &mut self,
        Picture(dots): Picture,
        note: &str,
        cx: &mut Context<Self>,
    ) -> Result<(), fmt::Error> {
        time::yield_now().await;
        if note == "forged" {
            return Err(fmt::Error);
        }
        assert!(cx.pid() == this_pid());
        self.pictures.push(Picture(dots));
        Ok(())
    }

    fn swap(&mut self, index: usize, picture: Picture) -> Result<Picture, usize> {
        let place = self.pictures.get_mut(index).ok_or(index)?;
        Ok(std::mem::replace(place, picture))
    }

    async fn describe(&self, picture: Picture, words: &[String], more: impl Into<String>) -> String {
        time::yield_now().await;
        format!("{} {} {}", picture.0[7][7], words.join(" "), more.into())
    }

    fn count_later(&self, picture: Picture, reply: ReplyTo<usize>) {
        reply.send(self.pictures.iter().filter(|other| **other == picture).count());
    }

    #[message]
    async fn weigh(&mut self, Weigh { picture }: Weigh) -> u64 {
        time::yield_now().await;
        picture.0.iter().flatten().sum()
    }

    /// Refers to itself: whether it fits is asked while the message is laid out.
    #[cast]
    fn meet(&mut self, neighbour: ActorRef<Gallery>, picture: Picture) {
        neighbour.hang(picture);
        self.neighbour = Some(neighbour);
    }

    #[cast]
    fn row(&mut self, row: Row) {
        self.pictures.push(Picture([[row[11]; 8]; 8]));
    }

    #[boxed]
    #[cast]
    async fn sleep(&mut self) {
        let large = [0_u8; 1_000];
        time::yield_now().await;
        drop(std::hint::black_box(large).to_vec());
    }
}

fn sizes_of<A: Actor>(handler: &str) -> HandlerSizes {
    A::handler_sizes().into_iter().find(|sizes| sizes.name == handler).expect("it has such a handler")
}

#[test]
fn a_message_is_small_however_large_the_arguments_are() {
    let picture = size_of::<Picture>();
    assert_eq!(picture, 512);
    assert!(size_of::<<Gallery as Actor>::Msg>() <= 96 + 8, "{:?}", Gallery::handler_sizes());
    assert_eq!(sizes_of::<Gallery>("hang").boxed, Some(picture));
    assert_eq!(sizes_of::<Gallery>("hang").message, 8);
    assert_eq!(sizes_of::<Gallery>("weigh").boxed, Some(picture + size_of::<Option<ReplyTo<u64>>>()));
    assert_eq!((sizes_of::<Gallery>("row").message, sizes_of::<Gallery>("row").boxed), (96, None));
}

#[test]
fn what_has_a_box_takes_no_room_in_the_process_either() {
    let sizes = biotope::sizes::<Gallery>();
    assert!(sizes.largest_future().1 < 400, "{sizes}");
    for handler in ["hang_later", "describe", "weigh", "sleep"] {
        let handler = sizes_of::<Gallery>(handler);
        assert_eq!(handler.future, 8);
        assert!(handler.boxed_future.expect("it has a box") >= 512, "{handler:?}");
    }
}

#[biotope::test(seeds = 3, allow_leftovers)]
async fn boxed_arguments_arrive_whole_and_in_order() {
    let gallery = spawn(Gallery::default());
    let other = Picture([[2; 8]; 8]);

    gallery.hang(PICTURE);
    gallery.hang_later(other, "late");
    gallery.try_hang(other).unwrap();
    gallery.sleep();
    gallery.row([2; 12]);

    assert_eq!(gallery.swap(0, other).await.unwrap(), PICTURE);
    assert_eq!(gallery.swap(9, other).await, Err(CallError::Reply(9)));
    assert_eq!(gallery.count_later(other).await.unwrap(), 4);
    assert_eq!(gallery.describe(other, ["two".to_owned()], "and more").await.unwrap(), "2 two and more");
    assert_eq!(gallery.weigh(Weigh { picture: other }).await.unwrap(), 128);
    assert_eq!(Recipient::<Weigh>::from(gallery.clone()).call(Weigh { picture: PICTURE }).await.unwrap(), 64);

    let next = spawn(Gallery::default());
    gallery.meet(next.clone(), PICTURE);
    gallery.sleep();
    assert_eq!(gallery.count_later(PICTURE).await.unwrap(), 0);
    assert_eq!(next.count_later(PICTURE).await.unwrap(), 1);
}

#[biotope::test(seeds = 3, allow_crashes, allow_leftovers)]
async fn an_error_of_a_boxed_handler_ends_the_process() {
    let gallery = spawn(Gallery::default());
    gallery.hang_later(PICTURE, "forged");

    assert!(gallery.count_later(PICTURE).await.is_err());
}

/// Goal: what was in a box is dropped with its message, and with a process that ends in the middle of it.
/// Method: an `Arc` in large arguments, once in a future that is not done and once in a message behind it.
#[biotope::test(seeds = 3, allow_leftovers)]
async fn what_is_in_a_box_is_dropped_with_it() {
    let shared = Arc::new(());
    let holder = spawn(Holder);

    holder.hold(([0; 20], shared.clone()));
    holder.hold(([0; 20], shared.clone()));
    time::sleep(millis(1)).await;
    assert_eq!(Arc::strong_count(&shared), 3);
    node().exit(&holder, ExitReason::Kill);
    time::sleep(millis(1)).await;

    assert_eq!(Arc::strong_count(&shared), 1);
}

#[derive(Actor)]
struct Holder;

#[handlers]
impl Holder {
    #[cast]
    async fn hold(&mut self, _: ([u64; 20], Arc<()>)) {
        std::future::pending::<()>().await;
    }
}

/// A parameter's size is not known where the message is laid out.
#[derive(Actor)]
struct Shelf<T>(Vec<T>);

#[handlers]
impl<T: Send + Clone + 'static> Shelf<T> {
    #[cast]
    fn put(&mut self, thing: T) {
        self.0.push(thing);
    }

    #[boxed]
    fn put_all(&mut self, things: (T, T)) -> usize {
        self.0.extend([things.0, things.1]);
        self.0.len()
    }

    #[biotope::boxed]
    async fn put_later(&mut self, thing: T) -> T {
        time::yield_now().await;
        self.0.push(thing.clone());
        thing
    }

    #[cast]
    fn known(&mut self, picture: Picture) {
        assert_eq!(picture, PICTURE);
    }
}

#[biotope::test(seeds = 3, allow_leftovers)]
async fn type_parameters_have_a_box_if_the_handler_says_so() {
    let shelf = spawn(Shelf(Vec::new()));
    shelf.put([7_u8; 150]);
    shelf.known(PICTURE);

    assert_eq!(shelf.put_all(([1; 150], [2; 150])).await.unwrap(), 3);
    assert_eq!(shelf.put_later([3; 150]).await.unwrap(), [3; 150]);

    type Large = Shelf<[u8; 150]>;
    assert_eq!((sizes_of::<Large>("put").message, sizes_of::<Large>("put").boxed), (150, None));
    assert_eq!(sizes_of::<Large>("put_all").boxed, Some(300));
    assert_eq!(sizes_of::<Large>("put_later").boxed, Some(150));
    assert_eq!(sizes_of::<Large>("known").boxed, Some(512));
}

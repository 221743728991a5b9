//! Expansions cause no warnings, whatever the crate asks for; private types in private handlers are fine.
#![deny(warnings, missing_docs, unreachable_pub, unused, private_interfaces)]

use biotope::prelude::*;

/// An actor of a module of its own.
pub mod shop {
    use super::*;

    /// The actor.
    #[derive(Actor, Default)]
    #[actor(mailbox = unbounded)]
    pub struct Shop {
        secrets: Vec<Secret>,
    }

    #[derive(Default)]
    struct Secret;

    #[derive(Actor, Default)]
    pub(crate) struct Clerk;

    /// All of its handlers, or all of a sort, may be absent.
    #[derive(Actor, Default)]
    pub struct Ghost;

    #[handlers]
    impl Shop {
        /// Tells the shop something.
        pub fn tell(&mut self) {
            self.secrets.push(Secret);
        }

        fn whisper(&mut self, secret: Secret) -> Secret {
            secret
        }
    }

    #[handlers]
    impl Clerk {
        #[cast]
        pub(super) fn never_called(&mut self) {}
    }

    #[handlers]
    impl Ghost {
        #[cfg(any())]
        fn plain(&mut self, cx: &mut Context<Self>) {}

        #[cfg(any())]
        async fn later(&mut self) {}

        #[cfg(any())]
        #[info]
        fn on_down(&mut self, down: Down) {}

        #[cfg(any())]
        #[info]
        async fn on_anything(&mut self, info: Info) {}
    }

    /// Without handlers.
    #[derive(Actor, Default)]
    pub struct Stone<T>(std::marker::PhantomData<T>);

    #[handlers]
    impl<T: Send + 'static> Stone<T> {}

    /// One handler, plain, absent.
    #[derive(Actor, Default)]
    pub struct Plain;

    #[handlers]
    impl Plain {
        #[cfg(any())]
        #[cast]
        fn plain(&mut self) {}

        #[cfg(all())]
        #[info]
        fn on_anything(&mut self, _: Info) {}
    }

    /// A plain one that is there, an async one that is not.
    #[derive(Actor, Default)]
    pub struct Half;

    #[handlers]
    impl Half {
        #[cast]
        fn plain(&mut self, cx: &mut Context<Self>) -> Result<(), std::fmt::Error> {
            let _ = cx;
            Ok(())
        }

        #[cfg(any())]
        async fn later(&mut self) {}
    }

    /// Handlers whose arguments lie in a box, of every sort.
    #[derive(Actor, Default)]
    pub struct Gallery;

    type Picture = [u64; 30];

    #[handlers(remote)]
    impl Gallery {
        #[cast]
        fn hang(&mut self, _: Picture) {}

        /// Hangs it later.
        pub async fn hang_later(&mut self, picture: Picture, note: &str) -> usize {
            picture.len() + note.len()
        }

        #[cfg(any())]
        #[boxed]
        async fn absent(&mut self, picture: Picture) {}

        #[boxed]
        #[cast]
        async fn sleep(&mut self) {}

        #[biotope::boxed]
        async fn forget(&mut self, pictures: usize, reply: ReplyTo<usize>) {
            reply.send(pictures);
        }
    }

    /// An async one that is there, a plain one that is not.
    #[derive(Actor, Default)]
    pub struct OtherHalf;

    #[handlers]
    impl OtherHalf {
        #[cfg(any())]
        #[cast]
        fn plain(&mut self, cx: &mut Context<Self>) {}

        async fn later(&mut self) {}
    }

    /// Uses the private handler.
    pub async fn gossip(shop: &ActorRef<Shop>) -> biotope::Result<()> {
        shop.whisper(Secret).await?;
        spawn(Clerk);
        spawn(Ghost);
        spawn(Stone::<u8>(std::marker::PhantomData));
        spawn(Plain);
        spawn(Half).plain();
        let gallery = spawn(Gallery);
        gallery.hang([0; 30]);
        gallery.sleep();
        gallery.hang_later([1; 30], "").await?;
        gallery.forget(1).await?;
        spawn(OtherHalf).later().await?;
        Ok(())
    }
}

#[biotope::main]
async fn main() {
    let shop = spawn(shop::Shop::default());
    shop.tell().await.unwrap();
    shop::gossip(&shop).await.unwrap();
}

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

    /// Uses the private handler.
    pub async fn gossip(shop: &ActorRef<Shop>) -> biotope::Result<()> {
        shop.whisper(Secret).await?;
        spawn(Clerk);
        Ok(())
    }
}

#[biotope::main]
async fn main() {
    let shop = spawn(shop::Shop::default());
    shop.tell().await.unwrap();
    shop::gossip(&shop).await.unwrap();
}

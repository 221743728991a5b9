//! The expansion of a small actor, kept in `snapshot.rs` for people to read.
//!
//! A procedural macro's crate exports nothing but its macros, so this takes in the modules themselves. After a
//! wanted change, `BLESS=1 cargo test -p biotope-macros --test expansion` writes the snapshot anew.

#![allow(dead_code, unreachable_pub, reason = "the modules are written for the crate that they belong to")]

use proc_macro2::TokenStream;
use quote::quote;

#[path = "../../src/actor.rs"]
mod actor;
#[path = "../../src/handlers/mod.rs"]
mod handlers;
#[path = "../../src/options.rs"]
mod options;
#[path = "../../src/path.rs"]
mod path;

const SNAPSHOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/expansion/snapshot.rs");

fn cart() -> (TokenStream, TokenStream) {
    let actor = quote! {
        #[derive(Actor, Default)]
        #[actor(mailbox = bounded(1024))]
        pub struct Cart { items: Vec<Item> }
    };
    let block = quote! {
        impl Cart {
            /// Adds `item`; returns how many there are.
            pub async fn add(&mut self, item: Item) -> usize {
                self.items.push(item);
                self.items.len()
            }
            #[cast]
            pub fn clear(&mut self) {
                self.items.clear();
            }
            #[info]
            fn on_down(&mut self, down: Down, cx: &mut Context<Self>) {
                println!("{} ended", down.pid);
            }
        }
    };
    (actor, block)
}

/// Goal: whoever wonders what the macros write can read it, and changes to it are seen in review.
/// Method: a call, a cast and an info, expanded and printed.
#[test]
fn the_expansion_of_a_three_handler_actor_is_as_recorded() {
    let (actor, block) = cart();
    let (declared, handled) = (actor::expand(actor), handlers::expand(TokenStream::new(), block));
    let expansion = syn::parse2(quote!(#declared #handled)).expect("the expansion is Rust");
    let printed = format!(
        "// What `#[derive(Actor)]` and `#[handlers]` write for the `Cart` of `main.rs`.\n\n{}",
        prettyplease::unparse(&expansion)
    );

    if std::env::var_os("BLESS").is_some() {
        std::fs::write(SNAPSHOT, &printed).expect("the snapshot can be written");
    }
    let recorded = std::fs::read_to_string(SNAPSHOT).unwrap_or_default();
    assert!(printed == recorded, "the expansion has changed; if that is wanted, run this with BLESS=1\n\n{printed}");
}

/// Goal: an editor keeps the client's methods while a body is being typed.
/// Method: a body that is no expression, among others.
#[test]
fn a_half_typed_body_does_not_take_the_client_away() {
    let block = quote! {
        impl Cart {
            pub fn add(&mut self, item: Item) -> usize { self. }
            pub fn len(&self) -> usize { let = }
        }
    };

    let expansion = handlers::expand(TokenStream::new(), block).to_string();

    assert!(expansion.contains("pub fn add (& self , item : Item)"), "{expansion}");
    assert!(expansion.contains("pub fn len (& self ,)"), "{expansion}");
    assert!(!expansion.contains("compile_error"), "{expansion}");
}

#[test]
fn a_handler_with_a_mistake_leaves_the_others_alone() {
    let block = quote! {
        impl Cart {
            pub fn add(&mut self, item: &Item) {}
            pub fn unfinished(&mut self, item:) {}
            pub fn len(&self) -> usize { 0 }
        }
    };

    let expansion = handlers::expand(TokenStream::new(), block).to_string();

    assert!(expansion.contains("pub fn len (& self ,)"), "{expansion}");
    assert!(!expansion.contains("CartMsg :: Add"), "{expansion}");
    assert_eq!(expansion.matches("compile_error").count(), 2, "{expansion}");
}

#[test]
fn biotope_can_be_elsewhere() {
    let expansion = handlers::expand(quote!(crate = crate::actors), quote!(impl Cart {})).to_string();

    assert!(expansion.contains("crate :: actors :: Actor"), "{expansion}");
    assert!(!expansion.contains(":: biotope"), "{expansion}");
}

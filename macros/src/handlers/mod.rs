//! `#[handlers]` and `#[machine]`: from methods to messages.
//!
//! ```text
//!   tokens ──▶ block ──▶ model ──▶ checks ──▶ expand ──▶ tokens
//!             (opaque    (roles,             (messages, client,
//!              bodies)    arguments,          serve, remote)
//!                         replies)
//! ```
//!
//! - [`block`] reads the `impl` block without looking into bodies: a body that is half typed does not take
//!   the client's methods away from the editor, and costs no parsing.
//! - [`role`], [`argument`], [`reply`] and [`model`] turn each method into a [`model::Handler`]; [`types`] is what
//!   they know of types, which is only how they are written.
//! - [`room`] decides which arguments may need a box.
//! - [`checks`] refuses what one handler cannot see: names taken twice or reserved.
//! - [`messages`], [`client`], [`serve`], [`sizes`] and [`remote`] write the items; none of them can fail.
//! - [`states`] reads what the methods of a `#[machine]` say of states, and [`machine`] writes what that means.
//!
//! A handler with a mistake in it is left out and reported; all others are expanded.

mod argument;
mod block;
mod checks;
mod client;
mod machine;
mod messages;
mod model;
mod remote;
mod reply;
mod role;
mod room;
mod serve;
mod sizes;
mod states;
mod types;

use proc_macro2::TokenStream;
use quote::quote;
use syn::Error;

use self::block::Block;
use self::machine::{Machine, Otherwise};
use self::model::Model;
use crate::options::Options;

/// The output of `#[handlers]`: the block as it was written, what it means, and what is wrong with it.
pub(crate) fn expand(options: TokenStream, input: TokenStream) -> TokenStream {
    expand_block("#[handlers]", settings(options), input)
}

/// The output of `#[machine]`, in the same way.
pub(crate) fn expand_machine(options: TokenStream, input: TokenStream) -> TokenStream {
    expand_block("#[machine]", machine_settings(options), input)
}

fn expand_block(place: &str, settings: syn::Result<Settings>, input: TokenStream) -> TokenStream {
    let mut mistakes = Mistakes::default();
    let Some(mut block) = mistakes.note(Block::read(place, input.clone())) else {
        let errors = mistakes.into_compile_errors();
        return quote!(#input #errors);
    };
    let model = mistakes.note(settings).and_then(|settings| Model::of(&mut block, settings, &mut mistakes));
    let expansion = model.map(|mut model| {
        checks::check(&mut model, &mut mistakes);
        let (messages, client, serve) = (messages::expand(&model), client::expand(&model), serve::expand(&model));
        let (accepts, remote) = (messages::expand_accepts(&model), remote::expand(&model));
        quote!(#messages #client #serve #accepts #remote)
    });
    let errors = mistakes.into_compile_errors();
    quote!(#block #expansion #errors)
}

/// The error for `#[name]` on something that no block marked `block` holds.
pub(crate) fn forgotten(name: &str, block: &str) -> TokenStream {
    let message = format!(
        "`#[{name}]` means something only on a method of a block marked `{block}`: write `{block}` above the `impl`"
    );
    Error::new(proc_macro2::Span::call_site(), message).into_compile_error()
}

/// What is written in `#[handlers(…)]` or `#[machine(…)]`.
struct Settings {
    remote: bool,
    own_thread: bool,
    machine: Option<Machine>,
    root: crate::path::Root,
}

fn settings(options: TokenStream) -> syn::Result<Settings> {
    let mut options = Options::parse("#[handlers]", options)?;
    let settings = Settings {
        remote: options.flag("remote")?.is_some(),
        own_thread: options.flag("own_thread")?.is_some(),
        machine: None,
        root: options.root()?,
    };
    options.finish()?;
    Ok(settings)
}

fn machine_settings(options: TokenStream) -> syn::Result<Settings> {
    let mut options = Options::parse("#[machine]", options)?;
    let state = options.value("state", "state = Phase")?;
    let initial = options.value("initial", "initial = Idle")?;
    let otherwise: Option<syn::Ident> = options.value("otherwise", "otherwise = crash")?;
    let otherwise = otherwise.map(|written| Otherwise::read(&written)).transpose()?;
    let (remote, root) = (options.flag("remote")?.is_some(), options.root()?);
    options.finish()?;
    let message = "a machine has states, which are the variants of an enum: write `#[machine(state = Phase)]`";
    let state = state.ok_or_else(|| Error::new(proc_macro2::Span::call_site(), message))?;
    Ok(Settings { remote, own_thread: false, machine: Some(Machine { state, initial, otherwise }), root })
}

/// All mistakes of a block, so that they are reported together.
#[derive(Default)]
struct Mistakes(Option<Error>);

impl Mistakes {
    /// Keeps the error, if it is one.
    fn note<T>(&mut self, result: syn::Result<T>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                match &mut self.0 {
                    Some(earlier) => earlier.combine(error),
                    None => self.0 = Some(error),
                }
                None
            }
        }
    }

    fn into_compile_errors(self) -> Option<TokenStream> {
        self.0.map(Error::into_compile_error)
    }
}

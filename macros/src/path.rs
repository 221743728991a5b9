//! The one place that decides where the expansions find biotope.
//!
//! Everything an expansion names comes from the facade, under the root that [`Root`] holds: `::biotope`, or
//! what the user wrote as `crate = path` (for crates that reach biotope under another name). What a user
//! may write as well stands at the root itself; what only expansions use stands in `__private`:
//!
//! ```text
//!   biotope::{Accepts, Actor, Address, Call, CallError, Client, Context, DecodeError, Entering, Envelope, Event,
//!             ExitReason, Handle, HandlerSizes, Incoming, Info, Message, MethodId, Options, Outcome, Outgoing, Refused,
//!             Remote, ReplyTo, Rule, Start, State, StateMachine, Step, Treatment, Wire}
//!   biotope::__private::{any, Declared, fits, Held, Hold, main, MainOptions, Packed, Room, test, TestOptions}
//! ```

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::Path;

/// Where biotope is; in `quote!`, `#root::Actor` is the trait.
pub(crate) struct Root(Option<Path>);

impl Root {
    /// The path that the user wrote, or `::biotope`.
    pub(crate) fn or_default(path: Option<Path>) -> Self {
        Self(path)
    }
}

impl ToTokens for Root {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match &self.0 {
            Some(path) => path.to_tokens(tokens),
            None => quote!(::biotope).to_tokens(tokens),
        }
    }
}

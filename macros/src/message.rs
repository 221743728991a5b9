//! `#[derive(Message)]`: a message apart from any one actor.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{DeriveInput, Error, Result, Type, parse_quote};

use crate::options::Options;

/// The derive's output, which on a mistake is the error.
pub(crate) fn expand(input: TokenStream) -> TokenStream {
    declare(input).unwrap_or_else(Error::into_compile_error)
}

fn declare(input: TokenStream) -> Result<TokenStream> {
    let input: DeriveInput = syn::parse2(input)?;
    let mut options = Options::of_attributes("message", &input.attrs)?;
    let reply: Option<Type> = options.value("reply", "reply = Type")?;
    let root = options.root()?;
    options.finish()?;
    if let Some(lifetime) = input.generics.lifetimes().next() {
        let message = "a message is handled after its sender went on, so it owns what it carries: remove the lifetime";
        return Err(Error::new_spanned(lifetime, message));
    }

    let message = &input.ident;
    let (generics, arguments, bounds) = input.generics.split_for_impl();
    let reply = reply.unwrap_or_else(|| parse_quote!(()));
    Ok(quote! {
        #[automatically_derived]
        impl #generics #root::Message for #message #arguments #bounds {
            type Reply = #reply;
        }
    })
}

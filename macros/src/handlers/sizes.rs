//! What the handlers take in memory, measured where their types have names.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;

use super::argument::{Argument, Form};
use super::messages;
use super::model::{Does, Handler, Model};
use super::room;

/// The method of `Actor`, if there is anything to measure.
pub(super) fn expand(model: &Model) -> Option<TokenStream> {
    model.messages().next()?;
    let root = &model.root;
    let sizes = model.messages().map(|handler| sizes(model, handler));
    Some(quote! {
        #[inline]
        fn handler_sizes() -> ::std::vec::Vec<#root::HandlerSizes> {
            ::std::vec::Vec::from([#(#sizes),*])
        }
    })
}

fn sizes(model: &Model, handler: &Handler) -> TokenStream {
    let root = &model.root;
    let (cfgs, name) = (&handler.cfgs, handler.name.unraw().to_string());
    let (contents, enough) = (messages::contents(model, handler), room::enough(model, handler));
    let reply = match &handler.does {
        Does::Call(reply) => messages::reply(model, reply),
        _ => quote!(()),
    };
    let future = handler.is_async.then(|| {
        let call = unrun(model, handler);
        quote!(.with_future(|| #call))
    });
    quote!(#(#cfgs)* #root::HandlerSizes::of::<#contents, #reply>(#name, #enough) #future)
}

/// The call of the user's method with arguments that do not exist: for its type, and never run.
fn unrun(model: &Model, handler: &Handler) -> TokenStream {
    let (root, name) = (&model.root, &handler.name);
    let any = quote!(#root::__private::any);
    let arguments = handler.arguments.iter().map(|argument| match argument {
        Argument::Value(value) if value.form == Form::Into => {
            let ty = &value.ty;
            quote!(#any::<#ty>())
        }
        _ => quote!(#any()),
    });
    quote!(Self::#name(#any(), #(#arguments),*))
}

//! The enum of an actor's messages: one tuple variant for each handler that callers can reach.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::GenericParam;
use syn::spanned::Spanned;

use super::model::{Does, Handler, Model, local};
use super::reply::Reply;
use super::room::Packed;
use super::types;

/// The enum.
pub(super) fn expand(model: &Model) -> TokenStream {
    let (parameters, bounds) = (&model.generics, &model.generics.where_clause);
    let name = model.msg_name();
    let variants = model.messages().map(|handler| {
        let (cfgs, variant, fields) = (&handler.cfgs, handler.variant(), fields(model, handler));
        quote!(#(#cfgs)* #variant(#fields))
    });
    let unused = unused_parameters(model);
    let unused = (!unused.is_empty()).then(|| {
        let unused = unused.iter();
        quote!(__Never(::core::convert::Infallible, ::core::marker::PhantomData<fn(#(&#unused),*)>),)
    });
    // It is as public as the actor may be, for it is part of the actor's traits, while types in private handlers
    // need not be.
    quote! {
        #[doc(hidden)]
        #[allow(private_interfaces, private_bounds, dead_code)]
        pub enum #name #parameters #bounds {
            #(#variants,)*
            #unused
        }
    }
}

/// `Accepts` for every free-standing message.
pub(super) fn expand_accepts(model: &Model) -> TokenStream {
    let Model { root, generics, self_type, .. } = model;
    let (parameters, _, bounds) = generics.split_for_impl();
    let (msg, envelope) = (model.msg(), local("envelope"));
    let messages = model.messages().filter(|handler| matches!(handler.does, Does::Message(_)));
    let implementations = messages.map(|handler| {
        let cfgs = &handler.cfgs;
        let taken: TokenStream = handler.values().map(|value| value.ty.to_token_stream()).collect();
        let message = variant(model, handler, envelope.to_token_stream(), None);
        quote! {
            #(#cfgs)*
            impl #parameters #root::Accepts<#taken> for #self_type #bounds {
                fn accept(#envelope: #root::Envelope<#taken>) -> #msg {
                    #message
                }
            }
        }
    });
    implementations.collect()
}

/// The arm for the variant that keeps parameters in use; it holds nothing that exists.
pub(super) fn never_arm(model: &Model) -> Option<TokenStream> {
    let (name, never) = (model.msg_name(), local("never"));
    (!unused_parameters(model).is_empty()).then(|| quote!(#name::__Never(#never, _) => match #never {},))
}

/// What the handler's variant holds, as the fields of a tuple.
pub(super) fn fields(model: &Model, handler: &Handler) -> TokenStream {
    let contents = match (Packed::of(model, handler), &handler.does) {
        (Some(packed), _) => packed.held(),
        (None, Does::Message(_)) => contents(model, handler),
        (None, _) => {
            let types = handler.values().map(|value| &value.ty);
            quote!(#(#types),*)
        }
    };
    match &handler.does {
        Does::Call(reply) => {
            let (comma, reply) = ((!contents.is_empty()).then(|| quote!(,)), self::reply(model, reply));
            quote!(#contents #comma #reply)
        }
        _ => contents,
    }
}

/// The type of the handler's arguments, as one: a tuple, or the envelope of a free-standing message.
pub(super) fn contents(model: &Model, handler: &Handler) -> TokenStream {
    let root = &model.root;
    let types = handler.values().map(|value| &value.ty);
    match &handler.does {
        Does::Message(_) => {
            // Located at the type: that is where it is wrong if it is no message.
            let envelopes = types.map(|ty| quote_spanned!(ty.span()=> #root::Envelope<#ty>));
            quote!(#(#envelopes)*)
        }
        _ => quote!((#(#types,)*)),
    }
}

/// The type of the way of a call's reply.
pub(super) fn reply(model: &Model, reply: &Reply) -> TokenStream {
    let (root, reply) = (&model.root, &reply.ty);
    quote!(#root::ReplyTo<#reply>)
}

/// The handler's message, of its arguments and of where the reply goes.
pub(super) fn build(
    model: &Model,
    handler: &Handler,
    values: impl Iterator<Item = TokenStream>,
    reply: TokenStream,
) -> TokenStream {
    match &handler.does {
        Does::Message(_) => variant(model, handler, envelope(model, values, reply), None),
        Does::Call(_) => variant(model, handler, quote!(#(#values),*), Some(reply)),
        _ => variant(model, handler, quote!(#(#values),*), None),
    }
}

/// The handler's message taken apart, as the pattern of an arm and the rest of it: `then`, which has the arguments and
/// the reply by their names, and the `room` under its own.
pub(super) fn take_apart(
    model: &Model,
    handler: &Handler,
    room: TokenStream,
    then: TokenStream,
) -> (TokenStream, TokenStream) {
    let names = || handler.values().map(|value| value.name.to_token_stream());
    let reply = local("reply").into_token_stream();
    let Some(packed) = Packed::of(model, handler) else { return (build(model, handler, names(), reply), then) };
    let contents = match &handler.does {
        Does::Message(_) => envelope(model, names(), reply.clone()),
        _ => {
            let names = names();
            quote!((#(#names,)*))
        }
    };
    let place = local("packed");
    let reply = matches!(handler.does, Does::Call(_)).then(|| quote!(, #reply));
    let (name, variant, unpacked) = (model.msg_name(), handler.variant(), packed.unpack(&place));
    (quote!(#name::#variant(#place #reply)), quote!({ let (#contents, #room) = #unpacked; #then }))
}

/// The handler's variant around `contents`, packed if they may need a box.
fn variant(model: &Model, handler: &Handler, contents: TokenStream, reply: Option<TokenStream>) -> TokenStream {
    let (name, variant) = (model.msg_name(), handler.variant());
    let contents = match (Packed::of(model, handler), &handler.does) {
        (Some(packed), Does::Message(_)) => packed.pack(contents),
        (Some(packed), _) => packed.pack(quote!((#contents,))),
        (None, _) => contents,
    };
    let comma = (reply.is_some() && !contents.is_empty()).then(|| quote!(,));
    quote!(#name::#variant(#contents #comma #reply))
}

fn envelope(model: &Model, values: impl Iterator<Item = TokenStream>, reply: TokenStream) -> TokenStream {
    let root = &model.root;
    quote!(#root::Envelope { #(message: #values,)* reply: #reply })
}

/// The actor's type parameters that no variant is sure to use.
fn unused_parameters(model: &Model) -> Vec<TokenStream> {
    let certain = model.messages().filter(|handler| handler.cfgs.is_empty());
    let used: TokenStream = certain.map(|handler| fields(model, handler)).collect();
    let types = model.generics.params.iter().filter_map(|parameter| match parameter {
        GenericParam::Type(ty) => Some(&ty.ident),
        _ => None,
    });
    types.filter(|ident| !types::mentions(used.clone(), ident)).map(ToTokens::to_token_stream).collect()
}

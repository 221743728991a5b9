//! The enum of an actor's messages: one tuple variant for each handler that callers can reach.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::GenericParam;
use syn::spanned::Spanned;

use super::model::{Does, Handler, Model, local};
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
    let (msg, name, envelope) = (model.msg(), model.msg_name(), local("envelope"));
    let messages = model.messages().filter(|handler| matches!(handler.does, Does::Message(_)));
    let implementations = messages.map(|handler| {
        let (cfgs, variant) = (&handler.cfgs, handler.variant());
        let taken: TokenStream = handler.values().map(|value| value.ty.to_token_stream()).collect();
        quote! {
            #(#cfgs)*
            impl #parameters #root::Accepts<#taken> for #self_type #bounds {
                fn accept(#envelope: #root::Envelope<#taken>) -> #msg {
                    #name::#variant(#envelope)
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
    let root = &model.root;
    let types = handler.values().map(|value| &value.ty);
    match &handler.does {
        Does::Call(reply) => {
            let reply = &reply.ty;
            quote!(#(#types,)* #root::ReplyTo<#reply>)
        }
        Does::Message(_) => {
            // Located at the type: that is where it is wrong if it is no message.
            let envelopes = types.map(|ty| quote_spanned!(ty.span()=> #root::Envelope<#ty>));
            quote!(#(#envelopes)*)
        }
        _ => quote!(#(#types),*),
    }
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

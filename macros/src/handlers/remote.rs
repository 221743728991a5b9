//! `Remote`: how the messages of a `#[handlers(remote)]` block travel.
//!
//! The implementation has no conditions, for an actor may have references to itself among its arguments. So
//! the bounds stand on one small function for each handler, its route:
//!
//! ```text
//! fn add_route<A0: Wire, T: Wire>() -> (fn((A0,), ReplyTo<T>, Outgoing), fn(Incoming) -> Result<((A0,), ReplyTo<T>), ..>)
//! ```
//!
//! Both directions ask for `add_route::<Item, usize>()`, in the same words at the same place. What cannot travel is
//! reported at its type in the handler's signature, and once: the compiler says the same thing only once.

use proc_macro2::{Ident, Literal, TokenStream};
use quote::{format_ident, quote};
use syn::ext::IdentExt;
use syn::{Attribute, LitStr, Type};

use super::messages;
use super::model::{Does, Handler, Model, local};
use crate::path::Root;

/// The implementation, if the block is remote.
pub(super) fn expand(model: &Model) -> Option<TokenStream> {
    if !model.remote {
        return None;
    }
    let Model { root, generics, self_type, .. } = model;
    let (parameters, _, bounds) = generics.split_for_impl();
    let (msg, message, incoming, out) = (model.msg(), local("message"), local("incoming"), local("out"));

    let ids: Vec<Id> = model.messages().flat_map(Id::of).collect();
    let constants = ids.iter().map(|Id { cfgs, constant, name, version }| {
        quote!(#(#cfgs)* const #constant: #root::MethodId = #root::MethodId::of(#name, #version);)
    });
    let elements = ids.iter().map(|Id { cfgs, constant, .. }| quote!(#(#cfgs)* #constant));
    let routes: Vec<Route> = model.messages().map(Route::of).collect();
    let functions = routes.iter().map(|route| route.function(root));
    let encoded = routes.iter().map(|route| route.encode(model));
    let decoded = routes.iter().map(|route| route.decode(model));
    let never = messages::never_arm(model);
    Some(quote! {
        const _: () = {
            #(#constants)*
            const _: () = #root::MethodId::assert_distinct(&[#(#elements),*]);

            #(#functions)*

            impl #parameters #root::Remote for #self_type #bounds {
                fn encode(#message: #msg, #out: #root::Outgoing<'_>) {
                    match #message { #(#encoded)* #never }
                }

                fn decode(
                    #incoming: #root::Incoming<'_, '_>,
                ) -> ::core::result::Result<#msg, #root::DecodeError> {
                    match #incoming.method() {
                        #(#decoded)*
                        _ => ::core::result::Result::Err(#incoming.unknown()),
                    }
                }
            }
        };
    })
}

/// The constant that holds a wire id.
struct Id<'a> {
    cfgs: &'a [Attribute],
    constant: Ident,
    name: String,
    version: Literal,
}

impl<'a> Id<'a> {
    /// The ids of a handler: one, and for a free-standing message one more for those that await no reply.
    fn of(handler: &'a Handler) -> Vec<Self> {
        let wire = handler.wire.as_ref();
        let name = wire.and_then(|wire| wire.name.as_ref()).map(LitStr::value);
        let name = name.unwrap_or_else(|| handler.name.unraw().to_string());
        let version = wire.and_then(|wire| wire.version.as_ref()?.base10_parse().ok()).unwrap_or(1);
        let id =
            |constant, name| Self { cfgs: &handler.cfgs, constant, name, version: Literal::u16_unsuffixed(version) };
        match handler.does {
            Does::Message(_) => vec![id(cast_constant(handler), format!("{name}#cast")), id(constant(handler), name)],
            _ => vec![id(constant(handler), name)],
        }
    }
}

fn constant(handler: &Handler) -> Ident {
    format_ident!("{}_ID", handler.name.unraw().to_string().to_uppercase())
}

fn cast_constant(handler: &Handler) -> Ident {
    format_ident!("{}_CAST_ID", handler.name.unraw().to_string().to_uppercase())
}

/// How one handler's message travels.
struct Route<'a> {
    handler: &'a Handler,
    /// What the handler's arguments are called, and how they are written in the message.
    names: Vec<&'a Ident>,
    types: Vec<&'a Type>,
    /// The types of the reply: none for a cast, two for a `Result`.
    reply: Vec<&'a Type>,
}

impl<'a> Route<'a> {
    fn of(handler: &'a Handler) -> Self {
        let reply = match &handler.does {
            Does::Call(reply) | Does::Message(reply) => reply.parts(),
            _ => Vec::new(),
        };
        let names = handler.values().map(|value| &value.name).collect();
        let types = handler.values().map(|value| &value.ty).collect();
        Self { handler, names, types, reply }
    }

    /// The function that gives both directions, where all bounds are.
    fn function(&self, root: &Root) -> TokenStream {
        let (cfgs, name, id) = (&self.handler.cfgs, self.name(), constant(self.handler));
        let values: Vec<_> = (0..self.types.len()).map(|number| format_ident!("A{number}")).collect();
        let (parts, reply) = match self.reply[..] {
            [] => (vec![], quote!(())),
            [_] => (vec![format_ident!("T")], quote!(T)),
            _ => (vec![format_ident!("T"), format_ident!("E")], quote!(::core::result::Result<T, E>)),
        };
        let (values_type, reply) = (quote!((#(#values,)*)), quote!(#root::ReplyTo<#reply>));
        let result = |ty: TokenStream| quote!(::core::result::Result<#ty, #root::DecodeError>);
        let (some, none) = (quote!(::core::option::Option::Some), quote!(::core::option::Option::None));
        let (sent, received, encode, decode) = match self.handler.does {
            Does::Call(_) => (
                quote!(#values_type, #reply),
                result(quote!((#values_type, #reply))),
                quote!(|values, reply, out| out.call(#id, &values, reply)),
                quote!(|incoming| incoming.call()),
            ),
            Does::Message(_) => {
                let cast = cast_constant(self.handler);
                (
                    quote!(#values_type, ::core::option::Option<#reply>),
                    result(quote!((#values_type, ::core::option::Option<#reply>))),
                    quote! {
                        |values, reply, out| match reply {
                            #some(reply) => out.call(#id, &values, reply),
                            #none => out.cast(#cast, &values),
                        }
                    },
                    quote! {
                        |incoming| match incoming.method() {
                            #cast => incoming.cast().map(|values| (values, #none)),
                            _ => incoming.call().map(|(values, reply)| (values, #some(reply))),
                        }
                    },
                )
            }
            _ => (
                values_type.clone(),
                result(values_type),
                quote!(|values, out| out.cast(#id, &values)),
                quote!(|incoming| incoming.cast()),
            ),
        };
        quote! {
            #(#cfgs)*
            #[allow(clippy::type_complexity)]
            fn #name<#(#values: #root::Wire,)* #(#parts: #root::Wire,)*>() -> (
                fn(#sent, #root::Outgoing<'_>),
                fn(#root::Incoming<'_, '_>) -> #received,
            ) {
                (#encode, #decode)
            }
        }
    }

    /// The arm that sends the message.
    fn encode(&self, model: &Model) -> TokenStream {
        let Self { handler, names, .. } = self;
        let (cfgs, route) = (&handler.cfgs, self.instance());
        let (out, reply) = (local("out"), local("reply"));
        let reply = self.replies().then(|| quote!(#reply,));
        let (message, sent) =
            messages::take_apart(model, handler, quote!(_), quote!(#route.0((#(#names,)*), #reply #out)));
        quote!(#(#cfgs)* #message => #sent,)
    }

    /// The arm that makes the message of what arrived.
    fn decode(&self, model: &Model) -> TokenStream {
        let Self { handler, names, .. } = self;
        let (cfgs, route) = (&handler.cfgs, self.instance());
        let ids = Id::of(handler).into_iter().map(|id| id.constant);
        let (incoming, reply) = (local("incoming"), local("reply"));
        let message = messages::build(model, handler, names.iter().map(|name| quote!(#name)), quote!(#reply));
        let values = match self.replies() {
            true => quote!(((#(#names,)*), #reply)),
            false => quote!((#(#names,)*)),
        };
        quote! {
            #(#cfgs)*
            #(#ids)|* => {
                let #values = #route.1(#incoming)?;
                ::core::result::Result::Ok(#message)
            }
        }
    }

    fn name(&self) -> Ident {
        format_ident!("{}_route", self.handler.name.unraw(), span = proc_macro2::Span::call_site())
    }

    /// The function for the handler's types. Their tokens are the user's: that is where errors point.
    fn instance(&self) -> TokenStream {
        let (name, types) = (self.name(), self.types.iter().chain(&self.reply));
        quote!(#name::<#(#types),*>())
    }

    fn replies(&self) -> bool {
        !self.reply.is_empty()
    }
}

//! The client: what callers see of an actor. An `ActorRef` derefs to it.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::Attribute;

use super::messages;
use super::model::{Does, Handler, Model, local};

/// The struct, its methods, and `Client` for it.
pub(super) fn expand(model: &Model) -> TokenStream {
    let Model { root, generics, .. } = model;
    let (parameters, arguments, bounds) = generics.split_for_impl();
    let (name, client, msg) = (model.client_name(), model.client(), model.msg());
    let (parameters_of_struct, bounds_of_struct) = (generics, &generics.where_clause);
    let documentation = format!(" The methods by which callers reach a [`{}`].", model.name);
    let methods = model.messages().map(|handler| method(model, handler));
    let address = local("address");
    quote! {
        #[doc = #documentation]
        #[allow(private_interfaces, private_bounds)]
        pub struct #name #parameters_of_struct (#root::Address<#msg>) #bounds_of_struct;

        #[allow(private_interfaces, dead_code)]
        impl #parameters #name #arguments #bounds {
            #(#methods)*
        }

        impl #parameters #root::Client for #client #bounds {
            type Msg = #msg;

            fn from_address(#address: #root::Address<#msg>) -> Self {
                Self(#address)
            }

            fn address(&self) -> &#root::Address<#msg> {
                &self.0
            }
        }
    }
}

fn method(model: &Model, handler: &Handler) -> TokenStream {
    let root = &model.root;
    let (attributes, visibility, name) = (&handler.attributes, &handler.visibility, &handler.name);
    let documentation = undocumented(&handler.attributes).then(|| {
        let documentation = format!(" Sends the message that [`{}::{name}`] handles.", model.name);
        quote!(#[doc = #documentation])
    });
    let parameters = handler.values().map(|value| value.parameter());
    let signature = quote!(#documentation #(#attributes)* #visibility fn #name(&self, #(#parameters),*));

    let place = local("reply");
    let message = |reply| messages::build(model, handler, handler.values().map(|value| value.packed()), reply);
    let taken = handler.values().next().map(|value| &value.ty);
    let (call, fallible, message) = match &handler.does {
        Does::Call(reply) => (reply.call(root, &model.msg(), None), reply.fallible.is_some(), message(quote!(#place))),
        Does::Message(reply) => {
            let some = quote!(::core::option::Option::Some(#place));
            (reply.call(root, &model.msg(), taken), reply.fallible.is_some(), message(some))
        }
        _ => {
            let message = message(TokenStream::new());
            let try_form = try_form(model, handler, &message);
            return quote!(#signature { self.0.cast(#message) } #try_form);
        }
    };
    let constructor = match fallible {
        true => quote!(fallible),
        false => quote!(new),
    };
    quote!(#signature -> #call { #root::Call::#constructor(&self.0, move |#place| #message) })
}

/// The form of a cast that hands the message back. There is none where a handler has its name.
fn try_form(model: &Model, handler: &Handler, message: &TokenStream) -> TokenStream {
    let name = format_ident!("try_{}", handler.name);
    if model.handlers.iter().any(|other| other.name == name) {
        return TokenStream::new();
    }
    let (root, msg, visibility) = (&model.root, model.msg(), &handler.visibility);
    let attributes = handler.attributes.iter().filter(|attribute| !attribute.path().is_ident("doc"));
    let documentation = format!(" As [`{}`](Self::{}), or hands the message back.", handler.name, handler.name);
    let parameters = handler.values().map(|value| value.parameter());
    quote! {
        #[doc = #documentation]
        #(#attributes)*
        #visibility fn #name(&self, #(#parameters),*) -> ::core::result::Result<(), #root::SendError<#msg>> {
            self.0.try_cast(#message)
        }
    }
}

fn undocumented(attributes: &[Attribute]) -> bool {
    let documented = attributes.iter().any(|attribute| attribute.path().is_ident("doc"));
    !documented
}

//! The process's side: `Actor`, `Handle` and `Start` for the actor's type.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::parse_quote;
use syn::spanned::Spanned;

use super::argument::Argument;
use super::messages;
use super::model::{Does, Handler, Kind, Model, local};
use super::reply::{Outcome, Reply};
use super::role::Role;

/// The three implementations.
pub(super) fn expand(model: &Model) -> TokenStream {
    let Model { root, generics, self_type, .. } = model;
    let (parameters, _, bounds) = generics.split_for_impl();
    let (msg, client) = (model.msg(), model.client());
    let parts = [init(model), Some(handle(model)), info(model), terminate(model)];
    let start = start(model);
    quote! {
        impl #parameters #root::Actor for #self_type #bounds {
            type Msg = #msg;
            type Client = #client;
            const NAME: &'static str = <#self_type as #root::__private::Declared>::NAME;
            const OPTIONS: #root::Options = <#self_type as #root::__private::Declared>::OPTIONS;
        }

        impl #parameters #root::Handle for #self_type #bounds {
            #(#parts)*
        }

        #start
    }
}

fn handle(model: &Model) -> TokenStream {
    let (root, msg, name) = (&model.root, model.msg(), model.msg_name());
    let message = local("message");
    let arms = model.messages().map(|handler| {
        let (cfgs, variant) = (&handler.cfgs, handler.variant());
        let (fields, answer) = answer(model, handler);
        quote!(#(#cfgs)* #name::#variant(#fields) => #answer)
    });
    let never = messages::never_arm(model);
    let cx = cx(model.messages());
    quote! {
        async fn handle(&mut self, #message: #msg, #cx: &mut #root::Context<Self>) {
            match #message { #(#arms,)* #never }
        }
    }
}

/// The fields of a handler's variant, and what is done with them.
fn answer(model: &Model, handler: &Handler) -> (TokenStream, TokenStream) {
    let root = &model.root;
    let (reply, call) = (local("reply"), handler.invoke());
    let names = handler.values().map(|value| &value.name);
    match &handler.does {
        Does::Call(Reply { deferred: true, .. }) => (quote!(#(#names,)* #reply), call),
        Does::Call(_) => (quote!(#(#names,)* #reply), quote!(#reply.send(#call))),
        Does::Message(Reply { deferred: true, .. }) => {
            // Nobody waits for the reply to a cast; the handler replies all the same.
            let nobody = quote!(#root::ReplyTo::from_fn(|_| ()));
            let fields = quote!(#root::Envelope { #(message: #names,)* #reply });
            (fields, quote!({ let #reply = #reply.unwrap_or_else(|| #nobody); #call }))
        }
        Does::Message(Reply { ty, .. }) => {
            // Located at the handler's return type: that is where a type other than the message's is wrong.
            let answer = Ident::new("answer", Span::mixed_site().located_at(ty.span()));
            let send = quote! {{
                let #answer = #call;
                if let ::core::option::Option::Some(#reply) = #reply {
                    #reply.send(#answer)
                }
            }};
            (quote!(#root::Envelope { #(message: #names,)* #reply }), send)
        }
        Does::Cast(outcome) => (quote!(#(#names),*), until_failure(model, *outcome, call)),
        Does::Info(..) | Does::Start(_) | Does::Init(_) | Does::Terminate => Default::default(),
    }
}

/// `call`, whose error ends the process.
fn until_failure(model: &Model, outcome: Outcome, call: TokenStream) -> TokenStream {
    let root = &model.root;
    let (cx, reason) = (local("cx"), local("reason"));
    match outcome {
        Outcome::Done => call,
        Outcome::Fallible => quote! {
            if let ::core::option::Option::Some(#reason) = #root::Outcome::failure(#call) {
                #cx.stop(#reason)
            }
        },
    }
}

fn info(model: &Model) -> Option<TokenStream> {
    let root = &model.root;
    let (info, cx) = (local("info"), local("cx"));
    let handlers = || model.handlers.iter().filter(|handler| handler.role() == Role::Info);
    handlers().next()?;
    // The handler of all others comes last, wherever it is written.
    let mut arms: [TokenStream; 2] = Default::default();
    let mut covered = false;
    for handler in handlers() {
        let Does::Info(kind, outcome) = handler.does else { continue };
        let (cfgs, names) = (&handler.cfgs, handler.values().map(|value| &value.name));
        let fields = quote!(#(#names)*);
        let pattern = match kind {
            Kind::Down => quote!(#root::Info::Down(#fields)),
            Kind::Exit => quote!(#root::Info::Exit(#fields)),
            Kind::Node => quote!(#root::Info::Node(#fields)),
            Kind::Others => fields,
        };
        let call = until_failure(model, outcome, handler.invoke());
        covered |= kind == Kind::Others && cfgs.is_empty();
        arms[usize::from(kind == Kind::Others)].extend(quote!(#(#cfgs)* #pattern => #call,));
    }
    let unexpected = local("unexpected");
    let (attribute, rest) = match covered {
        true => (None, None),
        false => (
            Some(quote!(#[allow(unreachable_patterns)])),
            Some(quote!(#unexpected => #cx.log_unexpected(&#unexpected),)),
        ),
    };
    let cx = if covered { self::cx(handlers()) } else { cx };
    Some(quote! {
        async fn info(&mut self, #info: #root::Info, #cx: &mut #root::Context<Self>) {
            #attribute
            match #info { #(#arms)* #rest }
        }
    })
}

fn init(model: &Model) -> Option<TokenStream> {
    let root = &model.root;
    let mut handlers = model.handlers.iter().filter(|handler| handler.role() == Role::Init).peekable();
    handlers.peek()?;
    let statements: Vec<_> = handlers.map(|handler| statement(handler, quote!(;))).collect();
    let cx = cx(model.handlers.iter().filter(|handler| handler.role() == Role::Init));
    Some(quote! {
        async fn init(
            &mut self,
            #cx: &mut #root::Context<Self>,
        ) -> ::core::result::Result<(), #root::Refused> {
            #(#statements)*
            ::core::result::Result::Ok(())
        }
    })
}

fn terminate(model: &Model) -> Option<TokenStream> {
    let root = &model.root;
    let handlers = || model.handlers.iter().filter(|handler| handler.role() == Role::Terminate);
    handlers().next()?;
    let statements = handlers().map(|handler| statement(handler, quote!(;)));
    let (reason, cx) = (local("reason"), cx(handlers()));
    Some(quote! {
        async fn terminate(&mut self, #reason: &#root::ExitReason, #cx: &mut #root::Context<Self>) {
            #(#statements)*
        }
    })
}

/// The call of a handler, its error handed on, with its `cfg`s.
fn statement(handler: &Handler, end: TokenStream) -> TokenStream {
    let (cfgs, call) = (&handler.cfgs, handler.invoke());
    let question = matches!(handler.does, Does::Init(Outcome::Fallible) | Does::Start(Outcome::Fallible));
    let question = question.then(|| quote!(?));
    quote!(#(#cfgs)* { #call #question #end })
}

fn start(model: &Model) -> TokenStream {
    let Model { root, generics, self_type, .. } = model;
    let (parameters, _, bounds) = generics.split_for_impl();
    let implementation = |bounds: &dyn ToTokens, pattern: TokenStream, args: TokenStream, cx, made: TokenStream| {
        quote! {
            impl #parameters #root::Start for #self_type #bounds {
                type Args = #args;

                async fn start(
                    #pattern: #args,
                    #cx: &mut #root::Context<Self>,
                ) -> ::core::result::Result<Self, #root::Refused> {
                    ::core::result::Result::Ok(#made)
                }
            }
        }
    };
    let mut constructors = model.handlers.iter().filter(|handler| handler.role() == Role::Start).peekable();
    if constructors.peek().is_none() {
        let mut generics = generics.clone();
        // `for<'a>` lets a type that has no default pass: it only cannot be started then.
        generics.make_where_clause().predicates.push(parse_quote!(for<'a> #self_type: ::core::default::Default));
        let default = quote!(::core::default::Default::default());
        return implementation(&generics.where_clause, quote!(()), quote!(()), local("_cx"), default);
    }
    let implementations = constructors.map(|handler| {
        let cfgs = &handler.cfgs;
        let value = handler.values().next();
        let (pattern, args) = match value {
            Some(value) => (value.name.to_token_stream(), value.ty.to_token_stream()),
            None => (quote!(()), quote!(())),
        };
        let call = handler.invoke();
        let made = match handler.does {
            Does::Start(Outcome::Fallible) => quote!(#call?),
            _ => call,
        };
        let implementation = implementation(&bounds, pattern, args, cx(std::iter::once(handler)), made);
        quote!(#(#cfgs)* #implementation)
    });
    implementations.collect()
}

/// The name of the context: with an underscore if none of the handlers takes it.
fn cx<'a>(mut handlers: impl Iterator<Item = &'a Handler>) -> Ident {
    let used = handlers.any(|handler| {
        let takes = handler.arguments.iter().any(|argument| matches!(argument, Argument::Context));
        takes || matches!(handler.does, Does::Cast(Outcome::Fallible) | Does::Info(_, Outcome::Fallible))
    });
    local(if used { "cx" } else { "_cx" })
}

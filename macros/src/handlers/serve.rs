//! The process's side: `Actor`, `Handle` and `Start` for the actor's type.

use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::parse_quote;
use syn::spanned::Spanned;

use super::argument::Argument;
use super::messages;
use super::model::{Does, Handler, Kind, Model, local};
use super::reply::{Outcome, Reply};
use super::role::Role;
use super::sizes;

/// The three implementations.
pub(super) fn expand(model: &Model) -> TokenStream {
    let Model { root, generics, self_type, .. } = model;
    let (parameters, _, bounds) = generics.split_for_impl();
    let (msg, client) = (model.msg(), model.client());
    let parts = [
        super::machine::expand(model),
        init(model),
        Some(handle(model)),
        info(model),
        Some(show_state(model)),
        Some(terminate(model)),
    ];
    let (names, sizes, start, handle) = (names(model), sizes::expand(model), start(model), model.handle());
    quote! {
        impl #parameters #root::Actor for #self_type #bounds {
            type Msg = #msg;
            type Client = #client;
            const NAME: &'static str = <#self_type as #root::__private::Declared>::NAME;
            const OPTIONS: #root::Options = <#self_type as #root::__private::Declared>::OPTIONS;
            #names
            #sizes
        }

        impl #parameters #handle for #self_type #bounds {
            #(#parts)*
        }

        #start
    }
}

/// What the handlers are called, and which of them a message is for.
fn names(model: &Model) -> Option<TokenStream> {
    model.messages().next()?;
    let (msg, msg_name, message) = (model.msg(), model.msg_name(), local("message"));
    let names = model.messages().map(|handler| {
        let (cfgs, name) = (&handler.cfgs, handler.name.unraw().to_string());
        quote!(#(#cfgs)* #name)
    });
    // A handler's number is how many stand before it; those with `cfg`s count where these hold.
    let (mut always, mut sometimes) = (0, TokenStream::new());
    let arms: TokenStream = model
        .messages()
        .map(|handler| {
            let (cfgs, variant, number) = (&handler.cfgs, handler.variant(), Literal::u32_unsuffixed(always));
            let arm = quote!(#(#cfgs)* #msg_name::#variant(..) => #number #sometimes,);
            match handler.conditions() {
                conditions if conditions.is_empty() => always += 1,
                conditions => sometimes.extend(quote!(+ u32::from(#(::core::cfg!(#conditions))&&*))),
            }
            arm
        })
        .collect();
    let never = messages::never_arm(model);
    Some(quote! {
        const HANDLERS: &'static [&'static str] = &[#(#names),*];

        #[inline]
        fn handler_of(#message: &#msg) -> u32 {
            match *#message { #arms #never }
        }
    })
}

fn handle(model: &Model) -> TokenStream {
    let mut arms = Arms::default();
    for handler in model.messages() {
        let cfgs = &handler.cfgs;
        let room = if handler.is_async { local("room").into_token_stream() } else { quote!(_) };
        let (message, answer) = messages::take_apart(model, handler, room, answer(model, handler));
        arms.add(handler, quote!(#(#cfgs)* #message => #answer,));
    }
    match arms.are_mixed() {
        true => arms.later.extend(quote!(_ => ::core::unreachable!("plain handlers run at once"),)),
        false => arms.of(arms.at_once.is_empty()).extend(messages::never_arm(model)),
    }
    arms.methods(model, ["handle", "step"], "message", model.msg(), cx(model.messages()))
}

/// What is done with what arrives: arms of a `match`.
#[derive(Default)]
struct Arms {
    /// Those of plain handlers.
    at_once: TokenStream,
    /// Those of async handlers, in a future.
    later: TokenStream,
    /// Whether there is a plain handler without `cfg`s.
    surely_at_once: bool,
}

impl Arms {
    fn add(&mut self, handler: &Handler, arm: TokenStream) {
        self.of(handler.is_async).extend(arm);
        self.surely_at_once |= !handler.is_async && handler.cfgs.is_empty();
    }

    fn of(&mut self, is_async: bool) -> &mut TokenStream {
        match is_async {
            true => &mut self.later,
            false => &mut self.at_once,
        }
    }

    fn are_mixed(&self) -> bool {
        !self.at_once.is_empty() && !self.later.is_empty()
    }

    /// The method of `Handle` that is a future, and the one that is a `Step` if that can be without a future.
    fn methods(self, model: &Model, [future, step]: [&str; 2], taken: &str, ty: TokenStream, cx: Ident) -> TokenStream {
        if model.machine.is_some() {
            return self.methods_of_machine(model, future, taken, ty, cx);
        }
        let (root, Self { at_once, later, .. }) = (&model.root, &self);
        let (handle, send) = (model.handle(), (!model.own_thread).then(|| quote!(+ ::core::marker::Send)));
        let [future, step, taken] = [future, step, taken].map(local);
        if at_once.is_empty() {
            return quote! {
                async fn #future(&mut self, #taken: #ty, #cx: &mut #root::Context<Self>) {
                    match #taken { #later }
                }
            };
        }
        let (later, done) = match self.are_mixed() {
            true => (
                Some(quote!(#taken => return #root::Step::Async(async move { match #taken { #later } }),)),
                quote!(#root::Step::Done),
            ),
            false => (None, quote!(#root::Step::<::core::future::Ready<()>>::Done)),
        };
        // With all plain handlers configured away, nothing may come to the end.
        let allow = (!self.surely_at_once).then(|| quote!(#[allow(unreachable_code)]));
        let (context, rest) = (local("cx"), local("rest"));
        quote! {
            async fn #future(&mut self, #taken: #ty, #context: &mut #root::Context<Self>) {
                if let #root::Step::Async(#rest) = #handle::#step(self, #taken, #context) {
                    #rest.await
                }
            }

            #[inline]
            #allow
            fn #step(
                &mut self,
                #taken: #ty,
                #cx: &mut #root::Context<Self>,
            ) -> #root::Step<impl ::core::future::Future<Output = ()> #send> {
                match #taken { #at_once #later }
                #done
            }
        }
    }
}

impl Arms {
    /// The methods of `StateMachine`: the one that is a future, and for messages the one that does what needs none.
    fn methods_of_machine(self, model: &Model, future: &str, taken: &str, ty: TokenStream, cx: Ident) -> TokenStream {
        let root = &model.root;
        let is_mixed = self.are_mixed();
        let Self { at_once, later, surely_at_once } = self;
        let (name, taken, context, some) =
            (local(future), local(taken), local("cx"), quote!(::core::option::Option::Some));
        if future != "handle" {
            return quote! {
                async fn #name(&mut self, #taken: #ty, #cx: &mut #root::Context<Self>) {
                    match #taken { #at_once #later }
                }
            };
        }
        if at_once.is_empty() {
            return quote! {
                async fn #name(&mut self, #taken: #ty, #cx: &mut #root::Context<Self>) {
                    match #taken { #later }
                }
            };
        }
        let (handed_back, rest) = match is_mixed {
            true => (Some(quote!(#taken => return #some(#taken),)), quote!(match #taken { #later })),
            false => (None, quote!({ let _ = <Self as #root::StateMachine>::handle_at_once(self, #taken, #context); })),
        };
        // With all plain handlers configured away, nothing may come to the end.
        let allow = (!surely_at_once).then(|| quote!(#[allow(unreachable_code)]));
        quote! {
            async fn #name(&mut self, #taken: #ty, #context: &mut #root::Context<Self>) {
                let _ = &#context;
                #rest
            }

            #[inline]
            #allow
            fn handle_at_once(&mut self, #taken: #ty, #cx: &mut #root::Context<Self>) -> ::core::option::Option<#ty> {
                match #taken { #at_once #handed_back }
                ::core::option::Option::None
            }
        }
    }
}

/// What is done with a handler's arguments.
fn answer(model: &Model, handler: &Handler) -> TokenStream {
    let root = &model.root;
    let (reply, call) = (local("reply"), handler.invoke(model));
    match &handler.does {
        Does::Call(Reply { deferred: true, .. }) => quote!({ #reply.postpone(); #call }),
        Does::Call(_) => quote!(#reply.send(#call)),
        Does::Message(Reply { deferred: true, .. }) => {
            // Nobody waits for the reply to a cast; the handler replies all the same.
            let nobody = quote!(#root::ReplyTo::from_fn(|_| ()));
            quote!({ let #reply = #reply.unwrap_or_else(|| #nobody); #reply.postpone(); #call })
        }
        Does::Message(Reply { ty, .. }) => {
            // Located at the handler's return type: that is where a type other than the message's is wrong.
            let answer = Ident::new("answer", Span::mixed_site().located_at(ty.span()));
            quote! {{
                let #answer = #call;
                if let ::core::option::Option::Some(#reply) = #reply {
                    #reply.send(#answer)
                }
            }}
        }
        Does::Cast(outcome) => until_failure(model, *outcome, call),
        Does::Info(..) | Does::Start(_) | Does::Init(_) | Does::Terminate | Does::Enter(..) => TokenStream::new(),
    }
}

/// `call`, whose error ends the process.
pub(super) fn until_failure(model: &Model, outcome: Outcome, call: TokenStream) -> TokenStream {
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
    let handlers = || model.handlers.iter().filter(|handler| handler.role() == Role::Info);
    handlers().next()?;
    // The handler of all others comes last, wherever it is written.
    let (mut arms, mut others) = (Arms::default(), TokenStream::new());
    let mut covered = false;
    for handler in handlers() {
        let Does::Info(kind, outcome) = handler.does else { continue };
        let (cfgs, names) = (&handler.cfgs, handler.values().map(|value| &value.name));
        let fields = quote!(#(#names)*);
        let pattern = match kind {
            Kind::Down => quote!(#root::Info::Down(#fields)),
            Kind::Exit => quote!(#root::Info::Exit(#fields)),
            Kind::Node => quote!(#root::Info::Node(#fields)),
            Kind::Group => quote!(#root::Info::Group(#fields)),
            Kind::Others => fields,
        };
        let call = until_failure(model, outcome, handler.invoke(model));
        covered |= kind == Kind::Others && cfgs.is_empty();
        let arm = quote!(#(#cfgs)* #pattern => #call,);
        match kind {
            Kind::Others => others.extend(arm),
            _ => arms.add(handler, arm),
        }
    }
    let cx = match covered {
        true => cx(handlers()),
        false => {
            let (unexpected, cx) = (local("unexpected"), local("cx"));
            others.extend(quote!(#[allow(unreachable_patterns)] #unexpected => #cx.log_unexpected(&#unexpected),));
            cx
        }
    };
    // They come last in the future, if there is one: its arms are behind those of the plain handlers.
    arms.of(handlers().any(|handler| handler.is_async)).extend(others);
    Some(arms.methods(model, ["info", "step_info"], "info", quote!(#root::Info), cx))
}

fn init(model: &Model) -> Option<TokenStream> {
    let root = &model.root;
    let mut handlers = model.handlers.iter().filter(|handler| handler.role() == Role::Init).peekable();
    handlers.peek()?;
    let statements: Vec<_> = handlers.map(|handler| statement(model, handler, quote!(;))).collect();
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

/// What the state says of itself: by its `Debug`, if the type has one where the block stands.
fn show_state(model: &Model) -> TokenStream {
    let (root, shown) = (&model.root, local("shown"));
    quote! {
        fn show_state(&self) -> ::core::option::Option<::std::string::String> {
            #[allow(unused_imports)]
            use #root::__private::{ByDebug as _, ByNothing as _};
            let #shown = &#root::__private::Shown(self);
            #shown.show()
        }
    }
}

fn terminate(model: &Model) -> TokenStream {
    let root = &model.root;
    let handlers = || model.handlers.iter().filter(|handler| handler.role() == Role::Terminate);
    if handlers().next().is_none() {
        return quote!(
            const TERMINATES: bool = false;
        );
    }
    let statements = handlers().map(|handler| statement(model, handler, quote!(;)));
    let (reason, cx) = (local("reason"), cx(handlers()));
    quote! {
        async fn terminate(&mut self, #reason: &#root::ExitReason, #cx: &mut #root::Context<Self>) {
            #(#statements)*
        }
    }
}

/// The call of a handler, its error handed on, with its `cfg`s.
fn statement(model: &Model, handler: &Handler, end: TokenStream) -> TokenStream {
    let (cfgs, call) = (&handler.cfgs, handler.invoke(model));
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
        let call = handler.invoke(model);
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

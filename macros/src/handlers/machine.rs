//! The part of a `#[machine]` block that `#[handlers]` has not: what its rules say, and the entering of states.

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::ext::IdentExt;
use syn::{Error, Path, Result};

use super::model::{Does, Handler, Kind, Model, local};
use super::role::Role;
use super::serve;
use super::states::{self, Rule, States, Target};

/// What is written in `#[machine(…)]`.
pub(super) struct Machine {
    /// The enum of the states.
    pub(super) state: Path,
    /// The state to begin in; without it, the enum's default.
    pub(super) initial: Option<Target>,
    /// What becomes of an event in a state that it is not declared for; without it, every event must be declared for every
    /// state.
    pub(super) otherwise: Option<Otherwise>,
}

/// What becomes of an event in a state that it is not declared for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Otherwise {
    Crash,
    Ignore,
    Postpone,
}

impl Otherwise {
    /// Reads the option's value.
    pub(super) fn read(written: &Ident) -> Result<Self> {
        let choices = [("crash", Self::Crash), ("ignore", Self::Ignore), ("postpone", Self::Postpone)];
        let chosen = choices.iter().find(|(name, _)| written == name);
        let message = "`otherwise` is one of `crash`, `ignore`, `postpone`";
        chosen.map(|(_, chosen)| *chosen).ok_or_else(|| Error::new_spanned(written, message))
    }
}

/// The items of `StateMachine` that only machines have.
pub(super) fn expand(model: &Model) -> Option<TokenStream> {
    let machine = model.machine.as_ref()?;
    let parts = [Some(initial(model, machine)), Some(rules(model, machine)), treat(model, machine), names(model)];
    let (state, enter) = (&machine.state, enter(model, machine));
    Some(quote! {
        type State = #state;
        #(#parts)*
        #enter
    })
}

/// The state to begin in; and a look at all that is led to, which nothing else names to the compiler.
fn initial(model: &Model, Machine { state, initial, .. }: &Machine) -> TokenStream {
    let value = match initial {
        Some(Target { value, .. }) => quote!(#state::#value),
        None => quote!(::core::default::Default::default()),
    };
    let targets = model.handlers.iter().flat_map(|handler| {
        let targets = handler.rules.iter().flat_map(|rule| &rule.to);
        targets.map(|Target { name, .. }| (&handler.cfgs, name))
    });
    let targets: Vec<_> = targets.map(|(cfgs, name)| quote!(#(#cfgs)* #state::#name { .. } => {})).collect();
    let look = (!targets.is_empty()).then(|| {
        quote! {
            let _: fn(&#state) = |state| match state {
                #(#[allow(unreachable_patterns)] #targets)*
                #[allow(unreachable_patterns)]
                _ => {}
            };
        }
    });
    quote! {
        fn initial() -> Self::State {
            #look
            #value
        }
    }
}

/// The methods that handle events.
fn events(model: &Model) -> impl Iterator<Item = &Handler> {
    model.handlers.iter().filter(|handler| handler.role().is_on_client() || handler.role() == Role::Info)
}

/// Whether the method is declared for some states, and says nothing of all others.
fn is_open(handler: &Handler) -> bool {
    let handles = |rule: &Rule| rule.does == states::Does::Handle;
    handler.rules.iter().any(handles) && !handler.rules.iter().any(covers_others)
}

fn covers_others(rule: &Rule) -> bool {
    rule.from.are_others() && rule.guard.is_none()
}

/// What the rules say, as data: for the diagram, and for transitions to be held against.
fn rules(model: &Model, machine: &Machine) -> TokenStream {
    let root = &model.root;
    let begins = model.handlers.iter().filter(|handler| handler.role() == Role::Init);
    let rules = events(model).chain(begins).map(|handler| {
        let cfgs = &handler.cfgs;
        let event = match handler.role() {
            Role::Init => "init".to_owned(),
            _ => handler.name.unraw().to_string(),
        };
        let mut rules: Vec<TokenStream> = Vec::new();
        for Rule { does, from, guard, to } in &handler.rules {
            let to = to.iter().map(|target| target.name.unraw().to_string());
            let sometimes = guard.is_some().then(|| quote!(.sometimes()));
            let rest = quote!(.to(&[#(#to),*]) #sometimes);
            let (named, any) = match does {
                states::Does::Handle => (quote!(on), quote!(on_any)),
                states::Does::Postpone => (quote!(postpone), quote!(postpone_any)),
                states::Does::Ignore => (quote!(ignore), quote!(ignore_any)),
            };
            match from {
                States::Others => rules.push(quote!(#root::Rule::#any(#event) #rest)),
                States::Named(names) => rules.extend(names.iter().map(|name| {
                    let name = name.unraw().to_string();
                    quote!(#root::Rule::#named(#event, #name) #rest)
                })),
            }
        }
        match machine.otherwise {
            Some(Otherwise::Postpone) if is_open(handler) => rules.push(quote!(#root::Rule::postpone_any(#event))),
            Some(Otherwise::Ignore) if is_open(handler) => rules.push(quote!(#root::Rule::ignore_any(#event))),
            _ if !is_open(handler) && !handler.rules.iter().any(covers_others) => {
                rules.push(quote!(#root::Rule::on_any(#event)));
            }
            _ => {}
        }
        let rules = rules.iter().map(|rule| quote!(#(#cfgs)* #rule,));
        quote!(#(#rules)*)
    });
    quote!(const RULES: &'static [#root::Rule] = &[#(#rules)*];)
}

/// What becomes of each event before a handler sees it.
fn treat(model: &Model, machine: &Machine) -> Option<TokenStream> {
    let root = &model.root;
    events(model).find(|handler| !handler.rules.is_empty())?;
    // An info without rules has its arm as well, before that of all others.
    let seen = events(model).filter(|handler| !handler.rules.is_empty() || handler.role() == Role::Info);
    let arms = others_last(seen).map(|handler| {
        let (cfgs, event, treatments) = (&handler.cfgs, event(model, handler), treatments(model, machine, handler));
        quote!(#(#cfgs)* #event => match #treatments,)
    });
    let (msg, state, taken, at) = (model.msg(), &machine.state, local("event"), local("state"));
    Some(quote! {
        fn treat(&self, #taken: &#root::Event<#msg>, #at: &#state) -> #root::Treatment<#state> {
            match #taken {
                #(#arms)*
                #[allow(unreachable_patterns)]
                _ => #root::Treatment::Handled,
            }
        }
    })
}

/// The pattern of the handler's event.
fn event(model: &Model, handler: &Handler) -> TokenStream {
    let root = &model.root;
    match handler.does {
        Does::Info(Kind::Down, _) => quote!(#root::Event::Info(#root::Info::Down(_))),
        Does::Info(Kind::Exit, _) => quote!(#root::Event::Info(#root::Info::Exit(_))),
        Does::Info(Kind::Node, _) => quote!(#root::Event::Info(#root::Info::Node(_))),
        Does::Info(Kind::Group, _) => quote!(#root::Event::Info(#root::Info::Group(_))),
        Does::Info(Kind::Others, _) => quote!(#root::Event::Info(_)),
        _ => {
            let (msg, variant) = (model.msg_name(), handler.variant());
            quote!(#root::Event::Message(#msg::#variant(..)))
        }
    }
}

/// The handlers with the one of all other infos at the end, wherever it is written.
fn others_last<'a>(handlers: impl Iterator<Item = &'a Handler>) -> impl Iterator<Item = &'a Handler> {
    let is_of_others = |handler: &&Handler| matches!(handler.does, Does::Info(Kind::Others, _));
    let (others, rest): (Vec<_>, Vec<_>) = handlers.partition(is_of_others);
    rest.into_iter().chain(others)
}

/// What becomes of the handler's event, by the state: the rest of a `match`.
fn treatments(model: &Model, machine: &Machine, handler: &Handler) -> TokenStream {
    let (root, state) = (&model.root, &machine.state);
    let arm = |rule: &Rule| {
        let (pattern, guard) = (rule.from.pattern(state), rule.guard.iter());
        let treatment = match (rule.does, rule.to.first()) {
            (states::Does::Handle, _) => quote!(Handled),
            (states::Does::Ignore, _) => quote!(Ignored),
            (states::Does::Postpone, None) => quote!(Postponed),
            (states::Does::Postpone, Some(Target { value, .. })) => quote!(PostponedTo(#state::#value)),
        };
        quote!(#pattern #(if #guard)* => #root::Treatment::#treatment,)
    };
    let (others, named): (Vec<_>, Vec<_>) = handler.rules.iter().partition(|rule| rule.from.are_others());
    let arms = named.into_iter().chain(others).map(arm);
    let rest = match machine.otherwise {
        _ if handler.rules.iter().any(covers_others) => None,
        _ if !is_open(handler) => Some(quote!(Handled)),
        Some(Otherwise::Crash) => Some(quote!(Unexpected)),
        Some(Otherwise::Ignore) => Some(quote!(Ignored)),
        Some(Otherwise::Postpone) => Some(quote!(Postponed)),
        // The compiler finds the states that are missing.
        None => None,
    };
    let rest = rest.map(|treatment| quote!(#[allow(unreachable_patterns)] _ => #root::Treatment::#treatment,));
    // That is where it says so.
    let at = Ident::new("state", Span::mixed_site().located_at(handler.name.span()));
    quote!(#at { #(#arms)* #rest })
}

/// What the rules call the events, if infos have handlers' names.
fn names(model: &Model) -> Option<TokenStream> {
    let root = &model.root;
    let mut infos = model.handlers.iter().filter(|handler| handler.role() == Role::Info).peekable();
    infos.peek()?;
    let arms = others_last(infos).map(|handler| {
        let (cfgs, event, name) = (&handler.cfgs, event(model, handler), handler.name.unraw().to_string());
        quote!(#(#cfgs)* #event => #name,)
    });
    let (msg, taken, message) = (model.msg(), local("event"), local("message"));
    Some(quote! {
        fn name_of(#taken: &#root::Event<#msg>) -> &'static str {
            match #taken {
                #root::Event::Message(#message) => {
                    let names = <Self as #root::Actor>::HANDLERS;
                    names.get(<Self as #root::Actor>::handler_of(#message) as usize).copied().unwrap_or("event")
                }
                #(#arms)*
                #[allow(unreachable_patterns)]
                _ => "info",
            }
        }
    })
}

/// The entering of states: of several methods, the one that names the state.
fn enter(model: &Model, machine: &Machine) -> TokenStream {
    let (root, state) = (&model.root, &machine.state);
    let mut entered: Vec<(&Handler, &States)> = model
        .handlers
        .iter()
        .filter_map(|handler| match &handler.does {
            Does::Enter(states, _) => Some((handler, states)),
            _ => None,
        })
        .collect();
    if entered.is_empty() {
        return quote!(
            const ENTERS: bool = false;
        );
    }
    entered.sort_by_key(|(_, states)| states.are_others());
    let arms = entered.iter().map(|(handler, states)| {
        let (cfgs, pattern) = (&handler.cfgs, states.pattern(state));
        let Does::Enter(_, outcome) = handler.does else { return TokenStream::new() };
        let call = serve::until_failure(model, outcome, handler.invoke(model));
        quote!(#(#cfgs)* #pattern => { #call })
    });
    let (old, cx) = (local("old"), local("cx"));
    quote! {
        async fn enter(&mut self, #old: &#state, #cx: &mut #root::Entering<Self>) {
            let _ = #old;
            match #cx.state() {
                #(#arms)*
                #[allow(unreachable_patterns)]
                _ => {}
            }
        }
    }
}

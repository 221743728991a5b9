//! A handlers block, understood.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt;
use syn::{Attribute, Error, Generics, Result, Signature, Type, Visibility};

use super::argument::{self, Argument, Value};
use super::block::{Block, Method};
use super::machine::Machine;
use super::reply::{Outcome, Reply};
use super::role::{self, Marks, Role, Wire};
use super::room::{self, Room};
use super::states::{Rule, States};
use super::{Mistakes, Settings, types};
use crate::path::Root;

/// The actor, with all its handlers that are in order.
pub(super) struct Model {
    pub(super) root: Root,
    pub(super) remote: bool,
    pub(super) own_thread: bool,
    /// What is said of all states, if it is a state machine.
    pub(super) machine: Option<Machine>,
    /// Parameters and bounds, with `Self` spelt out: the message and the client have the same.
    pub(super) generics: Generics,
    pub(super) self_type: Type,
    /// The name of the actor's type, without path and arguments.
    pub(super) name: Ident,
    pub(super) handlers: Vec<Handler>,
}

/// One method.
pub(super) struct Handler {
    pub(super) name: Ident,
    /// Documentation, `cfg` and deprecation, for the client's method.
    pub(super) attributes: Vec<Attribute>,
    /// The `cfg`s, for whatever else belongs to the handler.
    pub(super) cfgs: Vec<Attribute>,
    pub(super) visibility: Visibility,
    pub(super) is_async: bool,
    pub(super) arguments: Vec<Argument>,
    pub(super) room: Room,
    pub(super) does: Does,
    /// What becomes of its event in which states of a machine.
    pub(super) rules: Vec<Rule>,
    pub(super) wire: Option<Wire>,
}

/// What a handler does: its role, with what goes with it.
pub(super) enum Does {
    Call(Reply),
    Message(Reply),
    Cast(Outcome),
    Info(Kind, Outcome),
    Start(Outcome),
    Init(Outcome),
    Terminate,
    Enter(States, Outcome),
}

/// Which infos a handler takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Down,
    Exit,
    Node,
    Group,
    /// All that have no handler of their own.
    Others,
}

impl Model {
    /// What `block` means, and the block without our attributes. `None` if it cannot be an actor at all.
    pub(super) fn of(block: &mut Block, settings: Settings, mistakes: &mut Mistakes) -> Option<Self> {
        for error in block.unreadable.drain(..) {
            mistakes.note::<()>(Err(error));
        }
        let self_type = block.self_type.clone();
        let name = mistakes.note(actor_name(&self_type, &block.generics));
        let (mut handlers, parameters) = (Vec::new(), block.generics.clone());
        for method in block.methods() {
            let handler = Handler::of(method, &self_type, &parameters, settings.machine.is_some());
            handlers.extend(mistakes.note(handler));
        }
        let generics = mistakes.note(spelt(&block.generics, &self_type))?;
        let Settings { remote, own_thread, machine, root } = settings;
        Some(Self { root, remote, own_thread, machine, generics, self_type, name: name?, handlers })
    }

    /// `CartMsg`, without arguments.
    pub(super) fn msg_name(&self) -> Ident {
        format_ident!("{}Msg", self.name.unraw(), span = Span::call_site())
    }

    /// `CartClient`, without arguments.
    pub(super) fn client_name(&self) -> Ident {
        format_ident!("{}Client", self.name.unraw(), span = Span::call_site())
    }

    /// The trait of what a process does with what arrives.
    pub(super) fn handle(&self) -> TokenStream {
        let root = &self.root;
        match (self.own_thread, &self.machine) {
            (true, _) => quote!(#root::HandleOwnThread),
            (false, Some(_)) => quote!(#root::StateMachine),
            (false, None) => quote!(#root::Handle),
        }
    }

    /// The type of the actor's messages.
    pub(super) fn msg(&self) -> TokenStream {
        let (_, arguments, _) = self.generics.split_for_impl();
        let name = self.msg_name();
        quote!(#name #arguments)
    }

    /// The type of the actor's client.
    pub(super) fn client(&self) -> TokenStream {
        let (_, arguments, _) = self.generics.split_for_impl();
        let name = self.client_name();
        quote!(#name #arguments)
    }

    /// The handlers that callers can reach: one variant of the message each.
    pub(super) fn messages(&self) -> impl Iterator<Item = &Handler> {
        self.handlers.iter().filter(|handler| handler.role().is_on_client())
    }
}

impl Handler {
    fn of(method: &mut Method, self_type: &Type, generics: &Generics, is_machine: bool) -> Result<Self> {
        let signature = &method.signature;
        let Marks { role, entered, rules, wire, boxed } = role::take(&mut method.attributes, signature, is_machine)?;
        check_signature(signature)?;
        let arguments = match role {
            Role::Enter => argument::read_entering(signature.inputs.iter())?,
            _ => argument::read(signature.inputs.iter(), self_type)?,
        };
        check_arguments(role, &arguments, signature)?;
        let room = match role.is_on_client() {
            true => Room::of(&arguments, boxed, generics),
            // What is called by the runtime comes in no message of the actor's.
            false => Room::Enough,
        };
        let output = &signature.output;
        let promised = arguments.iter().find_map(|argument| match argument {
            Argument::Reply(ty) => Some(ty.clone()),
            _ => None,
        });
        let does = match role {
            Role::Call => Does::Call(Reply::read(output, promised, self_type)?),
            Role::Message => Does::Message(Reply::read(output, promised, self_type)?),
            Role::Cast => Does::Cast(Outcome::read(output)?),
            Role::Info => Does::Info(Kind::of(&arguments, signature)?, Outcome::read(output)?),
            Role::Start => Does::Start(Outcome::read_start(signature, self_type)?),
            Role::Init => Does::Init(Outcome::read_init(output)?),
            Role::Terminate => match super::reply::returned(output) {
                None => Does::Terminate,
                Some(ty) => Err(Error::new_spanned(ty, "nobody is left to take this: return nothing"))?,
            },
            Role::Enter => Does::Enter(entered.unwrap_or(States::Others), Outcome::read(output)?),
        };
        let carried = |names: &[&str]| {
            let named = |attribute: &&Attribute| names.iter().any(|name| attribute.path().is_ident(name));
            method.attributes.iter().filter(named).cloned().collect()
        };
        Ok(Self {
            name: signature.ident.clone(),
            attributes: carried(&["doc", "cfg", "deprecated"]),
            cfgs: carried(&["cfg"]),
            visibility: method.visibility.clone(),
            is_async: signature.asyncness.is_some(),
            arguments,
            room,
            does,
            rules,
            wire,
        })
    }

    /// What stands in the `cfg`s.
    pub(super) fn conditions(&self) -> Vec<&TokenStream> {
        let lists = self.cfgs.iter().filter_map(|cfg| cfg.meta.require_list().ok());
        lists.map(|list| &list.tokens).collect()
    }

    pub(super) fn role(&self) -> Role {
        match self.does {
            Does::Call(_) => Role::Call,
            Does::Message(_) => Role::Message,
            Does::Cast(_) => Role::Cast,
            Does::Info(..) => Role::Info,
            Does::Start(_) => Role::Start,
            Does::Init(_) => Role::Init,
            Does::Terminate => Role::Terminate,
            Does::Enter(..) => Role::Enter,
        }
    }

    /// The arguments that travel in the message.
    pub(super) fn values(&self) -> impl Iterator<Item = &Value> {
        self.arguments.iter().filter_map(|argument| match argument {
            Argument::Value(value) => Some(value),
            _ => None,
        })
    }

    /// `AddItem` for `add_item`: the variant of the message.
    pub(super) fn variant(&self) -> Ident {
        let words = self.name.unraw().to_string();
        let mut variant = String::new();
        for word in words.split('_') {
            let mut characters = word.chars();
            variant.extend(characters.next().map(char::to_uppercase).into_iter().flatten());
            variant.push_str(characters.as_str());
        }
        // `_2` is a name and `2` is none; `self_` would come out as `Self`.
        if syn::parse_str::<Ident>(&variant).is_err() {
            variant.push('_');
        }
        match syn::parse_str::<Ident>(&variant) {
            Ok(_) => Ident::new(&variant, self.name.span()),
            Err(_) => format_ident!("Handler{}", words, span = self.name.span()),
        }
    }

    /// The call of the user's method, in a scope with `self`, the arguments' names, `reply` and `cx`.
    pub(super) fn invoke(&self, model: &Model) -> TokenStream {
        let (reply, cx, reason, old) = (local("reply"), local("cx"), local("reason"), local("old"));
        let arguments = self.arguments.iter().map(|argument| match argument {
            Argument::Context => quote!(#cx),
            Argument::Reply(_) => quote!(#reply),
            Argument::Reason => quote!(#reason),
            Argument::Old => quote!(#old),
            Argument::Value(value) => value.unpacked(),
        });
        let name = &self.name;
        let this = (self.role() != Role::Start).then(|| quote!(self,));
        let call = quote!(Self::#name(#this #(#arguments),*));
        if !self.is_async {
            return call;
        }
        let future = room::run(model, self, call);
        quote!(#future.await)
    }
}

impl Kind {
    /// The kind that the handler's argument says, by its type.
    fn of(arguments: &[Argument], signature: &Signature) -> Result<Self> {
        let message = "`#[info]` takes one `Down`, `Exit`, `NodeEvent`, `GroupEvent`, or `Info` for all others: write \
                       `fn on_down(&mut self, down: Down)`";
        let mut values = arguments.iter().filter_map(|argument| match argument {
            Argument::Value(value) => Some(value),
            _ => None,
        });
        let (Some(value), None) = (values.next(), values.next()) else {
            return Err(Error::new(signature.ident.span(), message));
        };
        let kinds = [
            ("Down", Self::Down),
            ("Exit", Self::Exit),
            ("NodeEvent", Self::Node),
            ("GroupEvent", Self::Group),
            ("Info", Self::Others),
        ];
        let kind = kinds.iter().find(|(name, _)| types::is_named(&value.ty, name));
        kind.map(|(_, kind)| *kind).ok_or_else(|| Error::new_spanned(&value.ty, message))
    }
}

/// A name of ours that no name of the user's can meet.
pub(super) fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

/// Parameters and bounds without `Self`.
fn spelt(generics: &Generics, self_type: &Type) -> Result<Generics> {
    let bounds = types::spell_self(generics.where_clause.to_token_stream(), self_type);
    let mut generics: Generics = syn::parse2(types::spell_self(generics.to_token_stream(), self_type))?;
    generics.where_clause = syn::parse2(bounds)?;
    Ok(generics)
}

fn actor_name(self_type: &Type, generics: &Generics) -> Result<Ident> {
    if let Some(lifetime) = generics.lifetimes().next() {
        let message = "a process outlives whoever spawned it, so an actor borrows nothing: remove the lifetime, and \
                       keep owned values or `Arc`s";
        return Err(Error::new_spanned(lifetime, message));
    }
    let segment = types::last_segment(self_type);
    segment.map(|segment| segment.ident.clone()).ok_or_else(|| {
        let message = "an actor is a struct or an enum of this crate: write `impl Cart { … }`";
        Error::new_spanned(self_type, message)
    })
}

/// What no handler has, whatever its role.
fn check_signature(signature: &Signature) -> Result<()> {
    if let syn::Safety::Unsafe(token) = &signature.safety {
        let message = "callers send a message, so they cannot promise anything: remove `unsafe`";
        return Err(Error::new(token.span, message));
    }
    if let Some(abi) = &signature.abi {
        return Err(Error::new_spanned(abi, "a handler is called by its process only: remove `extern`"));
    }
    let mut parameters = signature.generics.params.iter();
    if let Some(parameter) = parameters.next() {
        let message = "a message is one type, so a handler has no parameters: write the type, `impl Into<T>` as an \
                       argument, or move the parameter to the actor";
        return Err(Error::new_spanned(parameter, message));
    }
    if let Some(bounds) = &signature.generics.where_clause {
        return Err(Error::new_spanned(bounds, "a handler has no bounds of its own: move them to the `impl` block"));
    }
    Ok(())
}

/// Whether the arguments fit the role.
fn check_arguments(role: Role, arguments: &[Argument], signature: &Signature) -> Result<()> {
    let count = |is: fn(&Argument) -> bool| arguments.iter().filter(|argument| is(argument)).count();
    let refuse = |message: &str| Err(Error::new_spanned(&signature.inputs, message));
    let values = count(|argument| matches!(argument, Argument::Value(_)));
    if count(|argument| matches!(argument, Argument::Context)) > 1 {
        return refuse("a handler has one context: remove the other");
    }
    let replies = count(|argument| matches!(argument, Argument::Reply(_)));
    if replies > 1 {
        return refuse("a call has one reply: remove the other `ReplyTo`");
    }
    if replies > 0 && !matches!(role, Role::Call | Role::Message) {
        return refuse("only calls have a reply: remove the `ReplyTo`, or the attribute that makes this no call");
    }
    if role != Role::Terminate && count(|argument| matches!(argument, Argument::Reason)) > 0 {
        return refuse("`&ExitReason` is what `#[terminate]` takes: elsewhere write `ExitReason`");
    }
    match role {
        Role::Init if values > 0 => refuse(
            "`#[init]` takes nothing but `cx: &mut Context<Self>`: what the actor is made from goes to `#[start]`",
        ),
        Role::Terminate if values > 0 => {
            refuse("`#[terminate]` takes `reason: &ExitReason` and `cx: &mut Context<Self>`, and nothing else")
        }
        Role::Start if values > 1 => {
            refuse("`#[start]` takes one argument, and the context: put them into a tuple or a struct")
        }
        Role::Message if values != 1 => refuse("`#[message]` takes one argument, the message, and the context"),
        _ => Ok(()),
    }
}

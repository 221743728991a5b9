//! What the attributes on a method make of it.

use syn::{Attribute, Error, LitInt, LitStr, Meta, Result, Signature};

use super::states::{Does, Rule, States};
use super::types;
use crate::options::Options;

/// What a method is to the process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Role {
    /// A message with a reply: what a method without attributes is.
    Call,
    /// A message without a reply.
    Cast,
    /// The handler of a free-standing message.
    Message,
    /// Takes what the runtime tells; of which kind, its argument says.
    Info,
    /// The constructor.
    Start,
    /// Runs before the first message.
    Init,
    /// Runs at the end.
    Terminate,
    /// Runs when a machine enters a state.
    Enter,
}

impl Role {
    const MARKED: [(&'static str, Self); 6] = [
        ("cast", Self::Cast),
        ("message", Self::Message),
        ("info", Self::Info),
        ("start", Self::Start),
        ("init", Self::Init),
        ("terminate", Self::Terminate),
    ];

    /// Whether callers see it.
    pub(super) fn is_on_client(self) -> bool {
        matches!(self, Self::Call | Self::Cast | Self::Message)
    }
}

/// What `#[wire(…)]` says.
pub(super) struct Wire {
    pub(super) attribute: Attribute,
    pub(super) name: Option<LitStr>,
    pub(super) version: Option<LitInt>,
}

/// What our attributes on a method say.
pub(super) struct Marks {
    pub(super) role: Role,
    /// Which states it enters, if it does.
    pub(super) entered: Option<States>,
    /// What becomes of its event in which states.
    pub(super) rules: Vec<Rule>,
    pub(super) wire: Option<Wire>,
    pub(super) boxed: bool,
}

/// Takes our attributes away from a method, and tells what they say. Those of states mean something in a machine only.
pub(super) fn take(attributes: &mut Vec<Attribute>, signature: &Signature, is_machine: bool) -> Result<Marks> {
    let mut role: Option<(&str, Role)> = None;
    let (mut entered, mut rules) = (None, Vec::new());
    let mut wire = None;
    let mut boxed = None;
    let mut mistake = None;
    // All of ours go, also after a mistake: left in place, each would report that `#[handlers]` is missing.
    for attribute in attributes.extract_if(.., |attribute| ours(attribute, is_machine).is_some()) {
        let Some(name) = ours(&attribute, is_machine) else { continue };
        let rule = Rule::MARKERS.iter().find(|(marker, ..)| *marker == name);
        let read = match Role::MARKED.iter().find(|(marker, _)| *marker == name) {
            Some(marked) => mark(&mut role, *marked, &attribute).and_then(|()| check_plain(name, &attribute)),
            None if name == "enter" => mark(&mut role, ("enter", Role::Enter), &attribute)
                .and_then(|()| States::entered(&attribute))
                .map(|states| entered = Some(states)),
            None if let Some((_, does, _)) = rule => Rule::read(*does, &attribute).map(|rule| rules.push(rule)),
            None if name == "boxed" => read_boxed(&mut boxed, attribute),
            None => read_wire(attribute).map(|read| wire = Some(read)),
        };
        mistake = mistake.or(read.err());
    }
    let role = match (mistake, role) {
        (Some(mistake), _) => return Err(mistake),
        (None, Some((_, role))) => role,
        (None, None) => Role::Call,
    };
    if let Some(wire) = &wire
        && !role.is_on_client()
    {
        return Err(Error::new_spanned(&wire.attribute, "this never travels to another node: remove `#[wire]`"));
    }
    if let Some(boxed) = &boxed {
        check_boxed(role, boxed, signature)?;
    }
    check_receiver(role, signature)?;
    check_rules(role, &rules, signature)?;
    Ok(Marks { role, entered, rules, wire, boxed: boxed.is_some() })
}

/// The name of the attribute, if it is one of ours: `cast` of `#[cast]` and of `#[biotope::cast]`.
fn ours(attribute: &Attribute, is_machine: bool) -> Option<&'static str> {
    let mut segments = attribute.path().segments.iter().rev();
    let last = &segments.next()?.ident;
    if segments.next().is_some_and(|root| root.ident != "biotope" && root.ident != "prelude") {
        return None;
    }
    let markers = Role::MARKED.iter().map(|(marker, _)| *marker);
    let of_states = Rule::MARKERS.iter().map(|(marker, ..)| *marker).chain(["enter"]).filter(|_| is_machine);
    markers.chain(["wire", "boxed"]).chain(of_states).find(|marker| last == marker)
}

fn mark<'a>(role: &mut Option<(&'a str, Role)>, marked: (&'a str, Role), attribute: &Attribute) -> Result<()> {
    if let Some((earlier, _)) = role {
        let message = format!("`#[{}]` and `#[{earlier}]` cannot stand together: a handler is one thing", marked.0);
        return Err(Error::new_spanned(attribute, message));
    }
    *role = Some(marked);
    Ok(())
}

/// An attribute that is its name and nothing else.
fn check_plain(name: &str, attribute: &Attribute) -> Result<()> {
    match &attribute.meta {
        Meta::Path(_) => Ok(()),
        _ => Err(Error::new_spanned(attribute, format!("this has no options: write `#[{name}]`"))),
    }
}

fn read_boxed(boxed: &mut Option<Attribute>, attribute: Attribute) -> Result<()> {
    check_plain("boxed", &attribute)?;
    match boxed {
        Some(_) => Err(Error::new_spanned(attribute, "this is said twice: remove one `#[boxed]`")),
        None => {
            *boxed = Some(attribute);
            Ok(())
        }
    }
}

/// What has a box is in a message, or is the future of its handler.
fn check_boxed(role: Role, attribute: &Attribute, signature: &Signature) -> Result<()> {
    let refuse = |message: &str| Err(Error::new_spanned(attribute, message));
    let takes_nothing = signature.inputs.len() < 2;
    match role.is_on_client() {
        false => refuse("only what callers send has a box: remove `#[boxed]`"),
        true if takes_nothing && signature.asyncness.is_none() => {
            refuse("this has neither arguments nor a future to put into a box: remove `#[boxed]`")
        }
        true => Ok(()),
    }
}

fn read_wire(attribute: Attribute) -> Result<Wire> {
    let form = "write `#[wire(name = \"add\", version = 2)]`, or one of the two";
    let list = attribute.meta.require_list().map_err(|_| Error::new_spanned(&attribute, form))?;
    let mut options = Options::parse("#[wire]", list.tokens.clone())?;
    let name = options.value("name", "name = \"add\"")?;
    let version: Option<LitInt> = options.value("version", "version = 2")?;
    options.finish()?;
    if let Some(version) = &version {
        version.base10_parse::<u16>().map_err(|_| Error::new(version.span(), "a version is a number up to 65535"))?;
    }
    Ok(Wire { attribute, name, version })
}

/// What has rules is an event; of the rest, only `#[init]` leads anywhere.
fn check_rules(role: Role, rules: &[Rule], signature: &Signature) -> Result<()> {
    let message = match role {
        Role::Init if rules.iter().any(|rule| rule.does != Does::Handle) => {
            "`#[init]` happens once, and is neither postponed nor ignored: write `#[on(Idle => Moving)]`"
        }
        Role::Start | Role::Terminate | Role::Enter if !rules.is_empty() => {
            "this is no event, and leads nowhere: remove what it says of states"
        }
        _ => return Ok(()),
    };
    Err(Error::new(signature.ident.span(), message))
}

/// A handler has `&mut self` or `&self`, and the constructor has nothing to stand on yet.
fn check_receiver(role: Role, signature: &Signature) -> Result<()> {
    let receiver = signature.receiver();
    if role == Role::Start {
        return match receiver {
            None => Ok(()),
            Some(receiver) => Err(Error::new_spanned(
                receiver,
                "`#[start]` makes the actor, so it has no `self` yet: write `fn start(args: Args) -> Self`, or mark \
                 what runs first `#[init]`",
            )),
        };
    }
    let Some(receiver) = receiver else {
        let message = "every method in this block is a handler and begins with `&mut self`: move helpers to a plain \
                       `impl` block, and mark a constructor `#[start]`";
        return Err(Error::new(signature.ident.span(), message));
    };
    match &receiver.kind {
        syn::ReceiverKind::Reference(_, None, _) => Ok(()),
        syn::ReceiverKind::Reference(_, Some(lifetime), _) => {
            Err(Error::new(lifetime.span(), "remove the lifetime: write `&mut self`"))
        }
        syn::ReceiverKind::Typed(_, ty) if types::is_named(ty, "Self") => Err(by_value(receiver)),
        syn::ReceiverKind::Value => Err(by_value(receiver)),
        _ => Err(Error::new_spanned(receiver, "write `&mut self`")),
    }
}

fn by_value(receiver: &syn::Receiver) -> Error {
    let message = "the actor stays with its process for the next message: write `&mut self`; to end the process, call \
                   `cx.stop(…)`";
    Error::new_spanned(receiver, message)
}

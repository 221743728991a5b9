//! What one handler cannot see: names that meet others.

use syn::ext::IdentExt;
use syn::{Error, Result};

use super::Mistakes;
use super::model::{Does, Handler, Kind, Model};
use super::role::Role;

/// Names that a method of the client cannot have, for a reference has them itself and would not reach the
/// client: its own methods, those of its traits, and of traits for every type that are often in scope.
const RESERVED: [&str; 28] = [
    // `ActorRef`.
    "new",
    "at",
    "carried",
    "pid",
    "address",
    "stop",
    // `ActorRef` of a state machine.
    "machine_state",
    "with_machine",
    // `Deref`, `Clone`, `PartialEq`, `Debug`, `Serialize`.
    "deref",
    "clone",
    "clone_from",
    "eq",
    "ne",
    "fmt",
    "serialize",
    // For every type: `Into`, `TryInto`, `ToOwned`, `Borrow`, `Any`.
    "into",
    "try_into",
    "to_owned",
    "clone_into",
    "borrow",
    "borrow_mut",
    "type_id",
    // For every type: `tracing::Instrument` and `WithSubscriber`.
    "instrument",
    "in_current_span",
    "with_subscriber",
    "with_current_subscriber",
    // `Cart::spec()` and its siblings make specifications.
    "spec",
    "spec_with",
];

/// How many values a message that travels may have: serde's tuples end there.
const MOST_REMOTE_ARGUMENTS: usize = 16;

/// Leaves out, and reports, what would meet something else.
pub(super) fn check(model: &mut Model, mistakes: &mut Mistakes) {
    let mut kept: Vec<Handler> = Vec::new();
    for handler in std::mem::take(&mut model.handlers) {
        let checked = check_name(&handler)
            .and_then(|()| check_remote(&handler, model.remote))
            .and_then(|()| kept.iter().try_for_each(|earlier| check_pair(earlier, &handler)));
        if mistakes.note(checked).is_some() {
            kept.push(handler);
        }
    }
    model.handlers = kept;
}

fn check_name(handler: &Handler) -> Result<()> {
    let name = handler.name.unraw().to_string();
    if handler.role().is_on_client() && RESERVED.contains(&name.as_str()) {
        let message = format!(
            "`{name}` is reserved: on a reference it means something else, and callers would not reach the handler; \
             choose another name"
        );
        return Err(Error::new(handler.name.span(), message));
    }
    Ok(())
}

fn check_remote(handler: &Handler, remote: bool) -> Result<()> {
    if let (Some(wire), false) = (&handler.wire, remote) {
        let message = "this actor's messages do not travel: write `#[handlers(remote)]`, or remove `#[wire]`";
        return Err(Error::new_spanned(&wire.attribute, message));
    }
    if remote && handler.values().count() > MOST_REMOTE_ARGUMENTS {
        let message = format!("at most {MOST_REMOTE_ARGUMENTS} arguments travel: put some of them into a struct");
        return Err(Error::new(handler.name.span(), message));
    }
    Ok(())
}

/// Whether both handlers can stand in one block.
fn check_pair(earlier: &Handler, handler: &Handler) -> Result<()> {
    // Handlers for different configurations never meet.
    if !earlier.cfgs.is_empty() && !handler.cfgs.is_empty() {
        return Ok(());
    }
    let refuse = |message: String| Err(Error::new(handler.name.span(), message));
    if earlier.name.unraw() == handler.name.unraw() {
        return refuse(format!("there is a handler `{}` already: choose another name", handler.name));
    }
    if earlier.role().is_on_client() && handler.role().is_on_client() && earlier.variant() == handler.variant() {
        let (variant, one, other) = (handler.variant(), &earlier.name, &handler.name);
        return refuse(format!("`{one}` and `{other}` would both be the message `{variant}`: choose another name"));
    }
    match (&earlier.does, &handler.does) {
        (Does::Info(one, _), Does::Info(other, _)) if one == other => {
            let kind = match one {
                Kind::Down => "Down",
                Kind::Exit => "Exit",
                Kind::Node => "NodeEvent",
                Kind::Group => "GroupEvent",
                Kind::Others => "Info",
            };
            refuse(format!("`{}` takes every `{kind}` already: remove one of the two", earlier.name))
        }
        (Does::Message(_), Does::Message(_)) if message_type(earlier) == message_type(handler) => {
            refuse(format!("`{}` takes this message already: remove one of the two", earlier.name))
        }
        _ if earlier.role() == handler.role()
            && matches!(handler.role(), Role::Start | Role::Init | Role::Terminate) =>
        {
            refuse(format!("`{}` does this already: remove one of the two", earlier.name))
        }
        _ => Ok(()),
    }
}

fn message_type(handler: &Handler) -> Option<String> {
    handler.values().next().map(|value| super::argument::text(&value.ty))
}

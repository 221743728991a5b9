//! Where a handler's arguments lie: in its message, or in a box that the message holds.
//!
//! How large a type is nobody knows here. A few are known to be small by their names, and most handlers take nothing else.
//! For all others the question goes into the expansion, and the compiler answers it. It cannot where a type parameter is
//! among the arguments: there `#[boxed]` says it.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::{GenericParam, Generics};

use super::argument::{Argument, Value};
use super::messages;
use super::model::{Handler, Model, local};
use super::types;
use crate::path::Root;

/// Names of small types and how large they are at most.
const SMALL: [(&str, usize); 20] = [
    ("bool", 1),
    ("char", 4),
    ("u8", 1),
    ("u16", 2),
    ("u32", 4),
    ("u64", 8),
    ("u128", 16),
    ("usize", 8),
    ("i8", 1),
    ("i16", 2),
    ("i32", 4),
    ("i64", 8),
    ("i128", 16),
    ("isize", 8),
    ("f32", 4),
    ("f64", 8),
    ("String", 24),
    ("Vec", 24),
    ("Box", 16),
    ("Arc", 16),
];

/// What small types may come to together: no more than the runtime has room for.
const ROOM: usize = 96;

/// Whether there is room for a handler's arguments in a message, and for its future in a process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Room {
    /// There is, as the types' names say, or nobody can know.
    Enough,
    /// The compiler knows.
    AsTheCompilerSays,
    /// There is not, as `#[boxed]` says.
    Boxed,
}

impl Room {
    /// The room for these arguments, in a block with these parameters.
    pub(super) fn of(arguments: &[Argument], boxed: bool, generics: &Generics) -> Self {
        let values = || {
            arguments.iter().filter_map(|argument| match argument {
                Argument::Value(value) => Some(value),
                _ => None,
            })
        };
        let size: Option<usize> = values().map(most_bytes).sum();
        match (boxed, size) {
            (true, _) => Self::Boxed,
            (false, Some(size)) if size <= ROOM => Self::Enough,
            (false, _) if values().any(|value| has_parameters(value, generics)) => Self::Enough,
            (false, _) => Self::AsTheCompilerSays,
        }
    }
}

/// What holds the arguments of a handler that may not fit.
pub(super) struct Packed<'a> {
    root: &'a Root,
    contents: TokenStream,
    enough: TokenStream,
}

impl<'a> Packed<'a> {
    /// How the arguments are packed, if they may be.
    pub(super) fn of(model: &'a Model, handler: &Handler) -> Option<Self> {
        let is_packed = handler.room != Room::Enough && handler.values().next().is_some();
        let (root, contents) = (&model.root, messages::contents(model, handler));
        is_packed.then(|| Self { root, contents, enough: enough(model, handler) })
    }

    /// The field of the message.
    pub(super) fn held(&self) -> TokenStream {
        let Self { root, contents, enough } = self;
        quote!(#root::__private::Held<#contents, { #enough }>)
    }

    pub(super) fn pack(&self, contents: TokenStream) -> TokenStream {
        let Self { root, contents: ty, .. } = self;
        quote!(#root::__private::Packed::<#ty>::pack(#contents))
    }

    /// The contents, and the room.
    pub(super) fn unpack(&self, packed: &Ident) -> TokenStream {
        let Self { root, contents: ty, .. } = self;
        quote!(#root::__private::Packed::<#ty>::unpack(#packed))
    }
}

/// The future of the handler, in a box if there was no room for its arguments.
pub(super) fn run(model: &Model, handler: &Handler, future: TokenStream) -> TokenStream {
    let root = &model.root;
    let room = match (Packed::of(model, handler), handler.room) {
        (Some(_), _) => local("room").into_token_stream(),
        (None, Room::Boxed) => quote!(#root::__private::Room::<false>),
        (None, _) => return future,
    };
    quote!(#root::__private::Hold::run(#room, #future))
}

/// Whether there is room enough: a constant.
pub(super) fn enough(model: &Model, handler: &Handler) -> TokenStream {
    let root = &model.root;
    match handler.room {
        Room::Enough => quote!(true),
        Room::AsTheCompilerSays => {
            let contents = messages::contents(model, handler);
            quote!(#root::__private::fits::<#contents>())
        }
        Room::Boxed => quote!(false),
    }
}

/// How large the argument is at most, if that is known.
fn most_bytes(value: &Value) -> Option<usize> {
    let name = &types::last_segment(&value.ty)?.ident;
    SMALL.iter().find(|(small, _)| name == small).map(|(_, size)| *size)
}

fn has_parameters(value: &Value, generics: &Generics) -> bool {
    let tokens = value.ty.to_token_stream();
    generics.params.iter().any(|parameter| match parameter {
        GenericParam::Type(ty) => types::mentions(tokens.clone(), &ty.ident),
        GenericParam::Const(number) => types::mentions(tokens.clone(), &number.ident),
        GenericParam::Lifetime(_) => false,
    })
}

//! What a handler gives back.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Error, Result, ReturnType, Signature, Type, parse_quote};

use super::argument::{instead_of, text};
use super::types::{self, Unowned};
use crate::path::Root;

/// The reply of a call.
pub(super) struct Reply {
    /// What the handler returns or its `ReplyTo` takes.
    pub(super) ty: Type,
    /// Whether the handler has a `ReplyTo` and returns nothing.
    pub(super) deferred: bool,
    /// `T` and `E`, if the type is written `Result<T, E>`.
    pub(super) fallible: Option<(Type, Type)>,
}

/// What a handler without a reply returns.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nothing.
    Done,
    /// A `Result`, whose error means something to the process.
    Fallible,
}

impl Reply {
    /// The reply of a call with the return type `output` and perhaps a `ReplyTo`.
    pub(super) fn read(output: &ReturnType, promised: Option<Type>, self_type: &Type) -> Result<Self> {
        let returned = returned(output);
        if let (Some(_), Some(written)) = (&promised, returned) {
            let message = "this handler replies through its `ReplyTo`, so it returns nothing: remove one of the two";
            return Err(Error::new_spanned(written, message));
        }
        let deferred = promised.is_some();
        let written = promised.or_else(|| returned.cloned()).unwrap_or_else(|| parse_quote!(()));
        check_owned(&written)?;
        let ty: Type = syn::parse2(types::spell_self(written.into_token_stream(), self_type))?;
        let fallible = match types::last_segment(&ty) {
            Some(segment) if segment.ident == "Result" => match types::arguments(segment)[..] {
                [value, error] => Some((value.clone(), error.clone())),
                _ => None,
            },
            _ => None,
        };
        Ok(Self { ty, deferred, fallible })
    }

    /// The type of the client's call of an actor with messages of type `msg`.
    ///
    /// For a free-standing message, `message`, the reply is what that says. If the handler says otherwise, that
    /// is reported where the handler is.
    pub(super) fn call(&self, root: &Root, msg: &TokenStream, message: Option<&Type>) -> TokenStream {
        let ty = &self.ty;
        match (&self.fallible, message) {
            (None, None) => quote!(#root::Call<'_, #msg, #ty>),
            (None, Some(message)) => quote!(#root::Call<'_, #msg, <#message as #root::Message>::Reply>),
            (Some((value, error)), _) => quote!(#root::Call<'_, #msg, #ty, #value, #root::CallError<#error>>),
        }
    }

    /// The types that travel, each by itself, so that an error points at the one that cannot.
    pub(super) fn parts(&self) -> Vec<&Type> {
        match &self.fallible {
            None => vec![&self.ty],
            Some((value, error)) => vec![value, error],
        }
    }
}

impl Outcome {
    /// The outcome of a cast or info handler.
    pub(super) fn read(output: &ReturnType) -> Result<Self> {
        let message = "nobody awaits a reply here: return nothing, or a `Result<(), E>` whose error ends the process";
        match returned(output) {
            None => Ok(Self::Done),
            Some(ty) if is_result_of_unit(ty) => Ok(Self::Fallible),
            Some(ty) => Err(Error::new_spanned(ty, message)),
        }
    }

    /// The outcome of `#[init]`.
    pub(super) fn read_init(output: &ReturnType) -> Result<Self> {
        let message = "the actor is there already: return nothing, or a `Result<(), E>` whose error ends the process";
        match returned(output) {
            None => Ok(Self::Done),
            Some(ty) if is_result_of_unit(ty) => Ok(Self::Fallible),
            Some(ty) => Err(Error::new_spanned(ty, message)),
        }
    }

    /// The outcome of `#[start]`.
    pub(super) fn read_start(signature: &Signature, self_type: &Type) -> Result<Self> {
        let message = "`#[start]` makes the actor: return `Self` or a `Result<Self, E>`";
        let is_self = |ty: &Type| types::is_named(ty, "Self") || text(ty) == text(self_type);
        match &signature.output {
            ReturnType::Type(_, ty) if is_self(ty) => Ok(Self::Done),
            ReturnType::Type(_, ty) => match types::last_segment(ty) {
                Some(segment) if segment.ident == "Result" => Ok(Self::Fallible),
                _ => Err(Error::new_spanned(ty, message)),
            },
            ReturnType::Default => Err(Error::new(signature.ident.span(), message)),
        }
    }
}

/// What is returned, if that is not `()`.
pub(super) fn returned(output: &ReturnType) -> Option<&Type> {
    match output {
        ReturnType::Type(_, ty) if !types::is_unit(ty) => Some(ty),
        _ => None,
    }
}

/// Whether it is a `Result`, and not one that visibly holds something.
fn is_result_of_unit(ty: &Type) -> bool {
    let Some(segment) = types::last_segment(ty).filter(|segment| segment.ident == "Result") else { return false };
    match types::arguments(segment).first() {
        Some(value) => types::is_unit(value),
        None => true,
    }
}

fn check_owned(ty: &Type) -> Result<()> {
    let why = "the actor goes on while the caller reads its reply";
    match types::unowned(ty) {
        None => Ok(()),
        Some(Unowned::Reference(reference)) => {
            let written = text(&reference);
            let instead = instead_of(&reference).split(',').next().unwrap_or_default().to_owned();
            Err(Error::new_spanned(reference, format!("`{written}` is borrowed, and {why}: return {instead}")))
        }
        Some(Unowned::Lifetime(lifetime)) => {
            let message = format!("this type borrows for `{lifetime}`, and {why}: return an owned type");
            Err(Error::new_spanned(ty, message))
        }
        Some(Unowned::ImplTrait(bound)) => {
            let message = "the message holds the reply's place, so its type has a name: write the type, or a \
                           `Box<dyn Trait + Send>`";
            Err(Error::new_spanned(bound, message))
        }
    }
}

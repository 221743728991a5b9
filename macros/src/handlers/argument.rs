//! The arguments of a handler: what of them is in the message, and how they are called by the client.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Error, FnArg, Pat, PatIdent, PatType, Result, Type, TypeReference};

use super::types::{self, Unowned};

/// One argument after `self`.
pub(super) enum Argument {
    /// `cx: &mut Context<Self>`.
    Context,
    /// `reply: ReplyTo<T>`: where the reply goes, some time.
    Reply(Type),
    /// `reason: &ExitReason`.
    Reason,
    /// `old: &Phase`, the state that was left.
    Old,
    /// Something that the caller gives.
    Value(Value),
}

/// An argument that travels in the message.
pub(super) struct Value {
    /// What the client calls it.
    pub(super) name: Ident,
    /// Its type in the message.
    pub(super) ty: Type,
    pub(super) form: Form,
}

/// How the type in the message relates to the one in the signature.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// They are the same.
    Owned,
    /// The handler borrows: `&str` from a `String`, `&[T]` from a `Vec<T>`. The client takes what converts.
    Borrowed,
    /// `impl Into<T>` in the signature. The client takes what converts.
    Into,
}

impl Value {
    /// The parameter of the client's method.
    pub(super) fn parameter(&self) -> TokenStream {
        let Self { name, ty, form } = self;
        match form {
            Form::Owned => quote!(#name: #ty),
            Form::Borrowed | Form::Into => quote!(#name: impl ::core::convert::Into<#ty>),
        }
    }

    /// What the client puts into the message.
    pub(super) fn packed(&self) -> TokenStream {
        let name = &self.name;
        match self.form {
            Form::Owned => quote!(#name),
            Form::Borrowed | Form::Into => quote!(#name.into()),
        }
    }

    /// What the handler is called with.
    pub(super) fn unpacked(&self) -> TokenStream {
        let name = &self.name;
        match self.form {
            Form::Borrowed => quote!(&#name),
            Form::Owned | Form::Into => quote!(#name),
        }
    }
}

/// Reads the arguments after `self`; every argument that is no good is told of.
pub(super) fn read<'a>(inputs: impl Iterator<Item = &'a FnArg>, self_type: &Type) -> Result<Vec<Argument>> {
    let mut arguments = Vec::new();
    let mut mistake: Option<Error> = None;
    for input in inputs {
        let FnArg::Typed(input) = input else { continue };
        match read_one(input, self_type) {
            Ok(argument) => arguments.push(argument),
            Err(error) => match &mut mistake {
                Some(earlier) => earlier.combine(error),
                None => mistake = Some(error),
            },
        }
    }
    if let Some(mistake) = mistake {
        return Err(mistake);
    }
    name_apart(&mut arguments);
    Ok(arguments)
}

fn read_one(input: &PatType, self_type: &Type) -> Result<Argument> {
    if let Some(attribute) = input.attrs.first() {
        return Err(Error::new_spanned(attribute, "arguments of handlers have no attributes: remove it"));
    }
    if let Type::Reference(reference) = &*input.ty {
        if types::is_named(&reference.elem, "Context") {
            return Ok(Argument::Context);
        }
        if types::is_named(&reference.elem, "ExitReason") && reference.mutability.is_none() {
            return Ok(Argument::Reason);
        }
    }
    if types::is_named(&input.ty, "Context") {
        return Err(Error::new_spanned(&input.ty, "write `cx: &mut Context<Self>`"));
    }
    let (ty, form) = in_message(&input.ty)?;
    let ty = syn::parse2(types::spell_self(ty.into_token_stream(), self_type))?;
    if let Some(segment) = types::last_segment(&ty)
        && segment.ident == "ReplyTo"
    {
        return match types::arguments(segment)[..] {
            [reply] => Ok(Argument::Reply(reply.clone())),
            _ => Err(Error::new_spanned(&input.ty, "write `reply: ReplyTo<T>`, where `T` is the type of the reply")),
        };
    }
    Ok(Argument::Value(Value { name: name(&input.pat, &input.ty), ty, form }))
}

/// Reads the arguments of what runs when a state is entered.
pub(super) fn read_entering<'a>(inputs: impl Iterator<Item = &'a FnArg>) -> Result<Vec<Argument>> {
    let typed = inputs.filter_map(|input| match input {
        FnArg::Typed(input) => Some(input),
        FnArg::Receiver(_) => None,
    });
    let arguments: Vec<Argument> = typed.map(read_one_entering).collect::<Result<_>>()?;
    Ok(arguments)
}

fn read_one_entering(input: &PatType) -> Result<Argument> {
    match &*input.ty {
        Type::Reference(reference) if types::is_named(&reference.elem, "Entering") => Ok(Argument::Context),
        Type::Reference(reference) if types::is_named(&reference.elem, "Context") => Err(Error::new_spanned(
            &input.ty,
            "entering is no event, and can do less than a handler: write `cx: &mut Entering<Self>`",
        )),
        Type::Reference(reference) if reference.mutability.is_none() => Ok(Argument::Old),
        ty => Err(Error::new_spanned(
            ty,
            "`#[enter(…)]` takes the state that was left, `old: &Phase`, and `cx: &mut Entering<Self>`, and nothing else",
        )),
    }
}

/// The type that the message holds for an argument of type `ty`.
fn in_message(ty: &Type) -> Result<(Type, Form)> {
    match ty {
        Type::Group(group) => return in_message(&group.elem),
        Type::Reference(reference) if reference.mutability.is_none() && !is_static(reference) => {
            if types::is_named(&reference.elem, "str") {
                return Ok((syn::parse_quote_spanned!(ty.span()=> ::std::string::String), Form::Borrowed));
            }
            if let Type::Slice(slice) = &*reference.elem {
                let element = owned(&slice.elem)?;
                return Ok((syn::parse_quote!(::std::vec::Vec<#element>), Form::Borrowed));
            }
        }
        Type::ImplTrait(bound) => {
            if let Some(target) = types::into_target(bound) {
                return Ok((owned(target)?, Form::Into));
            }
        }
        _ => {}
    }
    Ok((owned(ty)?, Form::Owned))
}

fn is_static(reference: &TypeReference) -> bool {
    reference.lifetime.as_ref().is_some_and(|lifetime| lifetime.ident == "static")
}

/// `ty`, if a message can own it.
pub(super) fn owned(ty: &Type) -> Result<Type> {
    let why = "the handler runs after the caller went on";
    match types::unowned(ty) {
        None => Ok(ty.clone()),
        Some(Unowned::Reference(reference)) => {
            let (written, instead) = (text(&reference), instead_of(&reference));
            Err(Error::new_spanned(reference, format!("`{written}` is borrowed, and {why}: write {instead}")))
        }
        Some(Unowned::Lifetime(lifetime)) => {
            let message = format!("this type borrows for `{lifetime}`, and {why}: take an owned type, like `String`");
            Err(Error::new_spanned(ty, message))
        }
        Some(Unowned::ImplTrait(bound)) => {
            let message = "the message holds this, so its type has a name: write the type, `impl Into<T>`, or a \
                           `Box<dyn Trait + Send>`";
            Err(Error::new_spanned(bound, message))
        }
    }
}

/// What to write instead of a reference.
pub(super) fn instead_of(reference: &TypeReference) -> String {
    let owned = match &*reference.elem {
        Type::Slice(slice) => format!("Vec<{}>", text(&slice.elem)),
        elem if types::is_named(elem, "str") => "String".to_owned(),
        elem if types::is_named(elem, "Path") => "PathBuf".to_owned(),
        Type::TraitObject(object) => format!("Box<{} + Send>", text(object)),
        elem => text(elem),
    };
    match reference.mutability {
        Some(_) => format!("`{owned}`, and return what has become of it"),
        None => format!("`{owned}`"),
    }
}

/// Types as people write them, for messages.
pub(super) fn text(tokens: &impl ToTokens) -> String {
    let spaced = tokens.to_token_stream().to_string();
    let tight = [(" :: ", "::"), (" <", "<"), ("< ", "<"), (" >", ">"), ("& ", "&"), (" ,", ","), ("' ", "'")];
    tight.iter().fold(spaced, |text, (wide, narrow)| text.replace(wide, narrow))
}

/// The client's name for an argument: the names that its pattern binds, or else its type's.
fn name(pattern: &Pat, ty: &Type) -> Ident {
    struct Bindings(Vec<String>);
    impl Visit<'_> for Bindings {
        fn visit_pat_ident(&mut self, pattern: &PatIdent) {
            self.0.push(pattern.ident.unraw().to_string().trim_matches('_').to_owned());
            visit::visit_pat_ident(self, pattern);
        }
    }
    if let Pat::Ident(PatIdent { ident, subpat: None, .. }) = pattern
        && !ident.to_string().starts_with('_')
    {
        return ident.clone();
    }
    let mut bindings = Bindings(Vec::new());
    bindings.visit_pat(pattern);
    bindings.0.retain(|binding| !binding.is_empty());
    let name = match (bindings.0.is_empty(), types::last_segment(ty)) {
        (false, _) => bindings.0.join("_"),
        (true, Some(segment)) => snake_case(&segment.ident.unraw().to_string()),
        (true, None) => "argument".to_owned(),
    };
    identifier(&name, pattern.span())
}

/// Numbers the names that came out the same.
fn name_apart(arguments: &mut [Argument]) {
    let mut taken: Vec<String> = Vec::new();
    for argument in arguments {
        let Argument::Value(value) = argument else { continue };
        let plain = value.name.clone();
        let mut number = 2;
        while taken.contains(&value.name.to_string()) {
            value.name = identifier(&format!("{}_{number}", plain.unraw()), plain.span());
            number += 1;
        }
        taken.push(value.name.to_string());
    }
}

/// An identifier as near to `name` as may be: `type` is a keyword and `1` a number.
fn identifier(name: &str, span: Span) -> Ident {
    let candidates = [name.to_owned(), format!("{name}_"), format!("argument_{name}")];
    let valid = candidates.iter().find(|candidate| syn::parse_str::<Ident>(candidate).is_ok());
    Ident::new(valid.map_or("argument", String::as_str), span)
}

fn snake_case(name: &str) -> String {
    let mut snake = String::new();
    for character in name.chars() {
        if character.is_uppercase() && !snake.is_empty() && !snake.ends_with('_') {
            snake.push('_');
        }
        snake.extend(character.to_lowercase());
    }
    snake
}

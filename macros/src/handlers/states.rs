//! What a machine's methods say of states: `#[on(Idle => Moving | Open)]`, `#[postpone(Moving)]`, `#[ignore(_)]`,
//! `#[enter(Open)]`.
//!
//! States are named by their variants alone, without the enum. `_` is all that the method does not name otherwise.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Error, Expr, Ident, Path, Result, Token};

/// One rule of a method, as it is written.
pub(super) struct Rule {
    pub(super) does: Does,
    pub(super) from: States,
    /// It holds only where this is true.
    pub(super) guard: Option<Expr>,
    /// Where it may lead.
    pub(super) to: Vec<Target>,
}

/// What is done with the event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Does {
    Handle,
    Postpone,
    Ignore,
}

/// Some states by their names, or all others.
pub(super) enum States {
    Named(Vec<Ident>),
    Others,
}

/// A state that is gone over into: its name, and the value if the macro has to make it.
pub(super) struct Target {
    pub(super) name: Ident,
    pub(super) value: TokenStream,
}

impl Rule {
    /// The attributes that are rules, with how they are written.
    pub(super) const MARKERS: [(&'static str, Does, &'static str); 3] = [
        ("on", Does::Handle, "#[on(Idle => Moving)]"),
        ("postpone", Does::Postpone, "#[postpone(Moving)]"),
        ("ignore", Does::Ignore, "#[ignore(Moving)]"),
    ];

    /// Reads the attribute that does this.
    pub(super) fn read(does: Does, attribute: &Attribute) -> Result<Self> {
        let form = Self::MARKERS.iter().find(|(_, other, _)| *other == does).map_or("", |(_, _, form)| form);
        let expected = || Error::new_spanned(attribute, format!("this names states: write `{form}`"));
        let list = attribute.meta.require_list().map_err(|_| expected())?;
        let Written { from, guard, to } = syn::parse2(list.tokens.clone())?;
        match (does, to.len()) {
            (Does::Ignore, 1..) => {
                Err(Error::new_spanned(&to[0].name, "what is ignored leads nowhere: remove this, or write `#[on(…)]`"))
            }
            (Does::Postpone, 2..) => Err(Error::new_spanned(
                &to[1].name,
                "what is postponed leads to one state: remove this, or go to it by a handler of `#[on(…)]`",
            )),
            _ => Ok(Self { does, from, guard, to }),
        }
    }
}

struct Written {
    from: States,
    guard: Option<Expr>,
    to: Vec<Target>,
}

impl Parse for Written {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let from = input.parse()?;
        let guard = match input.parse::<Option<Token![if]>>()? {
            Some(_) => Some(input.parse()?),
            None => None,
        };
        let mut to = Vec::new();
        if input.parse::<Option<Token![=>]>>()?.is_some() {
            to.push(input.parse()?);
            while input.parse::<Option<Token![|]>>()?.is_some() {
                to.push(input.parse()?);
            }
        }
        if input.is_empty() {
            return Ok(Self { from, guard, to });
        }
        Err(input
            .error("write states like `Idle | Open`, then perhaps `if condition`, then perhaps `=> Moving | Open`"))
    }
}

impl Parse for States {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        if input.parse::<Option<Token![_]>>()?.is_some() {
            return Ok(Self::Others);
        }
        let mut names = vec![name(input)?];
        while input.parse::<Option<Token![|]>>()?.is_some() {
            names.push(name(input)?);
        }
        Ok(Self::Named(names))
    }
}

impl Parse for Target {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let name = name(input)?;
        let mut value = name.to_token_stream();
        if input.peek(syn::token::Paren) || input.peek(syn::token::Brace) {
            value.extend([input.parse::<proc_macro2::TokenTree>()?]);
        }
        Ok(Self { name, value })
    }
}

/// The name of a state.
fn name(input: ParseStream<'_>) -> Result<Ident> {
    let name: Ident = input
        .parse()
        .map_err(|error| Error::new(error.span(), "write the name of a state, like `Idle`, or `_` for all others"))?;
    match input.peek(Token![::]) {
        true => Err(Error::new(name.span(), "a state is named by its variant alone: write `Idle`, not `Phase::Idle`")),
        false => Ok(name),
    }
}

impl States {
    /// The states in `#[enter(…)]`.
    pub(super) fn entered(attribute: &Attribute) -> Result<Self> {
        let form = "this names states: write `#[enter(Open)]`, or `#[enter(_)]` for all others";
        let list = attribute.meta.require_list().map_err(|_| Error::new_spanned(attribute, form))?;
        syn::parse2(list.tokens.clone())
    }

    /// The pattern of a `&state`, whose enum is at `state`.
    pub(super) fn pattern(&self, state: &Path) -> TokenStream {
        match self {
            Self::Named(names) => quote!(#(#state::#names { .. })|*),
            Self::Others => quote!(_),
        }
    }

    pub(super) fn are_others(&self) -> bool {
        matches!(self, Self::Others)
    }
}

//! How the options of all macros are read: `name`, `name = value`, separated by commas.
//!
//! A reader asks for the options it knows, one by one, then calls [`finish`](Options::finish), which
//! refuses what nobody asked for and lists what could have been written.

use proc_macro2::{Ident, Span, TokenStream};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::{Attribute, Error, Path, Result, Token};

use crate::path::Root;

/// A list of options, some of them already taken.
pub(crate) struct Options {
    written: Vec<Written>,
    known: Vec<&'static str>,
    place: String,
}

/// One option as it was written. The value stays tokens until somebody knows what it should be.
struct Written {
    name: Ident,
    value: Option<TokenStream>,
}

impl Options {
    /// The options of the attribute macro `place`, which are the tokens between its parentheses.
    pub(crate) fn parse(place: &str, tokens: TokenStream) -> Result<Self> {
        let mut options = Self { written: Vec::new(), known: Vec::new(), place: place.to_owned() };
        options.read(tokens)?;
        Ok(options)
    }

    /// The options in all attributes of the name `place`.
    pub(crate) fn of_attributes(place: &str, attributes: &[Attribute]) -> Result<Self> {
        let mut options = Self::parse(place, TokenStream::new())?;
        for attribute in attributes.iter().filter(|attribute| attribute.path().is_ident(place)) {
            options.read(attribute.meta.require_list()?.tokens.clone())?;
        }
        Ok(options)
    }

    fn read(&mut self, tokens: TokenStream) -> Result<()> {
        let list = |input: ParseStream<'_>| input.parse_terminated(Written::parse, Token![,]);
        for option in list.parse2(tokens)? {
            if self.written.iter().any(|earlier| earlier.name == option.name) {
                return Err(Error::new(option.name.span(), format!("`{}` is written twice", option.name)));
            }
            self.written.push(option);
        }
        Ok(())
    }

    /// Takes the option `name = value`; `form` is how to write it.
    pub(crate) fn value<T: Parse>(&mut self, name: &'static str, form: &'static str) -> Result<Option<T>> {
        self.known.push(form);
        let Some(option) = self.take(name) else { return Ok(None) };
        let expected = || Error::new(option.name.span(), format!("write `{form}`"));
        let value = option.value.clone().ok_or_else(expected)?;
        syn::parse2(value).map(Some).map_err(|_| expected())
    }

    /// Takes the option `name`, which has no value.
    pub(crate) fn flag(&mut self, name: &'static str) -> Result<Option<Span>> {
        self.known.push(name);
        match self.take(name) {
            Some(Written { name, value: Some(_) }) => {
                Err(Error::new(name.span(), format!("`{name}` takes no value: write only `{name}`")))
            }
            option => Ok(option.map(|option| option.name.span())),
        }
    }

    /// Takes `crate = path`.
    pub(crate) fn root(&mut self) -> Result<Root> {
        let path = self.value::<Path>("crate", "crate = path::to::biotope")?;
        // It is for crates that wrap biotope, not for those who look for the right option.
        self.known.pop();
        Ok(Root::or_default(path))
    }

    /// Refuses what is left.
    pub(crate) fn finish(self) -> Result<()> {
        let known: Vec<_> = self.known.iter().map(|form| format!("`{form}`")).collect();
        let refuse = |option: Written| {
            let (name, place) = (&option.name, &self.place);
            Error::new(name.span(), format!("`{place}` has no option `{name}`; it has {}", known.join(", ")))
        };
        match self.written.into_iter().map(refuse).reduce(with) {
            None => Ok(()),
            Some(error) => Err(error),
        }
    }

    fn take(&mut self, name: &str) -> Option<Written> {
        let position = self.written.iter().position(|option| option.name == name)?;
        Some(self.written.remove(position))
    }
}

fn with(mut errors: Error, error: Error) -> Error {
    errors.combine(error);
    errors
}

impl Parse for Written {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        // `crate` is a keyword, and an option all the same.
        let name = Ident::parse_any(input)?;
        if !input.peek(Token![=]) {
            // `mailbox(1024)` is how it is often mistaken; the reader of `mailbox` says how it is written.
            if !input.is_empty() && !input.peek(Token![,]) {
                return Err(input.error(format!("write `{name}` or `{name} = value`")));
            }
            return Ok(Self { name, value: None });
        }
        input.parse::<Token![=]>()?;
        let mut value = TokenStream::new();
        while !input.is_empty() && !input.peek(Token![,]) {
            value.extend([input.parse::<proc_macro2::TokenTree>()?]);
        }
        Ok(Self { name, value: Some(value) })
    }
}

//! The `impl` block as it is written. Bodies are one token each.

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::parse::{Parse, ParseStream, Parser};
use syn::{Attribute, Error, Generics, LitStr, Result, Signature, Token, Type, Visibility, braced, token};

/// An inherent `impl` block.
pub(super) struct Block {
    attributes: Vec<Attribute>,
    pub(super) generics: Generics,
    pub(super) self_type: Type,
    pub(super) items: Vec<Item>,
    /// What is wrong with signatures that could not be read; they are not among the items.
    pub(super) unreadable: Vec<Error>,
}

/// What stands in the block.
pub(super) enum Item {
    Method(Box<Method>),
    /// A constant or a macro, which is none of our business.
    Other(TokenStream),
}

/// A method, its body unread.
pub(super) struct Method {
    pub(super) attributes: Vec<Attribute>,
    pub(super) visibility: Visibility,
    pub(super) signature: Signature,
    body: TokenTree,
}

impl Block {
    /// Reads the block that is marked `place`; the error is for something that is no inherent `impl` block.
    pub(super) fn read(place: &str, input: TokenStream) -> Result<Self> {
        (|input: ParseStream<'_>| Self::parse(place, input)).parse2(input)
    }

    /// The methods, in order.
    pub(super) fn methods(&mut self) -> impl Iterator<Item = &mut Method> {
        self.items.iter_mut().filter_map(|item| match item {
            Item::Method(method) => Some(&mut **method),
            Item::Other(_) => None,
        })
    }

    fn parse(place: &str, input: ParseStream<'_>) -> Result<Self> {
        let mut attributes = input.call(Attribute::parse_outer)?;
        if !input.peek(Token![impl]) {
            let message = format!("`{place}` belongs on an `impl` block: write it above `impl Cart {{ … }}`");
            return Err(input.error(message));
        }
        input.parse::<Token![impl]>()?;
        let mut generics: Generics = input.parse()?;
        let self_type: Type = input.parse()?;
        if input.peek(Token![for]) {
            let message = format!(
                "the methods of a trait are no handlers: write `{place}` above an `impl` block without a trait"
            );
            return Err(Error::new_spanned(self_type, message));
        }
        generics.where_clause = input.parse()?;
        let content;
        braced!(content in input);
        attributes.extend(content.call(Attribute::parse_inner)?);
        let mut block = Self { attributes, generics, self_type, items: Vec::new(), unreadable: Vec::new() };
        while !content.is_empty() {
            match content.parse() {
                Ok(item) => block.items.push(item),
                Err(error) => {
                    block.unreadable.push(error);
                    rest_of_item(&content)?;
                }
            }
        }
        Ok(block)
    }
}

impl Parse for Item {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let attributes = input.call(Attribute::parse_outer)?;
        let visibility: Visibility = input.parse()?;
        if !is_function(input) {
            let rest = rest_of_item(input)?;
            return Ok(Self::Other(quote!(#(#attributes)* #visibility #rest)));
        }
        let signature = input.parse()?;
        if !input.peek(token::Brace) {
            return Err(input.error("a handler has a body: write `{ … }`"));
        }
        Ok(Self::Method(Box::new(Method { attributes, visibility, signature, body: input.parse()? })))
    }
}

/// Whether a function comes next, after its qualifiers.
fn is_function(input: ParseStream<'_>) -> bool {
    let ahead = input.fork();
    while ahead.peek(Token![const])
        || ahead.peek(Token![async])
        || ahead.peek(Token![unsafe])
        || ahead.peek(Token![extern])
        || ahead.peek(LitStr)
    {
        if ahead.parse::<TokenTree>().is_err() {
            return false;
        }
    }
    ahead.peek(Token![fn])
}

/// Everything up to the end of the item: a `;`, or the braces of a body.
fn rest_of_item(input: ParseStream<'_>) -> Result<TokenStream> {
    let has_value = input.peek(Token![const]) || input.peek(Token![type]);
    let mut tokens = TokenStream::new();
    while !input.is_empty() {
        let last = input.peek(Token![;]) || (input.peek(token::Brace) && !has_value);
        tokens.extend([input.parse::<TokenTree>()?]);
        if last {
            break;
        }
    }
    Ok(tokens)
}

impl ToTokens for Block {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Self { attributes, generics, self_type, items, .. } = self;
        let outer = attributes.iter().filter(|attribute| matches!(attribute.style, syn::AttrStyle::Outer));
        let inner = attributes.iter().filter(|attribute| matches!(attribute.style, syn::AttrStyle::Inner(_)));
        let bounds = &generics.where_clause;
        tokens.extend(quote!(#(#outer)* impl #generics #self_type #bounds { #(#inner)* #(#items)* }));
    }
}

impl ToTokens for Item {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        match self {
            Self::Method(method) => method.to_tokens(tokens),
            Self::Other(other) => other.to_tokens(tokens),
        }
    }
}

impl ToTokens for Method {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let Self { attributes, visibility, signature, body } = self;
        tokens.extend(quote!(#(#attributes)* #visibility #signature #body));
    }
}

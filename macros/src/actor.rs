//! `#[derive(Actor)]`: what an actor is called and how its processes are run.

use proc_macro2::TokenStream;
use quote::quote;
use syn::parse::{Parse, ParseStream};
use syn::{Data, DeriveInput, Error, Expr, ExprLit, Ident, Lit, LitStr, Result, Token, parenthesized};

use crate::options::Options;
use crate::path::Root;

/// The derive's output, which on a mistake is the error, beside a declaration without options: its handlers are no mistake.
pub(crate) fn expand(input: TokenStream) -> TokenStream {
    let input: DeriveInput = match syn::parse2(input) {
        Ok(input) => input,
        Err(error) => return error.into_compile_error(),
    };
    declare(&input).unwrap_or_else(|error| {
        let root = Options::of_attributes("actor", &input.attrs).and_then(|mut options| options.root());
        let root = root.unwrap_or_else(|_| Root::or_default(None));
        let declared = implement(&input, &root, None, &quote!(#root::Options::DEFAULT));
        let error = error.into_compile_error();
        quote!(#error #declared)
    })
}

fn declare(input: &DeriveInput) -> Result<TokenStream> {
    let mut options = Options::of_attributes("actor", &input.attrs)?;
    let mailbox: Option<TokenStream> = options.value("mailbox", "mailbox = bounded(1024)")?;
    let mailbox = mailbox.map(Mailbox::read).transpose()?;
    let trap_exit = options.flag("trap_exit")?;
    let max_memory: Option<Expr> = options.value("max_memory", "max_memory = 64 * 1024 * 1024")?;
    if let Some(Expr::Lit(ExprLit { lit: Lit::Int(number), .. })) = &max_memory
        && number.base10_digits() == "0"
    {
        return Err(Error::new(number.span(), "a process has some memory"));
    }
    let hibernate_after: Option<Expr> = options.value("hibernate_after", "hibernate_after = secs(10)")?;
    let name: Option<LitStr> = options.value("name", "name = \"shop.Cart\"")?;
    let root = options.root()?;
    options.finish()?;
    if let Data::Union(data) = &input.data {
        return Err(Error::new(data.union_token.span, "an actor is a struct or an enum"));
    }
    if let Some(lifetime) = input.generics.lifetimes().next() {
        let message = "a process outlives whoever spawned it, so an actor owns its state: remove the lifetime, and \
                       keep owned values or `Arc`s";
        return Err(Error::new_spanned(lifetime, message));
    }

    let mut fields = TokenStream::new();
    if let Some(mailbox) = mailbox {
        let mailbox = mailbox.expand(&root)?;
        fields.extend(quote!(mailbox: #mailbox,));
    }
    if trap_exit.is_some() {
        fields.extend(quote!(trap_exit: true,));
    }
    if let Some(bytes) = max_memory {
        fields.extend(quote!(max_memory: ::core::option::Option::Some(#bytes),));
    }
    if let Some(duration) = hibernate_after {
        fields.extend(quote!(hibernate_after: ::core::option::Option::Some(#duration),));
    }
    let options = match fields.is_empty() {
        true => quote!(#root::Options::DEFAULT),
        false => quote!(#root::Options { #fields ..#root::Options::DEFAULT }),
    };
    Ok(implement(input, &root, name, &options))
}

fn implement(input: &DeriveInput, root: &Root, name: Option<LitStr>, options: &TokenStream) -> TokenStream {
    let actor = &input.ident;
    let (generics, arguments, bounds) = input.generics.split_for_impl();
    let name = name.unwrap_or_else(|| LitStr::new(&actor.to_string(), actor.span()));
    quote! {
        #[automatically_derived]
        #[allow(clippy::needless_update)]
        impl #generics #root::__private::Declared for #actor #arguments #bounds {
            const NAME: &'static str = #name;
            const OPTIONS: #root::Options = #options;
        }
    }
}

/// `bounded(n)`, `bounded(n, reject)` and so on, or `unbounded`.
enum Mailbox {
    Bounded { limit: Box<Expr>, overflow: Option<Ident> },
    Unbounded,
}

/// What may become of more than fits: as it is written, and the variant of `Overflow`.
const OVERFLOWS: [(&str, &str); 4] =
    [("suspend", "Suspend"), ("reject", "Reject"), ("drop_newest", "DropNewest"), ("drop_oldest", "DropOldest")];

impl Parse for Mailbox {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let kind: Ident = input.parse()?;
        if kind == "unbounded" {
            return Ok(Self::Unbounded);
        }
        if kind != "bounded" {
            return Err(input.error("no mailbox is called so"));
        }
        let inside;
        parenthesized!(inside in input);
        let limit = inside.parse()?;
        let mut overflow = None;
        if inside.parse::<Option<Token![,]>>()?.is_some() && !inside.is_empty() {
            overflow = Some(inside.parse()?);
        }
        Ok(Self::Bounded { limit, overflow })
    }
}

impl Mailbox {
    fn read(written: TokenStream) -> Result<Self> {
        let expected = "write `bounded(1024)`, `bounded(1024, drop_oldest)` or `unbounded`";
        syn::parse2(written.clone()).map_err(|_| Error::new_spanned(written, expected))
    }

    fn expand(&self, root: &Root) -> Result<TokenStream> {
        let Self::Bounded { limit, overflow } = self else { return Ok(quote!(::core::option::Option::None)) };
        if let Expr::Lit(ExprLit { lit: Lit::Int(number), .. }) = &**limit
            && number.base10_digits() == "0"
        {
            return Err(Error::new(number.span(), "a mailbox holds at least one message"));
        }
        let overflow = overflow.as_ref().map(|chosen| {
            let Some((_, variant)) = OVERFLOWS.into_iter().find(|(written, _)| chosen == written) else {
                let all = OVERFLOWS.map(|(written, _)| format!("`{written}`")).join(", ");
                return Err(Error::new(chosen.span(), format!("what becomes of more is one of {all}")));
            };
            let variant = Ident::new(variant, chosen.span());
            Ok(quote!(.or(#root::Overflow::#variant)))
        });
        let overflow = overflow.transpose()?;
        Ok(quote!(::core::option::Option::Some(#root::Bounded::to(#limit) #overflow)))
    }
}

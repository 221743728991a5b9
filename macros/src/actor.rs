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
    let priority = choice(&mut options, "priority", "priority = high", &PRIORITIES)?;
    let restart = choice(&mut options, "restart", "restart = transient", &RESTARTS)?;
    let shutdown: Option<TokenStream> = options.value("shutdown", "shutdown = secs(5)")?;
    let shutdown = shutdown.map(Shutdown::read).transpose()?;
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
    if let Some(priority) = priority {
        fields.extend(quote!(priority: #root::Priority::#priority,));
    }
    if let Some(restart) = restart {
        fields.extend(quote!(restart: ::core::option::Option::Some(#root::Restart::#restart),));
    }
    if let Some(shutdown) = shutdown {
        let shutdown = shutdown.expand();
        fields.extend(quote!(shutdown: ::core::option::Option::Some(#root::Shutdown::#shutdown),));
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

/// What a choice may be: as it is written, and the variant of the enum.
type Choices = [(&'static str, &'static str)];

const PRIORITIES: [(&str, &str); 4] = [("low", "Low"), ("normal", "Normal"), ("high", "High"), ("max", "Max")];
const RESTARTS: [(&str, &str); 3] =
    [("permanent", "Permanent"), ("transient", "Transient"), ("temporary", "Temporary")];

/// Takes the option `name`, one of `choices`; returns the variant.
fn choice(options: &mut Options, name: &'static str, form: &'static str, choices: &Choices) -> Result<Option<Ident>> {
    let Some(written) = options.value::<TokenStream>(name, form)? else { return Ok(None) };
    let chosen: Option<Ident> = syn::parse2(written.clone()).ok();
    chosen.and_then(|chosen| variant(&chosen, choices)).map(Some).ok_or_else(|| {
        let message = format!("`{name}` is one of {}", all(choices));
        Error::new_spanned(written, message)
    })
}

fn variant(chosen: &Ident, choices: &Choices) -> Option<Ident> {
    let (_, variant) = choices.iter().find(|(written, _)| chosen == written)?;
    Some(Ident::new(variant, chosen.span()))
}

fn all(choices: &Choices) -> String {
    choices.iter().map(|(written, _)| format!("`{written}`")).collect::<Vec<_>>().join(", ")
}

/// `brutal_kill`, `infinity`, or how much time there is.
enum Shutdown {
    Kind(Ident),
    Time(Box<Expr>),
}

const SHUTDOWNS: [(&str, &str); 2] = [("brutal_kill", "BrutalKill"), ("infinity", "Infinity")];

impl Shutdown {
    fn read(written: TokenStream) -> Result<Self> {
        let expected = || Error::new_spanned(&written, "write `secs(5)`, `brutal_kill` or `infinity`");
        match syn::parse2(written.clone()).map_err(|_| expected())? {
            // A number says no unit.
            Expr::Lit(_) => Err(expected()),
            Expr::Path(path) => match path.path.get_ident() {
                // No constant is written in small letters.
                Some(chosen) if !chosen.to_string().contains(char::is_uppercase) => {
                    variant(chosen, &SHUTDOWNS).map(Self::Kind).ok_or_else(expected)
                }
                _ => Ok(Self::Time(Box::new(Expr::Path(path)))),
            },
            time => Ok(Self::Time(Box::new(time))),
        }
    }

    fn expand(&self) -> TokenStream {
        match self {
            Self::Kind(variant) => quote!(#variant),
            Self::Time(time) => quote!(Timeout(#time)),
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
            let Some(variant) = variant(chosen, &OVERFLOWS) else {
                let message = format!("what becomes of more is one of {}", all(&OVERFLOWS));
                return Err(Error::new(chosen.span(), message));
            };
            Ok(quote!(.or(#root::Overflow::#variant)))
        });
        let overflow = overflow.transpose()?;
        Ok(quote!(::core::option::Option::Some(#root::Bounded::to(#limit) #overflow)))
    }
}

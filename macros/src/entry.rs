//! `#[main]` and `#[test]`: an async body inside a runtime.
//!
//! The user's function stays as it is, nested in the one that the compiler or the test harness calls. So its
//! own return type drives inference, and whatever is wrong in its body is reported as ever.

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::parse::{Parse, ParseStream};
use syn::{Attribute, Error, LitInt, LitStr, Result, ReturnType, Signature, Type, Visibility};

use crate::options::Options;

/// The output of `#[main]`.
pub(crate) fn main(options: TokenStream, function: TokenStream) -> TokenStream {
    expand_main(options, function.clone()).unwrap_or_else(|error| {
        let error = error.to_compile_error();
        // Nested, so that the compiler does not complain of an async `main` as well.
        quote!(fn main() { #function } #error)
    })
}

/// The output of `#[test]`.
pub(crate) fn test(options: TokenStream, function: TokenStream) -> TokenStream {
    expand_test(options, function.clone()).unwrap_or_else(|error| {
        let error = error.to_compile_error();
        quote!(#function #error)
    })
}

fn expand_main(options: TokenStream, function: TokenStream) -> Result<TokenStream> {
    let mut options = Options::parse("#[biotope::main]", options)?;
    let workers: Option<LitInt> = options.value("workers", "workers = 4")?;
    let node: Option<LitStr> = options.value("node", "node = \"shop-1\"")?;
    let root = options.root()?;
    options.finish()?;
    let function = Function::parse("#[biotope::main]", function)?;

    let (attributes, visibility, name) = (&function.attributes, &function.visibility, &function.signature.ident);
    let run = match function.returns_nothing() {
        true => quote!(#name().await;),
        false => quote!(#name().await?;),
    };
    let workers = some(workers);
    // At the root of a program, the module's path is the program's name.
    let node = node.map_or_else(|| quote!(::core::module_path!()), ToTokens::into_token_stream);
    Ok(quote! {
        #(#attributes)*
        #visibility fn #name() -> ::std::process::ExitCode {
            #function
            #root::__private::main(
                #root::__private::MainOptions { workers: #workers, node: #node },
                async { #run ::core::result::Result::Ok(()) },
            )
        }
    })
}

fn expand_test(options: TokenStream, function: TokenStream) -> Result<TokenStream> {
    if options.is_empty() && !is_async(&function) {
        // `use biotope::test;` takes the place of the standard attribute, so that this is what it was meant to be.
        return Ok(quote!(#[::core::prelude::v1::test] #function));
    }
    let mut options = Options::parse("#[biotope::test]", options)?;
    let seeds: Option<LitInt> = options.value("seeds", "seeds = 200")?;
    let seed: Option<LitInt> = options.value("seed", "seed = 7")?;
    let real: Option<LitInt> = options.value("real", "real = 10")?;
    let allow_crashes = options.flag("allow_crashes")?.is_some();
    let allow_leftovers = options.flag("allow_leftovers")?.is_some();
    let root = options.root()?;
    options.finish()?;
    if let (Some(_), Some(seed)) = (&seeds, &seed) {
        let message = "`seeds` runs many schedules and `seed` a single one: write one of the two";
        return Err(Error::new(seed.span(), message));
    }
    let function = Function::parse("#[biotope::test]", function)?;

    let (attributes, visibility, name) = (&function.attributes, &function.visibility, &function.signature.ident);
    let title = format!("::{name}");
    let (seeds, seed, real) = (some(seeds), some(seed), some(real));
    Ok(quote! {
        #[::core::prelude::v1::test]
        #(#attributes)*
        #visibility fn #name() {
            #function
            #root::__private::test(
                #root::__private::TestOptions {
                    name: ::core::concat!(::core::module_path!(), #title),
                    seeds: #seeds,
                    seed: #seed,
                    real: #real,
                    allow_crashes: #allow_crashes,
                    allow_leftovers: #allow_leftovers,
                },
                #name,
            )
        }
    })
}

/// Whether the function is async, as far as it can be read.
fn is_async(function: &TokenStream) -> bool {
    syn::parse2::<Function>(function.clone()).is_ok_and(|function| function.signature.asyncness.is_some())
}

/// An async function without arguments, as `main` and tests are. Its body stays tokens.
struct Function {
    attributes: Vec<Attribute>,
    visibility: Visibility,
    signature: Signature,
    body: TokenTree,
}

impl Function {
    fn parse(place: &str, function: TokenStream) -> Result<Self> {
        let function: Self = syn::parse2(function)?;
        let signature = &function.signature;
        if signature.asyncness.is_none() {
            let message = format!("`{place}` runs an async function: write `async fn {}()`", signature.ident);
            return Err(Error::new(signature.fn_token.span, message));
        }
        if !signature.inputs.is_empty() || !signature.generics.params.is_empty() {
            let message = format!("nobody calls this with arguments: write `async fn {}()`", signature.ident);
            return Err(Error::new(signature.ident.span(), message));
        }
        Ok(function)
    }

    fn returns_nothing(&self) -> bool {
        match &self.signature.output {
            ReturnType::Default => true,
            ReturnType::Type(_, ty) => matches!(&**ty, Type::Tuple(tuple) if tuple.elems.is_empty()),
        }
    }
}

impl Parse for Function {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let function = Self {
            attributes: input.call(Attribute::parse_outer)?,
            visibility: input.parse()?,
            signature: input.parse()?,
            body: input.parse()?,
        };
        Ok(function)
    }
}

impl ToTokens for Function {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        self.signature.to_tokens(tokens);
        self.body.to_tokens(tokens);
    }
}

fn some(value: Option<impl ToTokens>) -> TokenStream {
    match value {
        Some(value) => quote!(::core::option::Option::Some(#value)),
        None => quote!(::core::option::Option::None),
    }
}

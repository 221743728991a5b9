//! `#[derive(State)]`: what the states of a machine are called.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt;
use syn::{Data, DeriveInput, Error, Result};

use crate::options::Options;

/// The derive's output.
pub(crate) fn expand(input: TokenStream) -> TokenStream {
    let declared = syn::parse2(input).and_then(|input| declare(&input));
    declared.unwrap_or_else(Error::into_compile_error)
}

fn declare(input: &DeriveInput) -> Result<TokenStream> {
    let mut options = Options::of_attributes("state", &input.attrs)?;
    let root = options.root()?;
    options.finish()?;
    let Data::Enum(data) = &input.data else {
        let message = "the states of a machine are the variants of an enum: write an `enum`, or implement `State`";
        return Err(Error::new_spanned(&input.ident, message));
    };
    if data.variants.is_empty() {
        return Err(Error::new_spanned(&input.ident, "a machine is in some state: write a variant"));
    }
    let named = || {
        data.variants.iter().map(|variant| {
            let cfgs = variant.attrs.iter().filter(|attribute| attribute.path().is_ident("cfg"));
            (quote!(#(#cfgs)*), &variant.ident, variant.ident.unraw().to_string())
        })
    };
    let names = named().map(|(cfgs, _, name)| quote!(#cfgs #name));
    let arms = named().map(|(cfgs, variant, name)| quote!(#cfgs Self::#variant { .. } => #name,));
    let state = &input.ident;
    let (generics, arguments, bounds) = input.generics.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        impl #generics #root::State for #state #arguments #bounds {
            const NAMES: &'static [&'static str] = &[#(#names),*];

            fn name(&self) -> &'static str {
                match self { #(#arms)* }
            }
        }
    })
}

//! What can be known of a type from how it is written.

use proc_macro2::{Group, Ident, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::visit::{self, Visit};
use syn::{
    GenericArgument, Lifetime, PathArguments, PathSegment, Token, Type, TypeImplTrait, TypeParamBound, TypeReference,
};

/// The last segment of a path: `Context` of `biotope::Context<Self>`.
pub(super) fn last_segment(ty: &Type) -> Option<&PathSegment> {
    match ty {
        Type::Path(path) => path.path.segments.last(),
        Type::Group(group) => last_segment(&group.elem),
        Type::Paren(paren) => last_segment(&paren.elem),
        _ => None,
    }
}

/// Whether the type's last segment is `name`.
pub(super) fn is_named(ty: &Type, name: &str) -> bool {
    last_segment(ty).is_some_and(|segment| segment.ident == name)
}

/// The type arguments in angle brackets.
pub(super) fn arguments(segment: &PathSegment) -> Vec<&Type> {
    let PathArguments::AngleBracketed(list) = &segment.arguments else { return Vec::new() };
    let types = list.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty),
        _ => None,
    });
    types.collect()
}

/// Whether it is `()`.
pub(super) fn is_unit(ty: &Type) -> bool {
    matches!(ty, Type::Tuple(tuple) if tuple.elems.is_empty())
}

/// The `T` of `impl Into<T>`.
pub(super) fn into_target(ty: &TypeImplTrait) -> Option<&Type> {
    let mut bounds = ty.bounds.iter();
    let (Some(TypeParamBound::Trait(bound)), None) = (bounds.next(), bounds.next()) else { return None };
    let segment = bound.path.segments.last().filter(|segment| segment.ident == "Into")?;
    match arguments(segment)[..] {
        [target] => Some(target),
        _ => None,
    }
}

/// What keeps a type from standing in a message by itself.
pub(super) enum Unowned {
    /// A reference, other than a `'static` one.
    Reference(TypeReference),
    /// A lifetime in another type, like that of `Cow<'_, str>`.
    Lifetime(Lifetime),
    /// An `impl Trait`.
    ImplTrait(TypeImplTrait),
}

/// The first part of `ty` that is borrowed or nameless. Signatures of functions inside of it may borrow.
pub(super) fn unowned(ty: &Type) -> Option<Unowned> {
    struct Search(Option<Unowned>);
    impl Visit<'_> for Search {
        fn visit_type_reference(&mut self, reference: &TypeReference) {
            match &reference.lifetime {
                Some(lifetime) if lifetime.ident == "static" => visit::visit_type_reference(self, reference),
                _ => {
                    self.0.get_or_insert_with(|| Unowned::Reference(reference.clone()));
                }
            }
        }
        fn visit_lifetime(&mut self, lifetime: &Lifetime) {
            if lifetime.ident != "static" {
                self.0.get_or_insert_with(|| Unowned::Lifetime(lifetime.clone()));
            }
        }
        fn visit_type_impl_trait(&mut self, ty: &TypeImplTrait) {
            self.0.get_or_insert_with(|| Unowned::ImplTrait(ty.clone()));
        }
        fn visit_type_fn_ptr(&mut self, _: &syn::TypeFnPtr) {}
        fn visit_parenthesized_generic_arguments(&mut self, _: &syn::ParenthesizedGenericArguments) {}
        fn visit_trait_bound(&mut self, bound: &syn::TraitBound) {
            if bound.lifetimes.is_none() {
                visit::visit_trait_bound(self, bound);
            }
        }
    }
    let mut search = Search(None);
    search.visit_type(ty);
    search.0
}

/// `tokens` with `Self` spelt out, for use outside of the block.
pub(super) fn spell_self(tokens: TokenStream, self_type: &Type) -> TokenStream {
    let mut spelt = TokenStream::new();
    let mut tokens = tokens.into_iter();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Ident(ident) if ident == "Self" => {
                // `Self::LIMIT` becomes `<Cart>::LIMIT`, for the type may have arguments.
                let qualified = syn::parse2::<Token![::]>(tokens.clone().take(2).collect()).is_ok();
                spelt.extend(if qualified { quote!(<#self_type>) } else { self_type.to_token_stream() });
            }
            TokenTree::Group(group) => {
                let mut inner = Group::new(group.delimiter(), spell_self(group.stream(), self_type));
                inner.set_span(group.span());
                spelt.extend([TokenTree::Group(inner)]);
            }
            other => spelt.extend([other]),
        }
    }
    spelt
}

/// Whether `name` is among `tokens`.
pub(super) fn mentions(tokens: TokenStream, name: &Ident) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == *name,
        TokenTree::Group(group) => mentions(group.stream(), name),
        _ => false,
    })
}

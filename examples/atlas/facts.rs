//! What one file says, as far as the atlas is concerned.
//!
//! # What counts
//! - **Items** by [`Kind`], wherever they stand: in nested modules, in blocks of functions, in `extern` blocks. A
//!   function in an `impl` or a `trait` is a method; an associated constant or type counts as constant or type.
//!   What a macro call or a `macro_rules!` body would expand to is not seen.
//! - **Public** is what the file itself makes public: an item marked plain `pub`, a method or constant marked `pub`
//!   in an `impl`, everything in a `pub trait`, a macro with `#[macro_export]`. What implements a trait is never
//!   marked `pub`: the name is the trait's. Whether a path leads there from outside is not asked. Not public items in this sense: `pub use`, `pub extern crate` and `pub mod x;`,
//!   which name what another file defines and documents.
//! - **Documented** is a public item with a doc comment or `#[doc = …]`, inside or outside; `#[doc(hidden)]` is not
//!   documentation.
//! - **Unsafe blocks** are `unsafe { … }` only. An `unsafe fn` is a promise asked of others, not a risk taken here.
//! - **The longest function** is counted from the line of `fn` to the line of its closing brace, so attributes and
//!   comments above it do not count. Of equals the first one is kept. Closures are part of their function.
//!
//! The types here travel between nodes; their fields are sent by position.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use syn::ext::IdentExt;
use syn::visit::{self, Visit};
use syn::{
    Attribute, Block, Expr, ForeignItem, Ident, ImplItem, Item, ItemImpl, ItemTrait, Meta, Signature, TraitItem,
    Visibility,
};

/// What became of one input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Outcome {
    Parsed(Facts),
    Unparsed { reason: Reason },
}

/// The facts of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Facts {
    pub(crate) lines: u32,
    pub(crate) documented: u32,
    pub(crate) unsafe_blocks: u32,
    pub(crate) longest: Option<LongestFn>,
    pub(crate) items: BTreeMap<Kind, u32>,
    /// One for each public item, in the order of the file.
    pub(crate) definitions: Vec<Definition>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LongestFn {
    pub(crate) name: String,
    pub(crate) line: u32,
    pub(crate) lines: u32,
}

/// Where a public name is defined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Definition {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) line: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    Const,
    Enum,
    ExternBlock,
    ExternCrate,
    Fn,
    Impl,
    Macro,
    MacroCall,
    Method,
    Mod,
    /// What this version of the parser keeps as bare tokens.
    Other,
    Static,
    Struct,
    Trait,
    TraitAlias,
    Type,
    Union,
    Use,
}

/// Why a file has no facts. Such a file is counted and listed, and the rest of the atlas is made all the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Reason {
    /// The operating system would not hand out the file.
    Unreadable {
        error: String,
    },
    NotUtf8,
    TooLong {
        bytes: u64,
    },
    /// It nests or chains so deep that a parser could overflow its stack.
    TooDeep {
        tokens: u64,
    },
    /// It is not Rust, or Rust of another edition than the parser's.
    Syntax {
        line: u32,
        message: String,
    },
    /// The parser panicked. It will again.
    ParserPanicked,
}

impl Facts {
    /// Gathers the facts of `file`, parsed from `text` with line numbers.
    ///
    /// Recursive, like everything that looks at a syntax tree; the chapter `parser` sees to the stack.
    pub(crate) fn gather(file: &syn::File, text: &str) -> Self {
        let mut gatherer = Gatherer { facts: Self { lines: number(text.lines().count()), ..Self::default() } };
        gatherer.visit_file(file);
        gatherer.facts
    }

    pub(crate) fn public(&self) -> u32 {
        number(self.definitions.len())
    }
}

impl Kind {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Const => "const",
            Self::Enum => "enum",
            Self::ExternBlock => "extern-block",
            Self::ExternCrate => "extern-crate",
            Self::Fn => "fn",
            Self::Impl => "impl",
            Self::Macro => "macro",
            Self::MacroCall => "macro-call",
            Self::Method => "method",
            Self::Mod => "mod",
            Self::Other => "other",
            Self::Static => "static",
            Self::Struct => "struct",
            Self::Trait => "trait",
            Self::TraitAlias => "trait-alias",
            Self::Type => "type",
            Self::Union => "union",
            Self::Use => "use",
        }
    }
}

impl Reason {
    /// The reason without its details.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Unreadable { .. } => "unreadable",
            Self::NotUtf8 => "not-utf8",
            Self::TooLong { .. } => "too-long",
            Self::TooDeep { .. } => "too-deep",
            Self::Syntax { .. } => "syntax",
            Self::ParserPanicked => "parser-panicked",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { error } => write!(f, "cannot be read: {error}"),
            Self::NotUtf8 => f.write_str("is not UTF-8"),
            Self::TooLong { bytes } => write!(f, "is too long: {bytes} bytes"),
            Self::TooDeep { tokens } => {
                write!(f, "nests too deep: up to {tokens} tokens are open at once")
            }
            Self::Syntax { line, message } => write!(f, "line {line}: {message}"),
            Self::ParserPanicked => f.write_str("made the parser panic"),
        }
    }
}

struct Gatherer {
    facts: Facts,
}

impl Visit<'_> for Gatherer {
    fn visit_item(&mut self, item: &Item) {
        self.item(item);
        visit::visit_item(self, item);
    }

    fn visit_expr(&mut self, expr: &Expr) {
        self.facts.unsafe_blocks += u32::from(matches!(expr, Expr::Unsafe(_)));
        visit::visit_expr(self, expr);
    }
}

impl Gatherer {
    fn item(&mut self, item: &Item) {
        match item {
            Item::Const(item) => self.named(Kind::Const, is_pub(&item.vis), &item.attrs, &item.ident),
            Item::Enum(item) => self.named(Kind::Enum, is_pub(&item.vis), &item.attrs, &item.ident),
            Item::ExternCrate(_) => self.count(Kind::ExternCrate),
            Item::Fn(item) => {
                self.named(Kind::Fn, is_pub(&item.vis), &item.attrs, &item.sig.ident);
                self.measure(&item.sig, &item.block);
            }
            Item::ForeignMod(block) => {
                self.count(Kind::ExternBlock);
                block.items.iter().for_each(|item| self.foreign(item));
            }
            Item::Impl(block) => self.implementation(block),
            Item::Macro(item) => match &item.ident {
                Some(ident) => self.named(Kind::Macro, is_exported(&item.attrs), &item.attrs, ident),
                None => self.count(Kind::MacroCall),
            },
            Item::Mod(item) => {
                let is_public = is_pub(&item.vis) && item.content.is_some();
                self.named(Kind::Mod, is_public, &item.attrs, &item.ident);
            }
            Item::Static(item) => self.named(Kind::Static, is_pub(&item.vis), &item.attrs, &item.ident),
            Item::Struct(item) => self.named(Kind::Struct, is_pub(&item.vis), &item.attrs, &item.ident),
            Item::Trait(item) => self.interface(item),
            Item::TraitAlias(item) => self.named(Kind::TraitAlias, is_pub(&item.vis), &item.attrs, &item.ident),
            Item::Type(item) => self.named(Kind::Type, is_pub(&item.vis), &item.attrs, &item.ident),
            Item::Union(item) => self.named(Kind::Union, is_pub(&item.vis), &item.attrs, &item.ident),
            Item::Use(_) => self.count(Kind::Use),
            _ => self.count(Kind::Other),
        }
    }

    fn foreign(&mut self, item: &ForeignItem) {
        match item {
            ForeignItem::Fn(item) => self.named(Kind::Fn, is_pub(&item.vis), &item.attrs, &item.sig.ident),
            ForeignItem::Static(item) => self.named(Kind::Static, is_pub(&item.vis), &item.attrs, &item.ident),
            ForeignItem::Type(item) => self.named(Kind::Type, is_pub(&item.vis), &item.attrs, &item.ident),
            ForeignItem::Macro(_) => self.count(Kind::MacroCall),
            _ => self.count(Kind::Other),
        }
    }

    fn implementation(&mut self, block: &ItemImpl) {
        self.count(Kind::Impl);
        for item in &block.items {
            match item {
                ImplItem::Const(item) => {
                    self.named(Kind::Const, is_pub(&item.vis), &item.attrs, &item.ident);
                }
                ImplItem::Fn(item) => {
                    self.named(Kind::Method, is_pub(&item.vis), &item.attrs, &item.sig.ident);
                    self.measure(&item.sig, &item.block);
                }
                ImplItem::Type(item) => {
                    self.named(Kind::Type, is_pub(&item.vis), &item.attrs, &item.ident);
                }
                ImplItem::Macro(_) => self.count(Kind::MacroCall),
                _ => self.count(Kind::Other),
            }
        }
    }

    fn interface(&mut self, item: &ItemTrait) {
        let is_public = is_pub(&item.vis);
        self.named(Kind::Trait, is_public, &item.attrs, &item.ident);
        for item in &item.items {
            match item {
                TraitItem::Const(item) => self.named(Kind::Const, is_public, &item.attrs, &item.ident),
                TraitItem::Fn(item) => {
                    self.named(Kind::Method, is_public, &item.attrs, &item.sig.ident);
                    if let Some(block) = &item.default {
                        self.measure(&item.sig, block);
                    }
                }
                TraitItem::Type(item) => self.named(Kind::Type, is_public, &item.attrs, &item.ident),
                TraitItem::Macro(_) => self.count(Kind::MacroCall),
                _ => self.count(Kind::Other),
            }
        }
    }

    fn named(&mut self, kind: Kind, is_public: bool, attrs: &[Attribute], ident: &Ident) {
        self.count(kind);
        if is_public {
            self.facts.documented += u32::from(attrs.iter().any(is_documentation));
            // `r#type` is found by the name people say.
            let (name, line) = (ident.unraw().to_string(), number(ident.span().start().line));
            self.facts.definitions.push(Definition { name, kind, line });
        }
    }

    fn count(&mut self, kind: Kind) {
        *self.facts.items.entry(kind).or_default() += 1;
    }

    fn measure(&mut self, sig: &Signature, block: &Block) {
        let first = sig.fn_token.span.start().line;
        let last = block.brace_token.span.close().end().line;
        let lines = number(last.saturating_sub(first) + 1);
        if self.facts.longest.as_ref().is_none_or(|longest| longest.lines < lines) {
            let (name, line) = (sig.ident.unraw().to_string(), number(first));
            self.facts.longest = Some(LongestFn { name, line, lines });
        }
    }
}

fn is_pub(vis: &Visibility) -> bool {
    matches!(vis, Visibility::Public(_))
}

fn is_documentation(attr: &Attribute) -> bool {
    matches!(&attr.meta, Meta::NameValue(value) if value.path.is_ident("doc"))
}

fn is_exported(attrs: &[Attribute]) -> bool {
    attrs.iter().any(|attr| attr.path().is_ident("macro_export"))
}

/// A count within one file. The limit on a file's length keeps it far below the edge.
fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_count_wherever_they_stand() {
        let facts = facts("mod a { mod b { fn c() { struct D; const E: u8 = { static F: u8 = 0; F }; } } }");
        assert_eq!(items(&facts), "const 1, fn 1, mod 2, static 1, struct 1");
    }

    #[test]
    fn functions_of_impls_and_traits_are_methods() {
        let facts = facts(
            "impl A { fn a() {} const B: u8 = 1; m!(); } impl T for A { fn t() {} type X = u8; }
             trait T { fn t(); type X; const C: u8; } extern \"C\" { fn f(); static S: u8; type O; }",
        );
        assert_eq!(
            items(&facts),
            "const 2, extern-block 1, fn 1, impl 2, macro-call 1, method 3, static 1, trait 1, type 3"
        );
    }

    #[test]
    fn public_is_what_the_file_itself_makes_public() {
        let facts = facts(
            "pub fn yes() {} pub(crate) fn no() {} fn no2() {}
             pub struct Type { pub no_field: u8 }
             impl Type { pub fn method() {} fn no3() {} pub const C: u8 = 1; }
             impl Clone for Type { fn no4() {} }
             pub trait Open { fn provided() {} type Assoc; }
             trait Closed { fn no5(); }
             pub use no6::no7; pub extern crate no8; pub mod no9; pub mod inline {}
             #[macro_export] macro_rules! exported { () => {} } macro_rules! no10 { () => {} }
             extern { pub fn foreign(); }
             pub enum r#enum { NoVariant }",
        );
        let names: Vec<_> = facts.definitions.iter().map(|d| format!("{} {}", d.kind.word(), d.name)).collect();
        assert_eq!(
            names.join(", "),
            "fn yes, struct Type, method method, const C, trait Open, method provided, type Assoc, mod inline, \
             macro exported, fn foreign, enum enum"
        );
    }

    #[test]
    fn documented_means_text() {
        let facts = facts(
            "/// Text.\npub fn a() {}\n#[doc = \"text\"] pub fn b() {}\npub mod c { //! Text.\n}\n/** Text. */ pub fn d() {}
             #[doc(hidden)] pub fn e() {}\n// Text.\npub fn f() {}\n/// Not public.\nfn g() {}",
        );
        assert_eq!((facts.documented, facts.public()), (4, 6));
    }

    #[test]
    fn unsafe_blocks_count_and_promises_do_not() {
        let facts = facts(
            "unsafe fn f() { unsafe { g(unsafe { 1 }) } } unsafe impl T for A {} unsafe extern {}
             fn h() { let _ = || unsafe { 2 }; m!(unsafe { 3 }); }",
        );
        assert_eq!(facts.unsafe_blocks, 3);
    }

    #[test]
    fn the_longest_function_is_the_first_of_equals_and_counts_from_its_fn() {
        let facts = facts(
            "fn one() {}\n\nimpl A {\n    /// Text.\n    #[inline]\n    pub\n    fn two()\n    {\n    }\n}\n
             trait T {\n    fn declared(\n    \n\n\n);\n    fn three() {\n\n    }\n}",
        );
        assert_eq!(facts.longest, Some(LongestFn { name: "two".into(), line: 7, lines: 3 }));
        assert_eq!(facts.lines, 21);
    }

    #[test]
    fn words_are_what_is_serialised() {
        for kind in [Kind::Const, Kind::ExternBlock, Kind::MacroCall, Kind::TraitAlias, Kind::Use] {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.word());
        }
    }

    fn facts(text: &str) -> Facts {
        Facts::gather(&syn::parse_file(text).unwrap(), text)
    }

    fn items(facts: &Facts) -> String {
        let items: Vec<_> = facts.items.iter().map(|(kind, count)| format!("{} {count}", kind.word())).collect();
        items.join(", ")
    }
}
